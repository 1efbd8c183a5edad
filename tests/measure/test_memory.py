import subprocess
import sys
from types import SimpleNamespace

from harness.measure.memory import MemoryMeter, read_high_water
from tests.conftest import ROOT


def test_the_high_water_mark_is_read_in_bytes():
    assert read_high_water("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n") == 2048 * 1024
    assert read_high_water("Name: x\n") == 0


MEASURED = """
import numpy as np
from harness.measure.memory import MemoryMeter
meter = MemoryMeter("cpu")
with meter:
    np.ones(64 * 2**20 // 8).sum()
with meter:
    pass
print(meter.peak_bytes)
"""


def test_what_is_allocated_and_freed_again_counts():
    """Run in a separate process, like a worker: another test's threads may free memory at the same time."""
    done = subprocess.run([sys.executable, "-c", MEASURED], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 60 * 2**20 < int(done.stdout) < 80 * 2**20


def test_on_a_device_the_library_that_is_loaded_is_asked_and_no_other_is_loaded(monkeypatch):
    """Loading PyTorch in addition to CuPy takes seconds, and its allocator does not know CuPy's arrays."""
    total, freed = [3000], []
    pool = SimpleNamespace(free_all_blocks=lambda: freed.append(True), total_bytes=lambda: total[0])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(get_default_memory_pool=lambda: pool))
    meter = MemoryMeter("cuda")
    with meter:
        total[0] = 8000
    assert (meter.peak_bytes, freed) == (5000, [True])
    assert "torch" not in sys.modules
