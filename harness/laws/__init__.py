"""Correctness: laws, the backend under test to which they are applied, error bounds and deviations."""
