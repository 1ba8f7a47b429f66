"""Hosts of claims, branches, pulls and checks."""
