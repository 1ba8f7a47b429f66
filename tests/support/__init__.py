"""Helpers of the tests: real repositories, a real git server, real processes."""
