"""Requests that are sent together: the same answers, in the same order, and exceptions that do not get lost."""

from types import SimpleNamespace

import numpy as np
import pytest

import harness
from harness.laws.subject import BackendUnderTest
from harness.plan.cell import Limits
from harness.plugins.manager import load_plugins
from harness.problems import make_arrays
from harness.worker.hosted.backend import make_hosted
from harness.worker.hosted.process import Host, HostDiedError
from harness.worker.hosted.raised import HostError
from harness.worker.hosted.subject import HostedUnderTest
from harness.worker.protocol import Start
from harness.worker.wire.channel import Channel
from harness.worker.wire.messages import Replies, Synchronize, Value, encoder
from tests.conftest import ROOT

PROBLEM = harness.parse_line("conv x=2x2x9 w=3x2x3 data=integer")
POOL = harness.parse_line("max_pool x=2x3x9 kernel=2 stride=2 data=integer")
BACKEND = "numpy-direct"
PLUGINS = tuple(row.name for row in load_plugins(()).rows)


class Counting(Channel):
    """A channel that counts its requests."""

    messages = 0

    def ask(self, body):
        self.messages += 1
        return super().ask(body)


@pytest.fixture(scope="module")
def host():
    host = Host()
    host.channel = Counting(host.channel.end)
    loaded = host.start(Start(plugins=PLUGINS, extra=(), backend=BACKEND))
    host.declared = loaded.declared
    yield host
    host.close()


@pytest.fixture
def subject(host):
    return HostedUnderTest(make_hosted(host, host.declared), PROBLEM)


def _in_process():
    return BackendUnderTest(load_plugins(()).backends[BACKEND], PROBLEM)


def _count(host, work):
    before = host.channel.messages
    found = work()
    return found, host.channel.messages - before


def _walk(subject):
    """Calls on views and on arrays that are filled in between; the last two are on the same ones."""
    devices = subject.devices(PROBLEM, make_arrays(PROBLEM))
    x = devices["x"]
    yield subject.plain(PROBLEM, devices)
    yield subject.plain(PROBLEM, {**devices, "x": x[..., ::-1]})
    yield subject.prepare_devices(PROBLEM, {**devices, "x": x[::-1]})
    x[...] = x + x
    yield subject.plain(PROBLEM, devices)
    yield subject.plain(PROBLEM, devices)


def test_calls_that_are_made_together_answer_as_one_by_one(host, subject):
    subject.devices(PROBLEM, make_arrays(PROBLEM))  # from now on, the library and dtype of such arrays are known
    alone = [call.answer()["y"] for call in _walk(subject)]
    here = [answer["y"] for answer in _in_process().answer_all(_walk(_in_process()))]
    together, messages = _count(host, lambda: [answer["y"] for answer in subject.answer_all(_walk(subject))])
    for other in (here, together):
        assert all(np.array_equal(a, b) for a, b in zip(alone, other, strict=True))
    assert not np.array_equal(alone[0], alone[1]) and not np.array_equal(alone[0], alone[3])
    assert messages == 1


def test_results_that_are_held_are_those_of_their_own_call(host, subject):
    arrays, calls = make_arrays(POOL), []
    subject.devices(POOL, arrays)  # from now on, the library and dtype of such arrays are known

    def run():
        with subject.together():
            calls.append(subject.prepare(POOL, arrays))
            first = calls[0].run()
            other = subject.plain(POOL, subject.devices(POOL, {"x": -arrays["x"]})).run()
            return calls[0].fetch(first), calls[0].fetch(other)

    (first, other), messages = _count(host, run)
    assert messages == 2
    assert {name: a.tobytes() for name, a in first.items()} == {
        name: a.tobytes() for name, a in calls[0].answer().items()
    }
    assert np.array_equal(other["y"], _in_process().run(POOL, {"x": -arrays["x"]})["y"])


@pytest.mark.parametrize(("waiting", "wanted"), [(2**22, 1), (20, 2)])
def test_results_of_several_calls_are_fetched_together(host, subject, monkeypatch, waiting, wanted):
    """One message fetches small results of two problems, each to its own call; large ones are fetched one by one."""
    monkeypatch.setattr("harness.worker.hosted.subject.MOST_WAITING", waiting)
    arrays = {problem: make_arrays(problem) for problem in (PROBLEM, POOL)}
    for problem, own in arrays.items():
        subject.devices(problem, own)  # from now on, the library and dtype of such arrays are known

    def fetch(subject):
        with subject.together():
            calls = [subject.plain(problem, subject.devices(problem, own)) for problem, own in arrays.items()]
            return subject.fetch_all([(call, call.run()) for call in calls])

    found, messages = _count(host, lambda: fetch(subject))
    alone = [subject.run(problem, own) for problem, own in arrays.items()]
    for other in (alone, fetch(_in_process())):
        assert [{name: a.tobytes() for name, a in one.items()} for one in other] == [
            {name: a.tobytes() for name, a in one.items()} for one in found
        ]
    assert [list(one) for one in found] == [["y"], ["y", "indices"]]
    assert messages == wanted


def test_the_anchor_of_all_laws_takes_one_message(host, subject):
    law = load_plugins(()).law("agrees-with-reference")
    law.check(subject, PROBLEM)
    found, messages = _count(host, lambda: law.check(subject, PROBLEM))
    assert found.passed and messages == 1


def test_an_exception_is_raised_inside_and_what_follows_it_is_not_done(subject):
    devices = subject.devices(PROBLEM, make_arrays(PROBLEM))
    before = subject.to_hosts(devices)["x"]
    with pytest.raises(HostError) as caught, subject.together():
        devices["x"][...] = devices["w"]
        devices["x"][...] = devices["x"] + devices["x"]
    assert isinstance(caught.value, ValueError)
    assert np.array_equal(subject.to_hosts(devices)["x"], before)


def test_requests_outlive_an_exception_that_is_caught_among_them(subject):
    devices = subject.devices(PROBLEM, make_arrays(PROBLEM))
    before = subject.to_hosts(devices)["x"]
    with subject.together():
        devices["x"][...] = devices["x"] + devices["x"]
        with pytest.raises(ZeroDivisionError):
            subject.answer_all(1 // 0 for _ in range(1))
    assert np.array_equal(subject.to_hosts(devices)["x"], 2 * before)


def test_the_host_forgets_what_was_dropped_before_it_was_made(host, subject):
    def hold():
        with subject.together():
            devices = subject.devices(PROBLEM, make_arrays(PROBLEM))
            return devices["x"][::-1][::-1]

    kept = hold()
    assert np.array_equal(subject.to_hosts({"x": kept})["x"], make_arrays(PROBLEM)["x"])
    number = kept.number
    del kept
    subject.run(PROBLEM, make_arrays(PROBLEM))
    with pytest.raises(HostError) as caught:
        subject.hosted.to_hosts({"x": _Numbered(host, number)})
    assert isinstance(caught.value, KeyError)


class _Numbered(harness.worker.hosted.array.HeldArray):
    def __del__(self):
        pass


@pytest.mark.parametrize("items", [(), (Value(1), Value(2))])
def test_a_wrong_number_of_replies_ends_the_process(items):
    host = Host()
    body = encoder.encode(Replies(items))
    channel, host.channel = host.channel, SimpleNamespace(ask=lambda body: 1, hear=lambda ticket: body)
    with pytest.raises(HostDiedError):
        host.ask(Synchronize())
    assert host.process.poll() is not None
    host.channel = channel
    host.close()


TOGETHER = ("views-are-read-right", "prepared-calls-are-steady", "history-leaves-no-trace")
HOSTILE = {
    "writes-beyond-its-input": ("failed", "memory around x was written by the call"),
    "raises-surrogates": ("error", "ValueError"),
    "sys-exit-0": ("crashed", "exit code 0"),
}


def _pair_laws_and_hostile():
    """Pair every law with every hostile backend; one pair of each is quick."""
    for place, law in enumerate(TOGETHER):
        for number, name in enumerate(HOSTILE):
            yield pytest.param(law, name, marks=[] if place == number else [pytest.mark.slow])


@pytest.mark.parametrize(("law", "name"), list(_pair_laws_and_hostile()))
def test_a_law_that_asks_together_finds_hostile_calls(tmp_path, law, name):
    outcome, reason = HOSTILE[name]
    run = harness.run(
        "correctness", backends=[f"hostile:{name}"], problems=[PROBLEM.line], laws=[law],
        plugins=[str(ROOT / "tests" / "faulty" / "hostile.py")], output=tmp_path / "run",
        limits=Limits(time_s=60.0), jobs=1,
    )  # fmt: skip
    assert [(result.outcome, reason in (result.reason or "")) for result in run.results] == [(outcome, True)]
