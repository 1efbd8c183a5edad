import numpy as np

from harness.timing.memory import MemoryMeter, read_high_water


def test_the_high_water_mark_is_read_in_bytes():
    assert read_high_water("VmPeak:\t 9 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 1 kB\n") == 2048 * 1024
    assert read_high_water("Name: x\n") == 0


def test_what_is_allocated_and_freed_again_counts():
    meter = MemoryMeter("cpu")
    with meter:
        np.ones(64 * 2**20 // 8).sum()
    with meter:
        pass
    assert 60 * 2**20 < meter.peak_bytes < 80 * 2**20
