"""Check and time the backends of CUDA devices within minutes, without a network (`make gpu-check`, docs/gpu.md).

Written so that any version of Python can parse it and print which one is needed.
"""

import sys

import gpucheck  # noqa: F401  exits if Python is too old
from gpucheck.check import main

if __name__ == "__main__":
    sys.exit(main())
