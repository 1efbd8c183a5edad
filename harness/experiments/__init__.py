"""Searches that make many runs: fuzzing, the kill matrix and the qualification of a machine."""
