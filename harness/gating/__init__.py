"""Comparing two revisions for somebody's build: what to compare, what the findings are, and where a change began."""
