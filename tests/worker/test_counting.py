"""Counted calls in the process of a backend: what is counted, and which work cannot be hidden from a counter."""

import sys
from functools import partial

import pytest

from harness.measure.instructions.counter import CountError
from harness.record.run import CANNOT_TELL
from harness.worker.host.execute import choose_subject, count
from harness.worker.protocol import Count
from tests.asking import NOBODY
from tests.cheats import timing
from tests.faulty.cheating import FirstAnswer, Lazy
from tests.faulty.right import Right

LINE = "conv x=2x3x8x8 w=4x3x3x3"
CALLS = 3
EACH = 10_000  # for each function call, so that a few of them are as much as a count of instructions


class CountsCalls:
    """Counts the function calls of the interpreter, which are the same each time."""

    kind = "kernel"

    def __init__(self):
        self.open = 0

    def begin(self):
        self.open += 1

    def count(self, call):
        seen = [0]

        def see(frame, event, argument):
            seen[0] += EACH * event.endswith("call")

        sys.setprofile(see)
        try:
            return call(), seen[0]
        finally:
            sys.setprofile(None)

    def end(self):
        self.open -= 1


class Shared(CountsCalls):
    def count(self, call):
        super().count(call)
        raise CountError("the kernel counted during 50% of the call")


class UnderValgrind(CountsCalls):
    kind = "valgrind"


class Sends(Right):
    """A prepared call lets a process of its own work meanwhile."""

    name = "faulty:sends"

    def prepare(self, problem, arrays):
        import subprocess

        call = super().prepare(problem, arrays)
        work = "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass"

        def send():
            subprocess.run([sys.executable, "-I", "-S", "-c", work], check=True)
            return call()

        return send


class LazyWhereCounted(Right):
    """A call saves its work where it is counted."""

    name = "faulty:lazy-where-counted"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return y * 0 if sys.getprofile() is not None else y


def ask(backend, counter=None):
    request = Count(problem=LINE, calls=CALLS)
    return count(partial(choose_subject, NOBODY, backend, LINE), request, counter or CountsCalls())


def test_every_call_is_counted_on_contents_of_its_own():
    counter = CountsCalls()
    reply = ask(Right(), counter)
    assert reply.outcome == "passed", reply.reason
    assert reply.counts.counter == "kernel" and len(reply.counts.instructions) == CALLS
    assert min(reply.counts.instructions) > EACH and counter.open == 0


def test_more_calls_are_more():
    class Twice(Right):
        def conv(self, x, w, b, window):
            super().conv(x, w, b, window)
            return super().conv(x, w, b, window)

    assert ask(Twice()).counts.median > 1.2 * ask(Right()).counts.median


@pytest.mark.parametrize(
    ("backend", "outcome", "said"),
    [
        (FirstAnswer(), "error", "answers do not follow one changed element"),
        (LazyWhereCounted(), "failed", "in a counted call"),
        (Lazy(), "error", "results are computed when they are looked at"),
        (timing.Unfinished(), "error", "changed after synchronisation"),
    ],
)
def test_work_that_is_left_out_is_found(backend, outcome, said):
    reply = ask(backend)
    assert (reply.outcome, said in (reply.reason or "")) == (outcome, True), reply.reason
    assert reply.counts is None


def test_work_in_another_process_is_not_told():
    reply = ask(Sends(), UnderValgrind())
    assert reply.outcome == "skipped" and reply.reason.startswith(CANNOT_TELL)
    assert "other processes of the backend have worked for" in reply.reason


def test_a_count_that_was_shared_is_not_told():
    reply = ask(Right(), Shared())
    assert (reply.outcome, reply.reason) == (
        "skipped", f"{CANNOT_TELL} its instructions: the kernel counted during 50% of the call",
    )  # fmt: skip


def test_without_a_counter_nothing_is_counted():
    reply = count(partial(choose_subject, NOBODY, Right(), LINE), Count(problem=LINE, calls=CALLS), None)
    assert (reply.outcome, reply.reason) == ("error", "its process was started to count nothing")
