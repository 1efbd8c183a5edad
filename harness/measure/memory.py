"""Peak memory of a process during a region of code."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType

from harness.measure.descendants import find_descendants

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class MemoryMeter:
    """Context manager that measures the peak memory above the level at entry; the maximum over several uses counts.

    Host: the high-water mark of resident memory, reset at entry (Linux). CUDA: the peak of PyTorch's allocator, and the
    memory that CuPy's pool took from the driver, which is the rounded-up peak. A library is read only if the process
    has already loaded it, since loading takes seconds and memory. `peak_bytes` is 0 if nothing can be read; `top_bytes`
    is the peak itself.
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
    """Reset PyTorch's peak and CuPy's pool to the memory that is in use."""
    if "torch" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            sys.modules["torch"].cuda.reset_peak_memory_stats()
    if "cupy" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            sys.modules["cupy"].get_default_memory_pool().free_all_blocks()


def _read_device() -> int:
    """Peak bytes of the loaded libraries' allocators since the last reset."""
    found = 0
    if "torch" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            found += int(sys.modules["torch"].cuda.max_memory_allocated())
    if "cupy" in sys.modules:
        with contextlib.suppress(AttributeError, RuntimeError):
            found += int(sys.modules["cupy"].get_default_memory_pool().total_bytes())
    return found


def read_resident() -> int:
    """Return the resident bytes of this process; 0 if they cannot be read."""
    return _read_bytes(_STATUS.read_text(), "VmRSS") if _STATUS.exists() else 0


def read_tree_resident(pid: int) -> int:
    """Return the resident bytes of a process and its descendants, shared ones once; 0 if it is gone."""
    import psutil

    own = shared = 0
    for one in (pid, *find_descendants(pid)):
        with contextlib.suppress(psutil.Error):
            memory = psutil.Process(one).memory_info()
            common = getattr(memory, "shared", 0)  # where the system says which part is shared
            own, shared = own + memory.rss - common, max(shared, common)
    return int(own + shared)


def read_high_water(status: str) -> int:
    """Parse the line VmHWM of /proc/self/status into bytes; 0 without such a line."""
    return _read_bytes(status, "VmHWM")


def _read_bytes(status: str, name: str) -> int:
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
