"""Rates with a simulated clock, and one measurement of the real machine."""

import subprocess
import sys
import threading
import time
from functools import cache

import pytest

from harness.errors import UsageError
from harness.measure.peak import (
    COPY_BYTES,
    best_rate,
    make_copy,
    measure_peak,
    mend,
    read_others_ns,
    run_side_by_side,
    switch_tf32,
    widen,
)


class Hands:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def _rate(sizes, ns_of, budget_ns):
    """Rate and sizes of all calls; a call of a size takes `ns_of` and performs size^3 operations."""
    hands, seen = Hands(), []

    def make(size):
        def call():
            seen.append(size)
            hands.now += ns_of(size, len(seen))

        return call, size**3

    return best_rate(make, sizes, budget_ns, now=hands), seen


def test_the_best_of_all_sizes_counts():
    rate, seen = _rate((4, 8), lambda size, _: {4: 8, 8: 512}[size], 100_000)
    assert rate == 8.0  # the larger one ran at 1
    assert set(seen) == {4, 8}


def test_the_rate_of_a_smaller_size_is_kept_where_no_time_is_left_to_repeat_it():
    rate, seen = _rate((4, 8), lambda size, _: {4: 8, 8: 512}[size], 1_000)
    assert rate == 8.0
    assert seen == [4] * 6 + [8] * 6


def test_all_sizes_are_repeated_in_turn():
    _, seen = _rate((4, 8), lambda size, _: size, 10_000)
    assert seen[12:18] == [4, 8] * 3


def test_one_good_run_is_enough():
    rate, _ = _rate((4,), lambda _, count: 16 if count == 9 else 640, 100_000)
    assert rate == 4.0


def test_a_first_call_that_plans_is_not_timed():
    rate, seen = _rate((4,), lambda _, count: 1 if count == 1 else 64, 1_000)
    assert rate == 1.0
    assert len(seen) > 6


def test_larger_sizes_are_left_alone_where_they_would_take_too_long():
    _, seen = _rate((4, 8, 16), lambda size, _: size**3 * 1_000, 1_000_000)
    assert set(seen) == {4}


def test_the_budget_is_spent_and_not_much_more():
    hands_spent = sum(64 for _ in _rate((4,), lambda *_: 64, 6_400)[1])
    assert 6_400 <= hands_spent <= 6_400 + 2 * 64


@pytest.mark.parametrize(
    ("together", "alone", "threads", "disturbed", "rate"),
    [
        (478.0, 248.0, 2, False, 478.0),
        (400.0, 248.0, 2, False, 400.0),  # cores that share their clock are no twice as fast
        (400.0, 248.0, 2, True, 496.0),
        (500.0, 248.0, 2, True, 500.0),
        (2.0, 248.0, 2, False, 496.0),  # nothing but a disturbance makes two threads slower than one
        (248.0, 248.0, 1, False, 248.0),
    ],
)
def test_where_others_were_in_the_way_one_thread_is_the_better_witness(together, alone, threads, disturbed, rate):
    assert mend(together, alone, threads, disturbed) == rate


@pytest.mark.skipif(sys.platform != "linux", reason="counters of /proc")
def test_work_of_others_is_told_from_the_own():
    before, own = read_others_ns(), time.process_time_ns()
    while time.process_time_ns() - own < 50_000_000:
        pass
    mine = read_others_ns() - before
    code = "import time\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert read_others_ns() - before - mine > 200_000_000


def test_a_copy_moves_all_bytes():
    copy = make_copy(1000, 3)
    target, source = copy.args
    assert target.tobytes() != source.tobytes()
    copy()
    assert target.tobytes() == source.tobytes() == b"\1" * 3000
    assert target.strides == (0,)


def test_calls_side_by_side_run_in_threads_of_their_own_at_the_same_time():
    meeting = threading.Barrier(3, timeout=600)
    assert run_side_by_side([meeting.wait] * 3) > 0
    assert not meeting.broken


@cache
def _peak():
    return measure_peak(quick=True)


def test_the_machine_has_rates_for_products_and_for_copies_of_every_size():
    peak = _peak()
    assert peak.device == "cpu"
    assert {"float32", "float64"} <= set(peak.gemm_gflops)
    assert list(peak.copy_by_bytes) == [str(size) for size in COPY_BYTES]
    assert peak.copy_gbs == peak.copy_by_bytes[str(COPY_BYTES[-1])]
    assert min(peak.gemm_gflops.values()) > 0
    assert min(peak.copy_by_bytes.values()) > 0


def test_narrow_formats_run_at_least_like_float32():
    assert widen({"float32": 9.0, "float16": 1.0, "bfloat16": 20.0}) == {
        "float32": 9.0, "float16": 9.0, "bfloat16": 20.0,
    }  # fmt: skip
    assert widen({"float32": 9.0}) == {"float32": 9.0}


def test_an_unknown_device_is_said():
    with pytest.raises(UsageError, match="got 'abacus', wanted one of cpu, cuda"):
        measure_peak("abacus")


@pytest.mark.parametrize(("allowed", "name"), [(True, "high"), (False, "highest")])
def test_tf32_is_switched_so_that_both_of_torchs_names_for_it_agree(allowed, name):
    """If they disagree, torch 2.11 refuses matrix products on a device, and both reads below."""
    torch = pytest.importorskip("torch")
    before = torch.get_float32_matmul_precision()
    with switch_tf32(torch, allowed=allowed):
        assert torch.get_float32_matmul_precision() == name
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.gpu("torch-cudnn")
def test_a_cuda_device_has_rates_with_and_without_tf32():
    import torch

    before = torch.get_float32_matmul_precision()
    peak = measure_peak("cuda", quick=True)
    assert torch.get_float32_matmul_precision() == before
    assert {"float32", "tf32", "float16", "bfloat16", "float64"} == set(peak.gemm_gflops)
    assert min(peak.gemm_gflops.values()) > 0
    assert peak.copy_gbs > 0
