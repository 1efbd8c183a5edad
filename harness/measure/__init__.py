"""Measuring on this machine: clocks, blocks of calls, caches, memory and the lease of a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.measure.memory import MemoryMeter, read_resident, read_tree_resident
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "memory": "MemoryMeter read_resident read_tree_resident",
        },
    )

__all__ = ["MemoryMeter", "read_resident", "read_tree_resident"]
