"""The parts of `make gpu-check` and `make gpu-wheels`; docs/gpu.md says what they are for."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  said before anything is read that older ones cannot read
    there = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write("error: Python: got " + there + ", wanted 3.11 or newer; name another: make ... PYTHON=...\n")
    sys.exit(2)
