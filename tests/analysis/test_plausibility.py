from dataclasses import replace

import pytest

import harness
from harness.analysis.plausibility import (
    describe_clock_lie,
    describe_contradiction,
    describe_too_fast,
    is_clock_behind,
)
from harness.record.passes import Pass
from harness.record.run import Peak

MS = 1_000_000
PEAK = Peak(
    device="cpu", gemm_gflops={"float32": 100.0, "bfloat16": 100.0}, copy_gbs=10.0, copy_by_bytes={"1024": 10.0}
)
PROBLEM = harness.parse_line("conv x=1x64x28x28 w=64x64x3x3 pad=1")


class Direct(harness.Backend):
    name = "direct"


def _passes(ns):
    return [Pass(number=0, process=1, loops=1, warmups=0, clock="host", device="cpu", prepare_ns=1, first_call_ns=1,
                 samples_ns=(ns, 2 * ns))]  # fmt: skip


def test_one_interrupted_block_accuses_nobody():
    assert describe_clock_lie([(20 * MS, 26 * MS, 260 * MS, 0), (20 * MS, 25 * MS, 25 * MS, 0)]) is None
    assert describe_clock_lie([]) is None


def test_a_process_that_accounts_for_its_time_is_believed():
    assert describe_clock_lie([(20 * MS, 26 * MS, 27 * MS, 0), (20 * MS, 25 * MS, 25 * MS, 0)]) is None
    assert describe_clock_lie([(20 * MS, 25 * MS, 34 * MS, 0)]) is None  # it was woken late


def test_a_process_that_the_system_lets_wait_is_believed_and_one_that_ran_is_not():
    assert describe_clock_lie([(20 * MS, 26 * MS, 260 * MS, 210 * MS), (20 * MS, 26 * MS, 260 * MS, 220 * MS)]) is None
    assert "behind" in describe_clock_lie([(20 * MS, 26 * MS, 260 * MS, 40 * MS), (20 * MS, 26 * MS, 260 * MS, 0)])


@pytest.mark.parametrize(
    ("block", "how"),
    [
        ((20 * MS, 26 * MS, 260 * MS, 0), "behind"),
        ((30 * MS, 26 * MS, 27 * MS, 0), "ahead"),
        ((20 * MS, 40 * MS, 27 * MS, 0), "ahead"),
    ],
)
def test_a_clock_that_disagrees_with_the_one_outside_is_not(block, how):
    assert f"its clock runs {how}" in describe_clock_lie([block])


@pytest.mark.parametrize(
    ("asked", "begun", "spent", "timed", "got", "found"),
    [
        (100, 100, 50, 50, 150, ""),
        (100, 900, 50, 20, 99_000_000, ""),  # however late the block begins and its reply arrives
        (100, 99, 50, 20, 200, "behind"),
        (100, 120, 81, 20, 200, "ahead"),
        (100, 120, 50, 53, 200, "behind"),
    ],
)
def test_events_in_a_wrong_order_show_a_false_clock(asked, begun, spent, timed, got, found):
    lie = describe_contradiction(asked, begun, spent, timed, got)
    assert (f"its clock runs {found}: " in lie) if found else lie is None


def test_a_pair_of_blocks_speaks_against_a_clock_that_lacks_a_part_of_the_longer_one():
    late = 500 * MS  # what the machine adds to both
    assert is_clock_behind((20 * MS, 200 * MS + late), (1 * MS, 10 * MS + late))
    assert not is_clock_behind((200 * MS, 200 * MS + late), (10 * MS, 10 * MS + late))
    assert not is_clock_behind((20 * MS, 50 * MS), (1 * MS, 900 * MS))  # the short one was interrupted


def test_a_time_that_the_machine_could_reach_is_possible():
    assert describe_too_fast(PROBLEM, Direct(), _passes(PROBLEM.flops / 100.0), [PEAK]) is None


def test_a_time_below_the_roofline_is_not():
    fast = _passes(PROBLEM.flops / 100.0 / 2)
    assert "faster than this machine" in describe_too_fast(PROBLEM, Direct(), fast, [PEAK])
    better = replace(PEAK, gemm_gflops={"float32": 300.0, "bfloat16": 300.0})
    assert describe_too_fast(PROBLEM, Direct(), fast, [PEAK, better]) is None  # the best peak of the run counts


def test_a_peak_that_one_library_alone_told_is_given_room():
    fast = _passes(PROBLEM.flops / 100.0 / 2)
    alone = replace(PEAK, gemm_gflops={"float32": 100.0})
    assert describe_too_fast(PROBLEM, Direct(), fast, [alone]) is None
    assert describe_too_fast(PROBLEM, Direct(), fast, [PEAK], foreign=True) is None
    assert describe_too_fast(PROBLEM, Direct(), fast, [PEAK], spare=2.0) is None
    assert describe_too_fast(PROBLEM, Direct(), _passes(PROBLEM.flops / 100.0 / 3), [alone]) is not None


def test_nothing_is_said_without_a_peak_of_the_device():
    assert describe_too_fast(PROBLEM, Direct(), _passes(1.0), []) is None
