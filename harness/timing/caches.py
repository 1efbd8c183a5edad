"""Cold caches: write more memory than the last cache holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

TIMES = 2  # as much memory as the last cache holds, this many times over
UNKNOWN_CACHE_BYTES = 64 * 2**20


def make_flush(device: str) -> Callable[[], Any]:
    """A function that writes memory beyond the last cache of the device."""
    if device == "cpu":
        import numpy as np

        memory = np.zeros(TIMES * last_cache_bytes(), dtype=np.uint8)
        return lambda: memory.fill(1)
    import torch

    size = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    there = torch.empty(TIMES * size, dtype=torch.uint8, device="cuda")

    def flush() -> None:
        there.fill_(1)
        torch.cuda.synchronize()

    return flush


@cache
def last_cache_bytes() -> int:
    """Bytes of the last cache of the first processor, as the system tells them."""
    from harness.record.machine import read_caches

    return max((one["bytes"] for one in read_caches()), default=UNKNOWN_CACHE_BYTES)
