"""What the device can do, by each library that is there: products, copies, and reads with a hot and a cold cache."""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

from harness.timing.caches import make_device_flush, read_l2_bytes
from harness.timing.clocks import CudaClock
from harness.timing.peak import BUDGET_NS, _cupy_cuda, _torch_cuda

READS = 30


def main() -> int:
    """Print the rates as JSON; 1 where a library that has a device cannot be measured."""
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
        except Exception as error:  # what one library cannot do must not hide the other's figures
            facts[name], code = {"error": f"{type(error).__name__}: {error}"}, 1
    json.dump(facts, sys.stdout)
    return code


def compare_caches(library: Any) -> dict[str, float]:
    """Time of the sum of an array of half the L2, right after itself and right after a flush."""
    n = read_l2_bytes(library) // 8
    a = library.ones(n, device="cuda") if library.__name__ == "torch" else library.ones(n, dtype="f4")
    flush, clock = make_device_flush(library), CudaClock(lambda: None, library)
    times = {}
    for name, before in (("hot", a.sum), ("cold", flush)):
        taken = []
        for _ in range(READS):
            before()
            taken.append(clock.time(a.sum)[1])
        times[f"{name} read us"] = statistics.median(taken) / 1e3
    return times | {"cold/hot": times["cold read us"] / times["hot read us"], "launch us": clock.launch_ns / 1e3}


if __name__ == "__main__":
    sys.exit(main())
