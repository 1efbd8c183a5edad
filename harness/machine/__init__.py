"""The machine: what the system reports about it, its limits, and what makes its times noisy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.machine.gpus import read_gpu_memory
    from harness.machine.limits import read_free_memory
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "gpus": "read_gpu_memory",
            "limits": "read_free_memory",
        },
    )

__all__ = ["read_free_memory", "read_gpu_memory"]
