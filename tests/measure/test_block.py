"""Blocks with a simulated clock: no test asserts a real duration."""

import itertools
from dataclasses import replace

import pytest

from harness.measure.block import LEAST_CALLS, LEAST_SAMPLE_NS, RAISE_NS, STILL, Ready, calibrate, time_block
from harness.measure.device_clock import Gpu


class MovedClock:
    """A clock that advances by the durations that calls return."""

    name = "moved"

    def __init__(self):
        self.now, self.timed = 0, 0

    def time(self, run):
        begun = self.now
        result = run()
        self.timed += 1
        return result, self.now - begun, self.now - begun


def _ready(monkeypatch, call_ns, members=2, **more):
    clock, calls = MovedClock(), []
    monkeypatch.setattr("harness.measure.block.read_clock", lambda: clock.now)

    def make(member):
        def call():
            calls.append(member)
            clock.now += call_ns
            return member, len(calls)

        return call

    return Ready(calls=tuple(map(make, range(members))), clock=clock, **more), calls


def test_a_short_call_is_looped_until_the_clock_matters_little(monkeypatch):
    ready = calibrate(_ready(monkeypatch, 1_000)[0])
    found = time_block(ready, 10_000_000, 0, 2)
    assert ready.loops * 1_000 >= LEAST_SAMPLE_NS
    assert set(found.samples_ns) == {1_000.0}


def test_a_long_call_is_timed_one_by_one_over_all_members(monkeypatch):
    ready, calls = _ready(monkeypatch, 50_000_000)
    ready = calibrate(ready)
    assert (ready.loops, len(calls)) == (1, LEAST_CALLS)
    found = time_block(ready, 10_000_000, 1_000_000, 2)
    assert (len(found.samples_ns), found.warmups, calls[-2:]) == (2, 1, [0, 1])


def test_the_budget_is_spent(monkeypatch):
    ready = calibrate(_ready(monkeypatch, 1_000_000)[0])
    assert len(time_block(ready, 10_000_000, 0, 2).samples_ns) == 10


def test_members_take_turns(monkeypatch):
    ready, calls = _ready(monkeypatch, 10_000)
    ready = calibrate(ready)
    before = len(calls)
    time_block(ready, 1, 0, 1)
    assert calls[before:] == [0, 1] * (ready.loops // 2)


@pytest.mark.parametrize("call_ns", [10_000, 1_000_000])
def test_every_call_that_is_timed_by_itself_has_new_contents(monkeypatch, call_ns):
    ready, calls = _ready(monkeypatch, call_ns)
    renewed = []
    ready = calibrate(replace(ready, renew=lambda member: renewed.append((member, len(calls))), apart=True))
    del renewed[:], calls[:]
    found = time_block(ready, 3_000_000, 0, 2)
    assert renewed == [(member, number) for number, member in enumerate(calls)]
    assert set(found.samples_ns) == {float(call_ns)}


def test_calls_that_are_queued_have_new_contents_before_each_sample(monkeypatch):
    ready, calls = _ready(monkeypatch, 10_000)
    renewed = []
    ready = calibrate(replace(ready, renew=lambda member: renewed.append((member, len(calls)))))
    del renewed[:], calls[:]
    found = time_block(ready, 3_000_000, 0, 2)
    assert renewed == [(m, n * ready.loops) for n in range(len(found.samples_ns)) for m in (0, 1)]


@pytest.mark.parametrize(("call_ns", "apart"), [(10_000, True), (10_000, False), (1_000_000, False)])
def test_any_call_of_a_block_may_be_looked_at_and_at_once(monkeypatch, call_ns, apart):
    ready, calls = _ready(monkeypatch, call_ns)
    ready, places = calibrate(replace(ready, apart=apart)), set()

    def look(member, result, took_ns):
        assert result == (member, len(calls) - (0 if apart or call_ns > 500_000 else 1 - member))  # nothing since
        last[:] = [len(calls) - before]

    for _ in range(60):
        before, last = len(calls), []
        time_block(ready, 4_000_000, 0, 4, look)
        places.add(last[0])
    if apart or call_ns > 500_000:
        assert len(places) > 3  # of four or more
    else:
        assert places  # the last of a sample, by either member


def test_an_arm_is_warmed_before_it_is_timed(monkeypatch):
    ready = calibrate(_ready(monkeypatch, 100_000)[0])
    assert time_block(ready, 1, 5_000_000, 1).warmups == 50


def test_cold_calls_are_single_and_follow_a_flush_each(monkeypatch):
    flushed = []
    ready, calls = _ready(monkeypatch, 1_000, flush=lambda: flushed.append(len(calls)))
    ready = calibrate(ready)
    before = len(calls)
    found = time_block(ready, 5_000, 0, 2)
    assert ready.loops == 1
    assert flushed == list(range(before, before + len(found.samples_ns)))


@pytest.mark.parametrize(("call_ns", "apart"), [(10_000, True), (10_000, False), (1_000_000, False)])
@pytest.mark.parametrize("when", range(5))
def test_a_core_that_is_lost_between_two_readings_leaves_no_more_waiting_than_time(monkeypatch, call_ns, apart, when):
    ready, _ = _ready(monkeypatch, call_ns)
    ready, waits, readings = calibrate(replace(ready, apart=apart)), [0], itertools.count()

    def read_waited():
        found = waits[0]
        if next(readings) % 5 == when:
            ready.clock.now += 7_000
            waits[0] += 7_000
        return found

    monkeypatch.setattr("harness.measure.block.waited_reader", lambda: read_waited)
    found = time_block(ready, 4_000_000, 0, 4, lambda member, result, call_ns: None)
    assert waits[0] > 0
    assert found.span_ns - found.waited_ns == found.timed_ns


def test_known_work_is_done_once_in_every_sample_inside_the_timed_region(monkeypatch):
    ready, _ = _ready(monkeypatch, 1_000)
    ready = calibrate(ready)

    def extra():
        ready.clock.now += 500 * ready.loops

    assert set(time_block(replace(ready, extra=extra), 1_000_000, 0, 2).samples_ns) == {1_500.0}


def _rising(readings):
    """A device whose clock reads these values in turn; the last one stays."""
    left = list(readings)
    return lambda: Gpu(sm_mhz=left.pop(0) if len(left) > 1 else left[0], reasons=0)


def test_a_device_gets_calls_until_its_clock_rises_no_more(monkeypatch):
    ready, _ = _ready(monkeypatch, 1_000_000, read_gpu=_rising([345.0, 900.0, 1980.0, 1980.0]))
    found = time_block(ready, 1, 5_000_000, 1)
    assert found.warmups == 5 + (3 + STILL - 1) * 5  # as for any device, three times as much until nothing rose, and on
    assert [one.sm_mhz for one in found.gpu] == [1980.0, 1980.0]


def test_a_clock_that_a_driver_tells_late_is_waited_for(monkeypatch):
    ready, _ = _ready(monkeypatch, 1_000_000, read_gpu=_rising([345.0, 345.0, 345.0, 1980.0]))
    assert [one.sm_mhz for one in time_block(ready, 1, 5_000_000, 1).gpu] == [1980.0, 1980.0]


def test_a_clock_that_never_stops_rising_is_not_waited_for_long(monkeypatch):
    ready, _ = _ready(monkeypatch, 1_000_000, read_gpu=_rising([1.03**n for n in range(1000)]))
    assert RAISE_NS // 1_000_000 <= time_block(ready, 1, 5_000_000, 1).warmups <= RAISE_NS // 1_000_000 + 10


def test_a_device_whose_clock_cannot_be_read_says_nothing(monkeypatch):
    ready, _ = _ready(monkeypatch, 1_000_000, read_gpu=lambda: None)
    found = time_block(ready, 1, 5_000_000, 1)
    assert (found.gpu, found.warmups) == ((), 5)
