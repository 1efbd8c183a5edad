"""Implementation of `make gpu-check` and `make gpu-wheels`; docs/gpu.md describes them."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  checked before importing files that older versions cannot parse
    there = ".".join(map(str, sys.version_info[:2]))
    sys.stderr.write("error: Python: got " + there + ", wanted 3.11 or newer; name another: make ... PYTHON=...\n")
    sys.exit(2)
