"""The frequency of a device's processors, and why it is what it is, as its driver tells them (NVML).

It is read in the process that computes: just after warming up and just after the last sample. Seen from outside, the
device is idle before a block and idle again while its answers are verified, and an idle device's clock says nothing.
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
    """Clock of a device's processors in MHz, and NVML's bits for why it is what it is."""

    sm_mhz: float
    reasons: int

    @property
    def text(self) -> str:
        """The reasons in words."""
        return ", ".join(name for bit, name in REASONS.items() if self.reasons & bit)


def make_reader(device: str) -> Callable[[], Gpu | None] | None:
    """The function that reads the clock of a CUDA device that this process uses; None where none can be read."""
    found = _open_gpu() if device == "cuda" else None
    if found is None:
        return None
    nvml, handle = found
    return lambda: read_gpu(nvml, handle)


def read_gpu(nvml: Any, handle: Any) -> Gpu | None:
    """Clock and reasons through an open NVML; None where the driver does not tell them, as for a part of a device."""
    try:
        return Gpu(
            sm_mhz=float(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            reasons=int(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)),
        )
    except nvml.NVMLError:
        return None


def _open_gpu() -> tuple[Any, Any] | None:
    """NVML and the device that this process computes on; None where the library or the device is absent."""
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
    """NVML's handle of the device at an address, or else of the first one of CUDA_VISIBLE_DEVICES.

    CUDA and NVML number devices differently (CUDA puts the fastest first, NVML goes by address), so that the address
    is the better name. bus_id: such as 0000:81:00.0; empty where no library tells it.
    """
    first = visible.partition(",")[0].strip()
    if bus_id:
        return nvml.nvmlDeviceGetHandleByPciBusId(bus_id)
    if not first or first.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(first or 0))
    return nvml.nvmlDeviceGetHandleByUUID(first)


def _bus_id() -> str:
    """Address of the current device, from CuPy or PyTorch, whichever is loaded; empty where neither tells it."""
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
