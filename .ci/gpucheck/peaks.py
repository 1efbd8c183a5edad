"""Peaks of the device, by each available library: products, copies, and reads with a hot and a cold cache."""

from __future__ import annotations

import json
import sys
from typing import Any

from gpucheck.walking import time_walks
from harness.measure.clocks import CudaClock
from harness.measure.peak import BUDGET_NS, _cupy_cuda, _torch_cuda


def main() -> int:
    """Print the rates as JSON; return 1 if a library that has a device cannot be measured."""
    facts: dict[str, dict[str, Any]] = {}
    code = 0
    for name, measure in (("torch", _torch_cuda), ("cupy", _cupy_cuda)):
        try:
            library = __import__(name)
            if not library.cuda.is_available():
                facts[name] = {"unavailable": f"{name} finds no device"}
                continue
        except (ImportError, OSError) as error:
            facts[name] = {"unavailable": f"{type(error).__name__}: {error}"}
            continue
        try:
            rates, copies = measure(library, BUDGET_NS)
            facts[name] = {f"{dtype} TFLOP/s": rate / 1e3 for dtype, rate in rates.items()}
            facts[name] |= {f"copy of {size >> 20} MiB GB/s": rate for size, rate in copies.items()}
            facts[name] |= compare_caches(library)
        except Exception as error:  # an error of one library must not hide the other's figures
            facts[name], code = {"error": f"{type(error).__name__}: {error}"}, 1
    json.dump(facts, sys.stdout)
    return code


def compare_caches(library: Any) -> dict[str, float]:
    """Return the latency of a line that lies in the L2, and of one that a flush has evicted, with the launch time."""
    hot_ns, cold_ns = time_walks(library)
    launch_us = CudaClock(lambda: None, library).launch_ns / 1e3
    return {"hot line ns": hot_ns, "cold line ns": cold_ns, "cold/hot": cold_ns / hot_ns, "launch us": launch_us}


if __name__ == "__main__":
    sys.exit(main())
