"""Clocks with simulated times: no test asserts a real duration."""

import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from harness.errors import UsageError
from harness.measure.clocks import CudaClock, HostClock, choose_clock, clocks_disagree, elapsed_disagrees


class Hands:
    """A clock that advances only when the test moves it."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now

    def move(self, ns):
        self.now += ns
        return ns


def test_synchronisation_is_inside_the_timed_region():
    hands = Hands()
    clock = HostClock(lambda: hands.move(2_000), now=hands, second=hands)
    assert clock.time(lambda: hands.move(1_000)) == (1_000, 3_000, 3_000)


def test_both_clocks_are_read_and_the_second_lies_around_the_first():
    readings = []
    clock = HostClock(
        lambda: readings.append("wait"),
        now=lambda: readings.append("first") or 0,
        second=lambda: readings.append("second") or 0,
    )
    clock.time(lambda: readings.append("run"))
    assert readings == ["second", "first", "run", "wait", "first", "second"]


def test_a_clock_that_is_patched_later_is_not_asked(monkeypatch):
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 0)
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: 0)
    _, took_ns, around_ns = choose_clock("host", lambda: None).time(lambda: sum(range(1000)))
    assert 0 < took_ns <= around_ns


@pytest.mark.parametrize(
    ("took", "around", "word"),
    [
        (1_000_000, 1_000_100, ""),
        (1_000_000, 10_000_000, ""),  # interrupted once between two readings
        (100_000_000, 1_000_000_000, "behind"),
        (1_100_000, 1_000_000, "ahead"),
        (0, 20_000_000, "behind"),
    ],
)
def test_a_clock_that_runs_otherwise_than_the_second_is_found(took, around, word):
    reason = elapsed_disagrees(took, around)
    assert word in reason if word else reason is None


@pytest.mark.parametrize(
    ("device", "host", "word"),
    [
        (1_000_000, 1_000_000, ""),
        (1_000_000, 1_015_000, ""),  # launching takes its time
        (5_000, 25_000, ""),
        (1_049_000, 1_000_000, ""),
        (1_051_000, 1_000_000, "more than"),
        (932_000, 1_000_000, ""),  # 95 % of what launching leaves
        (930_000, 1_000_000, "another stream"),
        (0, 250_000, "another stream"),
    ],
)
def test_events_that_disagree_with_the_host_are_found(device, host, word):
    reason = clocks_disagree(device, host)
    assert word in reason if word else reason is None


def test_more_samples_may_take_more_launches():
    assert clocks_disagree(1_000_000, 1_300_000)
    assert clocks_disagree(1_000_000, 1_300_000, launch_ns=20 * 20_000) is None


def test_an_unknown_clock_is_said():
    with pytest.raises(UsageError, match="got 'sundial', wanted one of cuda, host"):
        choose_clock("sundial", lambda: None)


def test_importing_the_clocks_loads_no_library():
    code = "import harness.measure.clocks, sys; print([n for n in ('torch', 'cupy', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_device_the_cuda_clock_says_what_is_missing():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(UsageError, match=r"torch finds no device.*wanted PyTorch or CuPy with a CUDA device"):
        choose_clock("cuda", lambda: None)


class Device:
    """CuPy's names for events, on a device with given times in ns to launch, to compute and to report."""

    __name__ = "cupy"

    def __init__(self, begins_ns, overhead_ns):
        self.now, self.ready, self.waits = 0, 0, 0
        self.begins_ns, self.overhead_ns = begins_ns, overhead_ns
        runtime = SimpleNamespace(deviceSynchronize=self.wait)
        elapsed = lambda begin, end: (end.at - begin.at) / 1e6  # noqa: E731
        self.cuda = SimpleNamespace(
            runtime=runtime, Event=lambda: Event(self), get_elapsed_time=elapsed, is_available=lambda: True
        )

    def queue(self, ns):
        self.ready = max(self.ready, self.now + self.begins_ns) + ns

    def wait(self):
        self.waits += 1
        self.now = max(self.now, self.ready) + self.overhead_ns


class Event:
    def __init__(self, device):
        self.device = device

    def record(self):
        self.device.queue(0)
        self.at = self.device.ready


@pytest.mark.parametrize(("overhead_ns", "launch_ns"), [(1_000, 20_000), (40_000, 2 * 45_000), (10_000_000, 200_000)])
def test_the_room_between_events_and_the_host_is_measured_within_limits(monkeypatch, overhead_ns, launch_ns):
    device = Device(5_000, overhead_ns)
    monkeypatch.setattr("harness.measure.clocks.read_clock", lambda: device.now)
    assert CudaClock(lambda: None, device).launch_ns == launch_ns


def test_a_host_clock_waits_for_a_device_whose_backend_does_not(monkeypatch):
    device = Device(5_000, 1_000)
    monkeypatch.setattr("harness.measure.clocks.find_cuda", lambda: device)
    own = []
    clock = choose_clock("host", lambda: own.append(True), "cuda")
    clock.time(lambda: None)
    assert (len(own), device.waits) == (1, 1)
    choose_clock("host", lambda: None, "cpu").time(lambda: None)
    assert device.waits == 1


def _matrix():
    import torch

    return torch.full((4096, 4096), 0.5, device="cuda")


@pytest.mark.gpu("torch-cudnn")
def test_events_and_the_host_agree_on_the_current_stream():
    import torch

    a, clock = _matrix(), choose_clock("cuda", torch.cuda.synchronize)
    clock.time(lambda: a @ a)
    found = [clock.time(lambda: [a @ a for _ in range(20)][-1]) for _ in range(5)]
    assert float(found[0][0][0, 0]) == 1024.0
    lies = [clocks_disagree(device_ns, host_ns, clock.launch_ns) for _, device_ns, host_ns in found]
    assert "" in lies, lies  # one that was interrupted is no lie


@pytest.mark.gpu("torch-cudnn")
def test_work_on_another_stream_is_waited_for_and_found():
    import torch

    a, side = _matrix(), torch.cuda.Stream()
    clock = choose_clock("cuda", torch.cuda.current_stream().synchronize)  # does not wait for the other

    def run():
        with torch.cuda.stream(side):
            return [a @ a for _ in range(20)][-1]

    clock.time(run)
    _, device_ns, host_ns = clock.time(run)
    assert side.query()
    assert "another stream" in clocks_disagree(device_ns, host_ns)
