"""The parts of `make gpu-check` and `make gpu-wheels`; docs/gpu.md says what they are for."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  said before a module is imported that older ones lack
    there = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write(f"error: Python: got {there}, wanted 3.11 or newer; name another one: make gpu-check PYTHON=...\n")
    sys.exit(2)
