import os
import sys
import threading
import time
from dataclasses import replace

import pytest

from harness.execution.timing_state import TimingState
from harness.measure.device_clock import Gpu
from harness.measure.disturbance import (
    CORES,
    MOST_DROPPED,
    RULE,
    TICK_NS,
    Counters,
    Rule,
    contaminated,
    difference,
    read_counters,
    read_steal,
    read_switches,
)

STAT = b"cpu  35869 0 4398 477069 266 0 98 23 7 9\ncpu0 15282 0 1421 242018 18 0 38 9 0 0\n"
STATUS = (
    b"Name:\tvoluntary_ctxt_switches:\nVmRSS:\t 9 kB\nvoluntary_ctxt_switches:\t1635\nnonvoluntary_ctxt_switches:\t4\n"
)
QUIET = Counters(wall_ns=0, steal_ticks=5, switches={10: (3, 4)}, load1=0.5)


def read(**changes):
    """Reading of a block of 20 ms that begins undisturbed and ends with these changes."""
    return difference(QUIET, replace(QUIET, **({"wall_ns": 20_000_000} | changes)))


def test_the_kernels_texts_are_read():
    assert read_steal(STAT) == 23
    assert read_steal(b"") == 0
    assert read_switches(STATUS) == (1635, 4)


def test_a_quiet_block_counts():
    assert contaminated(read(), 100.0, 100.0) is None


@pytest.mark.parametrize(
    ("changes", "control_ns", "word"),
    [
        ({"steal_ticks": 5 + CORES}, 100, "hypervisor took 50%"),
        ({}, 125, "control kernel took 1.25 times"),
        ({"cpu_mhz": 2000.0}, 100, "clock of the processor fell to 67%"),
        ({"gpu": Gpu(sm_mhz=1200.0, reasons=0)}, 100, "clock of the device fell to 67%"),
        ({"gpu": Gpu(sm_mhz=1800.0, reasons=0x20 | 0x04)}, 100, "protects itself: power cap, software thermal"),
    ],
)
def test_a_disturbed_block_does_not(changes, control_ns, word):
    before = replace(QUIET, cpu_mhz=3000.0, gpu=Gpu(sm_mhz=1800.0, reasons=0x01))
    reading = difference(before, replace(before, **({"wall_ns": 20_000_000} | changes)))
    assert word in contaminated(reading, control_ns, 100)


@pytest.mark.parametrize(
    ("changes", "control_ns"),
    [
        ({"steal_ticks": 6, "wall_ns": 21 * TICK_NS}, 100),  # one tick in so long a time
        ({}, 124),
        ({"switches": {10: (3, 10_000)}}, 100),  # threads that spin cause them themselves
        ({"load1": 64.0}, 100),
        ({"cpu_mhz": 2400.0}, 100),  # wide vector instructions
        ({"gpu": Gpu(sm_mhz=1500.0, reasons=0x04 | 0x02)}, 100),  # hard work meets the power cap
    ],
)
def test_what_an_arm_causes_itself_leaves_no_block_out(changes, control_ns):
    before = replace(QUIET, cpu_mhz=3000.0, gpu=Gpu(sm_mhz=1800.0, reasons=0x01))
    reading = difference(before, replace(before, **({"wall_ns": 20_000_000} | changes)))
    assert contaminated(reading, control_ns, 100) is None


# As NVML tells them of a device of which 1980 MHz are usual: before and after a block.
BUSY = Gpu(sm_mhz=1980.0, reasons=0)
IDLE = Gpu(sm_mhz=345.0, reasons=0x01)
CAPPED = Gpu(sm_mhz=1350.0, reasons=0x04)
LOCKED = Gpu(sm_mhz=1095.0, reasons=0x02)
HOT = Gpu(sm_mhz=1900.0, reasons=0x20)


def judge(before, after, usual_mhz=1980.0):
    reading = difference(replace(QUIET, gpu=before), replace(QUIET, wall_ns=20_000_000, gpu=after))
    return contaminated(reading, 100, 100, usual_mhz=usual_mhz)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (BUSY, CAPPED, "the clock of the device fell to 68%"),  # two speeds within the block
        (BUSY, LOCKED, "the clock of the device fell to 55%"),
        (LOCKED, LOCKED, "was 1095 MHz when the block began, 55% of what it usually is in this run (application"),
        (IDLE, BUSY, "was 345 MHz when the block began, 17% of what it usually is in this run (idle)"),
        (IDLE, IDLE, "was 345 MHz when the block began"),
        (HOT, BUSY, "the device protects itself: software thermal slowdown"),
        (BUSY, HOT, "the device protects itself: software thermal slowdown"),
        (replace(BUSY, sm_mhz=1484.0), replace(BUSY, sm_mhz=1484.0), "was 1484 MHz when the block began, 75%"),
    ],
)
def test_a_block_whose_device_clock_fell_or_was_low_does_not_count(before, after, words):
    assert words in judge(before, after)


@pytest.mark.parametrize(
    ("before", "after", "usual_mhz"),
    [
        (BUSY, BUSY, 1980.0),
        (CAPPED, CAPPED, 1980.0),  # hard work, block after block
        (LOCKED, LOCKED, 1095.0),  # locked all along
        (LOCKED, LOCKED, 0.0),  # nothing is usual yet
        (replace(BUSY, sm_mhz=1486.0), replace(BUSY, sm_mhz=1486.0), 1980.0),
        (BUSY, replace(CAPPED, sm_mhz=1500.0), 1980.0),
    ],
)
def test_a_block_whose_device_clock_is_what_it_should_be_counts(before, after, usual_mhz):
    assert judge(before, after, usual_mhz) is None


def test_what_is_usual_for_a_device_is_the_median_of_the_blocks_before_without_capped_ones():
    state = TimingState(execution=None)
    seen = [state.note_clock([BUSY, one]) for one in (BUSY, LOCKED, BUSY, CAPPED, CAPPED, CAPPED, CAPPED, BUSY)]
    assert seen == [0.0, 0.0, 0.0, 1980.0, 1980.0, 1980.0, 1980.0, 1980.0]
    assert state.note_clock(()) == 1980.0
    assert len(state.device_mhz) == 4


def test_the_record_says_how_fast_the_device_began():
    reading = difference(replace(QUIET, gpu=IDLE), replace(QUIET, wall_ns=1, gpu=BUSY))
    assert {"gpu_begun_mhz": 345.0, "gpu_mhz": 1980.0, "gpu_reasons": 0.0}.items() <= reading.values.items()


def test_without_a_usual_time_the_control_kernel_says_nothing():
    assert contaminated(read(), 10**9, 0) is None


def test_another_rule_decides_otherwise():
    assert contaminated(read(), 110, 100, Rule(control_factor=1.05))
    assert contaminated(read(steal_ticks=6), 100, 100, replace(RULE, steal_share=0.5)) is None


def test_switches_are_counted_by_thread():
    reading = read(switches={10: (5, 4), 11: (2, 7)})  # one thread is new
    assert (reading.voluntary, reading.involuntary) == (4, 7)
    assert read(switches={}).voluntary == 0  # it ended


def test_what_the_machine_does_not_tell_is_absent_from_the_record():
    assert read(steal_ticks=6).values == {"steal_ticks": 1.0, "voluntary": 0.0, "involuntary": 0.0, "load1": 0.5}
    reading = read(gpu=Gpu(sm_mhz=1500.0, reasons=0x04), cpu_mhz=3000.0)
    assert {"gpu_mhz": 1500.0, "gpu_reasons": 4.0, "cpu_mhz": 3000.0}.items() <= reading.values.items()


def test_a_block_of_no_time_had_nothing_stolen():
    assert read(wall_ns=0).steal_share == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="counters of /proc")
def test_the_switches_of_all_threads_are_read():
    stop = threading.Event()
    thread = threading.Thread(target=lambda: [time.sleep(0.001) for _ in iter(stop.is_set, True)])
    thread.start()
    try:
        before = after = read_counters([os.getpid()])
        while thread.native_id not in after.switches or difference(before, after).voluntary <= 1:  # it sleeps for ever
            time.sleep(0.03)
            after = read_counters([os.getpid()])
    finally:
        stop.set()
        thread.join()
    assert thread.native_id in after.switches
    assert difference(before, after).voluntary > 1
    assert after.wall_ns > before.wall_ns
    assert after.steal_ticks >= before.steal_ticks


def test_a_process_that_is_gone_counts_nothing():
    assert read_counters([2**22 + 1]).switches == {}  # beyond the largest process number of Linux


def test_a_fifth_of_the_blocks_may_go():
    assert MOST_DROPPED == 0.20
