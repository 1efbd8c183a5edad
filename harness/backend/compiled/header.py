"""The C header that describes the interface of compiled backends."""

from pathlib import Path

HEADER = Path(__file__).parent / "harness_backend.h"
