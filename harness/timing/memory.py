"""How far the peak of a process's memory rises while something is done."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class MemoryMeter:
    """Measures the rise of the peak over the level at entry; the largest of several uses counts.

    Host: the high-water mark of resident memory, set back at entry (Linux). CUDA: what the allocator of PyTorch gave.
    `peak_bytes` stays 0 where neither can be read; `top_bytes` is the peak itself.
    """

    def __init__(self, device: str) -> None:
        self.device, self.peak_bytes, self.top_bytes, self.level = device, 0, 0, 0

    def __enter__(self) -> None:
        if self.device == "cpu":
            with contextlib.suppress(OSError):
                _RESET.write_text("5")
        else:
            with contextlib.suppress(ImportError, RuntimeError):
                import torch

                torch.cuda.reset_peak_memory_stats()  # to what is allocated now
        self.level = self._read()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        top = self._read()
        self.peak_bytes, self.top_bytes = max(self.peak_bytes, top - self.level), max(self.top_bytes, top)

    def _read(self) -> int:
        if self.device == "cpu":
            return read_high_water(_STATUS.read_text()) if _STATUS.exists() else 0
        with contextlib.suppress(ImportError, RuntimeError):
            import torch

            return int(torch.cuda.max_memory_allocated())
        return 0


def read_resident() -> int:
    """Resident bytes of this process; 0 where they cannot be read."""
    return _read_bytes(_STATUS.read_text(), "VmRSS") if _STATUS.exists() else 0


def read_high_water(status: str) -> int:
    """Bytes of the line VmHWM in /proc/self/status; 0 where there is none."""
    return _read_bytes(status, "VmHWM")


def _read_bytes(status: str, name: str) -> int:
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
