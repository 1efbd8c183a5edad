"""The commands as Python functions: the same as `python -m harness`, without terminal output."""
