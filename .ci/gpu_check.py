"""Check and time the backends of CUDA devices within minutes, without a network (`make gpu-check`, docs/gpu.md).

Written so that a Python of any age can read it, and is told which one is wanted.
"""

import sys

import gpucheck  # noqa: F401  ends here where Python is too old
from gpucheck.check import main

if __name__ == "__main__":
    sys.exit(main())
