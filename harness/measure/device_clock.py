"""The clock frequency of a GPU and the reasons for it, as the driver reports them (NVML).

The computing process reads it immediately after warming up and after the last sample. Another process would read it
while the device is idle (before a block, or while results are verified), when the clock tells nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

# nvml.h, nvmlClocksEventReasons
REASONS = {
    0x01: "idle", 0x02: "application clocks", 0x04: "power cap", 0x08: "hardware slowdown", 0x10: "sync boost",
    0x20: "software thermal slowdown", 0x40: "hardware thermal slowdown", 0x80: "power brake", 0x100: "display clocks",
}  # fmt: skip
PROTECTS = 0x08 | 0x20 | 0x40 | 0x80
POWER_CAP = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """Clock of the device's processors (SMs) in MHz, and NVML's bits for the reasons."""

    sm_mhz: float
    reasons: int

    @property
    def text(self) -> str:
        """Names of the reasons, separated by commas."""
        return ", ".join(name for bit, name in REASONS.items() if self.reasons & bit)


def make_reader(device: str) -> Callable[[], Gpu | None] | None:
    """Make a function that reads the clock of the CUDA device of this process; None if none can be read."""
    found = _open_gpu() if device == "cuda" else None
    if found is None:
        return None
    nvml, handle = found
    return lambda: read_gpu(nvml, handle)


def read_gpu(nvml: Any, handle: Any) -> Gpu | None:
    """Read clock and reasons through an initialised NVML; None if the driver reports none, as for a MIG instance."""
    try:
        return Gpu(
            sm_mhz=float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            reasons=int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        )
    except nvml.NVMLError:
        return None


def _open_gpu() -> tuple[Any, Any] | None:
    """NVML and the handle of this process's device; None if the library or the device is missing."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        return nvml, find_handle(nvml, _bus_id(), os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    except nvml.NVMLError:
        return None


def find_handle(nvml: Any, bus_id: str, visible: str) -> Any:
    """Return NVML's handle of a device.

    CUDA and NVML number devices differently (CUDA puts the fastest first, NVML sorts by address), so that the PCI
    address is preferred to a number.
    nvml: initialised module pynvml. bus_id: PCI address such as 0000:81:00.0; empty if no library reports it.
    visible: value of CUDA_VISIBLE_DEVICES; its first entry is used without a `bus_id`.
    """
    first = visible.partition(",")[0].strip()
    if bus_id:
        return nvml.nvmlDeviceGetHandleByPciBusId(bus_id)
    if not first or first.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(first or 0))
    return nvml.nvmlDeviceGetHandleByUUID(first)


def _bus_id() -> str:
    """PCI address of the current device, from PyTorch or CuPy if one of them is loaded; empty if neither reports it."""
    try:
        if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
            cuda = sys.modules["torch"].cuda
            facts = cuda.get_device_properties(cuda.current_device())
            return f"{facts.pci_domain_id:08x}:{facts.pci_bus_id:02x}:{facts.pci_device_id:02x}.0"
        if "cupy" in sys.modules:
            return str(sys.modules["cupy"].cuda.Device().pci_bus_id)
    except (AttributeError, RuntimeError):
        pass
    return ""
