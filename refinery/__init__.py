"""Refinery: claimed, isolated and verified work for coding agents on a git repository."""

__version__ = "0.1.0"
