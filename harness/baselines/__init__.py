"""Runs that are kept by name to compare with, and changes that somebody accepted."""
