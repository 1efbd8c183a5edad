"""The law of threads: what it finds, and where it proves nothing and says so."""

import pytest

from harness.laws import threads
from suites.laws.threads import COUNTS, threads_agree
from tests.asking import ask
from tests.faulty.right import Right
from tests.faulty.threads import FAULTS, LimitIgnored, Pooled, share_out

CONV = "conv x=2x3x7 w=4x3x3 data=integer"


class Unreached(Pooled):
    """A pool of its own without a switch."""

    set_threads = None


def test_every_number_of_threads_is_asked():
    asked = []

    class Counts(Pooled):
        def set_threads(self, threads):
            asked.append(threads)
            super().set_threads(threads)

    assert ask(Counts(), threads_agree, CONV).outcome == "passed"
    assert COUNTS == (1, 2, 3, 5, 8)
    assert set(COUNTS) <= set(asked)


def test_a_pool_that_turns_proves_something():
    reply = ask(Pooled(), threads_agree, CONV)
    assert reply.outcome == "passed"
    assert not reply.deviation.proves_nothing


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_pool_is_found_on_a_problem_too_small_to_be_shared_out(fault):
    reply = ask(fault(), threads_agree, CONV)
    assert reply.outcome == "failed"
    assert ("set_threads(1) is ignored" if fault is LimitIgnored else f"with {fault.bad} threads") in reply.reason


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (Unreached, "no limit reaches the threads of pooled"),
        (Right, "no second thread works with limits up to 8 in max_pool"),
    ],
)
def test_where_no_pool_turns_the_law_proves_nothing_and_says_so(backend, reason):
    line = CONV if backend is Unreached else "max_pool x=2x3x7 kernel=3 data=integer"
    reply = ask(backend(), threads_agree, line)
    assert reply.outcome == "passed"
    assert reply.deviation.proves_nothing
    assert reason in reply.reason


def test_a_device_has_no_threads_of_the_processor():
    class Elsewhere(Pooled):
        device = "cuda"

    reply = ask(Elsewhere(), threads_agree, CONV)
    assert reply.deviation.proves_nothing
    assert "threads of the processor do not do the work" in reply.reason


@pytest.mark.parametrize("threads", COUNTS)
def test_parts_cover_everything_once(threads):
    assert [n for begin, end in share_out(17, threads) for n in range(begin, end)] == list(range(17))


def test_a_switch_that_is_ignored_without_a_word_is_seen_by_threads_that_work_at_once(monkeypatch):
    monkeypatch.setattr(threads, "watch_work", lambda call, meter: threads.Work(others=0.5, at_once=1.9))
    monkeypatch.setattr(threads, "CALM_S", 0.0)
    assert threads.watch_threads(Pooled(), lambda: None, (2, 3)).state == "ignored"
    monkeypatch.setattr(threads, "watch_work", lambda call, meter: threads.Work(others=0.9, at_once=0.9))
    assert threads.watch_threads(Pooled(), lambda: None, (2, 3)).state == "turned"  # a pool of one thread is one thread
    assert threads.watch_threads(Unreached(), lambda: None, (2, 3)).state == "ignored"
    monkeypatch.setattr(threads, "watch_work", lambda call, meter: threads.Work(others=0.0, at_once=0.9))
    assert threads.watch_threads(Pooled(), lambda: None, (2, 3)).state == "alone"
