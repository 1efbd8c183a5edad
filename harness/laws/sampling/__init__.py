"""Verification of problems too large to copy: random samples and random contraction, block by block."""
