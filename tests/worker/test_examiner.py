"""The judge believes no reply about times or counts without the answers and the content that it needs."""

import time

import pytest

from harness.laws.deviation import statement
from harness.record.counts import Counts
from harness.record.passes import Pass
from harness.record.run import CANNOT_TELL
from harness.worker.hosted.examiner import Examiner
from harness.worker.judging import POOL, Contents
from harness.worker.protocol import Checked, Count, Prepare, Sample, Sampled

LINE, CALLS = "conv x=2x3x8x8 w=4x3x3x3", 3
PREPARE, COUNT = Prepare(problem=LINE, number=0), Count(problem=LINE, calls=CALLS)
SAMPLE = Sample(budget_ns=1_000, warm_ns=0, least=1)
SAMPLED = Sampled(samples_ns=(1_000.0,), host_ns=1_000, warmups=1, timed_ns=1_000, verify_ns=0, spent_ns=2_000)
PREPARED = Checked("passed", None, samples=Pass(
    number=0, process=1, loops=1, warmups=1, clock="host", device="cpu", prepare_ns=1, first_call_ns=1, samples_ns=(),
))  # fmt: skip
UNTOLD = Checked("skipped", f"{CANNOT_TELL} whether results are computed when they are looked at")


class Judged(Examiner):
    """An examiner that has seen as many right answers as it is told."""

    def __init__(self, request, answers):
        self.request, self.failed, self.first, self.loops = request, [], statement(True, "right"), 1
        self.begun_ns = time.perf_counter_ns()
        self.passed = {Contents(seed=number) for number in range(answers)}


@pytest.mark.parametrize(("request_", "answers"), [(SAMPLE, 1), (PREPARE, POOL)])
def test_a_machine_that_cannot_tell_accuses_nobody(request_, answers):
    assert Judged(request_, answers).approve(UNTOLD) == UNTOLD
    found = Judged(request_, answers - 1).approve(UNTOLD)
    assert found.outcome == "error" and found.reason.startswith("its process refuses to time what it supports")


@pytest.mark.parametrize(
    ("request_", "answers", "reply"), [(SAMPLE, 1, SAMPLED), (PREPARE, POOL, PREPARED)], ids=["sample", "prepare"]
)
def test_times_need_their_answers(request_, answers, reply):
    assert type(Judged(request_, answers).approve(reply)) is type(reply)
    found = Judged(request_, answers - 1).approve(reply)
    assert (found.outcome, found.accuses) == ("error", True)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (SAMPLE, Checked("passed", None)), (SAMPLE, PREPARED), (PREPARE, Checked("passed", None)), (PREPARE, SAMPLED),
        (COUNT, SAMPLED), (COUNT, PREPARED),
    ],
)  # fmt: skip
def test_success_without_what_was_asked_for_is_an_error(request_, reply):
    found = Judged(request_, POOL + CALLS).approve(reply)
    assert found.outcome == "error" and "its process " in found.reason


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
    found = Judged(COUNT, answers).approve(Checked("passed", None, counts=counts))
    assert (found.outcome, found.reason) == (("passed", None) if said is None else ("error", said))
    assert (found.counts == counts) == (said is None) or instructions is None


def test_a_wrong_answer_that_the_judge_has_seen_comes_first():
    examiner = Judged(COUNT, POOL + CALLS)
    examiner.failed.append(statement(False, "got 1, wanted 2"))
    found = examiner.approve(Checked("passed", None, counts=Counts(counter="kernel", instructions=(7, 7, 7))))
    assert found.outcome == "failed" and found.counts is None
