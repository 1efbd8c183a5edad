"""Judging problems too large to be copied: random samples and random contraction, block by block."""
