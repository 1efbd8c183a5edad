"""The clock of a device through NVML; the stand-in returns the values of the real binding."""

import sys
from types import SimpleNamespace

import pytest

from harness.measure.device_clock import Gpu, find_handle, make_reader, read_gpu


class NVMLError(Exception):
    pass


def refuse(*_):
    raise NVMLError("not supported")


ANSWERS = {
    "NVMLError": NVMLError,
    "NVML_CLOCK_SM": 1,
    "nvmlInit": lambda: None,
    "nvmlDeviceGetClockInfo": lambda handle, kind: 1980 if (handle, kind) == ("at 0000:81:00.0", 1) else 345,
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda _: 0x24,
    "nvmlDeviceGetHandleByIndex": "number {}".format,
    "nvmlDeviceGetHandleByUUID": "named {}".format,
    "nvmlDeviceGetHandleByPciBusId": "at {}".format,
}


def test_the_clock_and_its_reasons_are_read():
    found = read_gpu(SimpleNamespace(**ANSWERS), "at 0000:81:00.0")
    assert found == Gpu(sm_mhz=1980.0, reasons=0x24)
    assert found.text == "power cap, software thermal slowdown"


@pytest.mark.parametrize("question", ["nvmlDeviceGetClockInfo", "nvmlDeviceGetCurrentClocksThrottleReasons"])
def test_a_device_that_does_not_tell_gives_nothing(question):
    assert read_gpu(SimpleNamespace(**ANSWERS | {question: refuse}), "number 0") is None


@pytest.mark.parametrize(
    ("bus_id", "visible", "handle"),
    [
        ("0000:81:00.0", "2", "at 0000:81:00.0"),  # CUDA numbers devices otherwise than NVML
        ("", "", "number 0"),
        ("", "2,0", "number 2"),
        ("", "GPU-12ab, GPU-34cd", "named GPU-12ab"),
    ],
)
def test_the_device_is_the_one_that_computes(bus_id, visible, handle):
    assert find_handle(SimpleNamespace(**ANSWERS), bus_id, visible) == handle


def test_the_reader_asks_for_the_device_of_the_library_that_is_loaded(monkeypatch):
    device = SimpleNamespace(pci_bus_id="0000:81:00.0")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=SimpleNamespace(Device=lambda: device)))
    monkeypatch.setitem(sys.modules, "pynvml", SimpleNamespace(**ANSWERS))
    assert make_reader("cuda")() == Gpu(sm_mhz=1980.0, reasons=0x24)


@pytest.mark.parametrize("library", [None, SimpleNamespace(**ANSWERS | {"nvmlInit": refuse})])
def test_without_a_driver_there_is_no_reader(monkeypatch, library):
    monkeypatch.setitem(sys.modules, "pynvml", library)  # None: the import fails
    assert make_reader("cuda") is None
    assert make_reader("cpu") is None


@pytest.mark.gpu("torch-cudnn")
def test_the_clock_of_this_device_is_read():
    pytest.importorskip("pynvml")
    import torch

    torch.zeros(1, device="cuda")
    found = make_reader("cuda")()
    assert 100 < found.sm_mhz < 5000
