"""GPUs through a stand-in for the NVML binding, with the names and return values of the driver's header.

The binding itself is missing on most machines.
"""

from types import SimpleNamespace

from harness.machine.gpus import name_reasons, read_gpus


class NVMLError(Exception):
    """Exception with pynvml's name."""


def unsupported(*_):
    raise NVMLError


ANSWERS = {
    "NVMLError": NVMLError,
    "NVML_CLOCK_SM": 1,
    "NVML_CLOCK_MEM": 2,
    "nvmlSystemGetDriverVersion": lambda: "580.1",
    "nvmlDeviceGetCount": lambda: 2,
    "nvmlDeviceGetHandleByIndex": lambda index: index,
    "nvmlDeviceGetName": lambda handle: f"Example {handle}",
    "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
    "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=2**34, used=5),
    "nvmlDeviceGetClockInfo": lambda handle, kind: 100 * kind,
    "nvmlDeviceGetMaxClockInfo": lambda handle, kind: 1000 * kind,
    "nvmlDeviceGetPersistenceMode": lambda handle: handle,
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda handle: 0x45,
}


def test_a_gpu_is_described_in_full():
    first, second = read_gpus(SimpleNamespace(**ANSWERS))
    assert first == {
        "index": 0, "name": "Example 0", "uuid": "GPU-0", "memory_bytes": 2**34, "sm_mhz": 100, "sm_max_mhz": 1000,
        "memory_mhz": 200, "memory_max_mhz": 2000, "persistence": False,
        "throttled_by": ["idle", "power cap", "hardware thermal slowdown"], "driver": "580.1",
    }  # fmt: skip
    assert (second["index"], second["name"]) == (1, "Example 1")
    assert (first["persistence"], second["persistence"]) == (False, True)
    assert isinstance(second["persistence"], bool)


def test_what_a_gpu_does_not_support_is_none():
    gaps = {name: unsupported for name in ANSWERS if name.startswith("nvmlDeviceGet") and "ByIndex" not in name}
    found = read_gpus(SimpleNamespace(**ANSWERS | gaps | {"nvmlDeviceGetCount": lambda: 1}))
    assert found == [dict.fromkeys(found[0]) | {"index": 0, "driver": "580.1"}]


def test_reasons_that_are_new_are_named_by_their_bits():
    assert name_reasons(0) == []
    assert name_reasons(0x1 | 0x2 | 0x1200) == ["idle", "application clocks", "reason 0x1200"]
