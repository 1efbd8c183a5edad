"""Sampling with a clock that the test moves: no test asserts a real duration."""

from harness.timing.sample import LEAST_SAMPLE_NS, LEAST_WARM, sample


class FakeClock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


def _sample(call_ns, sync_ns=0, budget_ns=10_000_000, least=3):
    clock, calls = FakeClock(), []

    def call():
        calls.append(1)
        clock.now += call_ns
        return len(calls)

    def synchronize():
        clock.now += sync_ns

    return sample(call, synchronize, budget_ns, least, clock), calls


def test_a_short_call_is_looped_until_the_clock_matters_little():
    found, _ = _sample(1_000)
    assert found.loops * 1_000 >= LEAST_SAMPLE_NS
    assert set(found.samples_ns) == {1_000.0}


def test_a_long_call_is_timed_one_by_one_and_often_enough():
    found, calls = _sample(50_000_000)
    assert found.loops == 1
    assert len(found.samples_ns) == 3
    assert found.warmups == LEAST_WARM
    assert len(calls) == 3 + LEAST_WARM


def test_the_budget_is_spent():
    found, _ = _sample(1_000_000, budget_ns=10_000_000)
    assert len(found.samples_ns) == 10


def test_synchronisation_is_inside_the_timed_region():
    found, _ = _sample(1_000_000, sync_ns=2_000_000)
    assert set(found.samples_ns) == {3_000_000.0}


def test_the_last_timed_result_is_kept():
    found, calls = _sample(1_000_000)
    assert found.last == len(calls)
