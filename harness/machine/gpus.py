"""NVIDIA GPUs as their driver tells them; none where the driver or its Python binding is absent, and never an error."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable
from typing import Any

# Bits of the reasons for which a clock is lower than it could be (NVML, nvmlClocksEventReasons).
IDLE = "idle"
APPLICATION_CLOCKS = "application clocks"
REASONS = {
    0x1: IDLE, 0x2: APPLICATION_CLOCKS, 0x4: "power cap", 0x8: "hardware slowdown", 0x10: "sync boost",
    0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip


def describe_gpus() -> list[dict[str, Any]]:
    """Every GPU of the machine: name, driver, memory, clocks; empty where none can be asked."""
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # no binding, no driver, or one that does not answer: a run needs none of them
        return []
    try:
        return read_gpus(nvml)
    except nvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def read_gpus(nvml: Any) -> list[dict[str, Any]]:
    """Read all GPUs through an initialised NVML; None stands for what one does not tell. Clocks are in MHz."""
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
    """Names of the reasons that are set; unknown bits by their number."""
    names = [name for bit, name in REASONS.items() if bits & bit]
    rest = bits & ~sum(REASONS)
    return [*names, *([f"reason {rest:#x}"] if rest else [])]


def _ask(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """What NVML answers, None where this GPU or driver does not support the question."""
    try:
        return function(*arguments)
    except nvml.NVMLError:
        return None
