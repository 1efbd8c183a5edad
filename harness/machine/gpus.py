"""NVIDIA GPUs, described by their driver through NVML; the list is empty if the driver or its binding is missing."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

Found = TypeVar("Found")

# Bits of the reasons for a reduced clock (NVML, nvmlClocksEventReasons).
IDLE = "idle"
APPLICATION_CLOCKS = "application clocks"
REASONS = {
    0x1: IDLE, 0x2: APPLICATION_CLOCKS, 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip


def describe_gpus() -> list[dict[str, Any]]:
    """Describe every GPU of the machine: name, driver, memory, clocks. Empty if NVML is unavailable."""
    return _with_nvml(read_gpus)


def read_gpu_memory() -> tuple[int, int] | None:
    """Return the least free bytes of any GPU, and the most bytes of one; None without a GPU or without NVML."""
    found = _with_nvml(_read_memory)
    return (min(free for free, _ in found), max(whole for _, whole in found)) if found else None


def _with_nvml(read: Callable[[Any], list[Found]]) -> list[Found]:
    """Return what a function reads through NVML; nothing if that is unavailable."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # binding or driver missing, or not answering: no run depends on them
        return []
    try:
        return read(nvml)
    except nvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def _read_memory(nvml: Any) -> list[tuple[int, int]]:
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    return [(int(memory.free), int(memory.total)) for memory in map(nvml.nvmlDeviceGetMemoryInfo, handles)]


def read_gpus(nvml: Any) -> list[dict[str, Any]]:
    """Read all GPUs through an initialised NVML. Clocks are in MHz; None marks an unsupported value."""
    driver = _ask(nvml, nvml.nvmlSystemGetDriverVersion)
    return [
        _read_gpu(nvml, index, nvml.nvmlDeviceGetHandleByIndex(index)) | {"driver": driver}
        for index in range(nvml.nvmlDeviceGetCount())
    ]


def _read_gpu(nvml: Any, index: int, handle: Any) -> dict[str, Any]:
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    persistence = _ask(nvml, nvml.nvmlDeviceGetPersistenceMode, handle)
    reasons = _ask(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    sm, mem = nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM
    return {
        "index": index,
        "name": _ask(nvml, nvml.nvmlDeviceGetName, handle),
        "uuid": _ask(nvml, nvml.nvmlDeviceGetUUID, handle),
        "memory_bytes": None if memory is None else int(memory.total),
        "sm_mhz": _ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, sm),
        "sm_max_mhz": _ask(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, sm),
        "memory_mhz": _ask(nvml, nvml.nvmlDeviceGetClockInfo, handle, mem),
        "memory_max_mhz": _ask(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, mem),
        "persistence": None if persistence is None else bool(persistence),
        "throttled_by": None if reasons is None else name_reasons(reasons),
    }


def name_reasons(bits: int) -> list[str]:
    """Return the names of the bits that are set; unknown bits as one hexadecimal number."""
    names = [name for bit, name in REASONS.items() if bits & bit]
    rest = bits & ~sum(REASONS)
    return [*names, *([f"reason {rest:#x}"] if rest else [])]


def _ask(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call an NVML function; None if this GPU or driver does not support it."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None
