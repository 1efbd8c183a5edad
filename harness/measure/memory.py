"""How far the peak of a process's memory rises while something is done."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class MemoryMeter:
    """Measures the rise of the peak over the level at entry; the largest of several uses counts.

    Host: the high-water mark of resident memory, set back at entry (Linux). CUDA: what PyTorch's allocator gave at
    most, and what CuPy's pool took from the driver, which is the peak rounded up; of each library only where the
    process has loaded it, since loading one takes seconds and memory. `peak_bytes` stays 0 where nothing can be read;
    `top_bytes` is the peak itself.
    """

    def __init__(self, device: str) -> None:
        self.device, self.peak_bytes, self.top_bytes, self.level = device, 0, 0, 0

    def __enter__(self) -> None:
        if self.device == "cpu":
            with contextlib.suppress(OSError):
                _RESET.write_text("5")
        else:
            _reset_device()
        self.level = self._read()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        top = self._read()
        self.peak_bytes, self.top_bytes = max(self.peak_bytes, top - self.level), max(self.top_bytes, top)

    def _read(self) -> int:
        if self.device == "cpu":
            return read_high_water(_STATUS.read_text()) if _STATUS.exists() else 0
        return _read_device()


def _reset_device() -> None:
    """Let PyTorch's peak and CuPy's pool fall to what is in use now."""
    if "torch" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            sys.modules["torch"].cuda.reset_peak_memory_stats()
    if "cupy" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            sys.modules["cupy"].get_default_memory_pool().free_all_blocks()


def _read_device() -> int:
    """Bytes that the allocators of the loaded libraries had at most since the last reset."""
    found = 0
    if "torch" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            found += int(sys.modules["torch"].cuda.max_memory_allocated())
    if "cupy" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            found += int(sys.modules["cupy"].get_default_memory_pool().total_bytes())
    return found


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
