"""Counted calls in the process of a backend: what is counted, and which work cannot be hidden from a counter."""

import sys
import time
from functools import partial

import pytest

from harness.laws.deviation import statement
from harness.measure.instructions.counter import CountError
from harness.record.counts import Counts
from harness.record.run import CANNOT_TELL
from harness.worker.host.execute import choose_subject, count
from harness.worker.hosted.examiner import Examiner
from harness.worker.judging import POOL, Contents
from harness.worker.protocol import Checked, Count
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


class Judged(Examiner):
    """An examiner that has seen as many right answers as it is told."""

    def __init__(self, answers, calls):
        self.request, self.failed, self.first = Count(problem=LINE, calls=calls), [], statement(True, "right")
        self.begun_ns = time.perf_counter_ns()
        self.passed = {Contents(seed=number) for number in range(answers)}


@pytest.mark.parametrize(
    ("answers", "instructions", "said"),
    [
        (POOL + CALLS, (7, 7, 7), None),
        (POOL + CALLS - 1, (7, 7, 7), "its process claims counts of calls without answers that were verified"),
        (POOL + CALLS, (7, 7), "its process gives no counts of the 3 calls that were asked for"),
        (POOL + CALLS, (7, 0, 7), "its process gives no counts of the 3 calls that were asked for"),
        (POOL + CALLS, None, "its process gives no counts of the 3 calls that were asked for"),
    ],
)
def test_the_judge_believes_no_count_without_its_answer(answers, instructions, said):
    counts = None if instructions is None else Counts(counter="kernel", instructions=instructions)
    found = Judged(answers, CALLS).approve(Checked("passed", None, counts=counts))
    assert (found.outcome, found.reason) == (("passed", None) if said is None else ("error", said))
    assert (found.counts == counts) == (said is None) or instructions is None


def test_a_wrong_answer_that_the_judge_has_seen_comes_first():
    examiner = Judged(POOL + CALLS, CALLS)
    examiner.failed.append(statement(False, "got 1, wanted 2"))
    found = examiner.approve(Checked("passed", None, counts=Counts(counter="kernel", instructions=(7, 7, 7))))
    assert found.outcome == "failed" and found.counts is None
