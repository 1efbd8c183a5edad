"""Comparison of two revisions that can fail a build: what to compare, accepted changes, where a change began."""
