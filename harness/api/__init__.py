"""The commands as functions of Python: what `python -m harness` does, without its output."""
