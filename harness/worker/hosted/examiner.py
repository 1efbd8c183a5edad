"""Judgement of a timed problem in the judge's process, in answer to the backend's process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from harness.laws.deviation import Deviation, statement
from harness.laws.subject import check_form
from harness.laws.verify import verify
from harness.problems.arrays import Array
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem
from harness.record.counts import Counts
from harness.record.run import CANNOT_TELL, REFUSED, WRONG
from harness.worker.hosted.backend import HostedBackend
from harness.worker.hosted.network import HostedNetworkUnderTest
from harness.worker.hosted.raised import HostError
from harness.worker.hosted.subject import HostedUnderTest
from harness.worker.judging import POOL, Contents, OwnJudge
from harness.worker.protocol import Checked, Count, Prepare, Reply, Sample, Sampled
from harness.worker.refused import hold_refusal
from harness.worker.timed_subject import TimedNetwork, TimedOperator, equal_outputs
from harness.worker.wire.messages import DrawSeed, JudgeOutputs, Question, Seed, Verdict

ROUNDED_NS = 0.01  # of a sample, which is rounded to this


@dataclass(frozen=True, slots=True)
class DeclaredOperator(TimedOperator):
    """An operator whose numerics are known: its backend cannot be asked while it waits for a judgement."""

    numerics: Numerics

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Compare with the reference, within the error bound of the declared numerics.

        host, outputs: by name.
        seed: for the random checks of a large problem; None uses the problem's own.
        """
        return verify(self.problem if seed is None else self.problem.with_(seed=seed), self.numerics, host, outputs)


class Examiner:
    """Judges one prepared problem, and holds replies about it against its own judgements."""

    def __init__(self, backend: HostedBackend, problem: Problem) -> None:
        """Judge the calls of a backend on a problem. Raises HostError if it cannot say how it computes."""
        self.backend = backend
        numerics = backend.numerics_for(problem)
        self.own = OwnJudge(DeclaredOperator(HostedUnderTest(backend, problem), problem, numerics))
        self.problem = problem
        self.loops = 1  # calls of a sample
        self.issued: set[int | None] = {None}  # seeds of contents: the problem's own, and all that were drawn
        self.first: Deviation | None = None
        self.begin()

    def begin(self, request: Prepare | Sample | Count | None = None) -> None:
        """Begin a request of the run."""
        self.request = request
        self.passed, self.failed = set[Contents](), list[Deviation]()
        self.begun_ns = time.perf_counter_ns()

    def answer(self, question: Question) -> Seed | Verdict:
        """Answer a question of the backend's process."""
        if isinstance(question, DrawSeed):
            seed = self.own.draw_seed()
            self.issued.add(seed)
            return Seed(seed)
        return Verdict(self.examine(question))

    def examine(self, question: JudgeOutputs) -> Deviation:
        """Judge outputs, and keep the judgement."""
        contents = Contents(seed=question.seed, renewed=question.renewed, word=question.word, stirred=question.stirred)
        with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
            found = self._judge(contents, question)
        self.keep(contents, found)
        return found

    def keep(self, contents: Contents, found: Deviation) -> None:
        """Keep a judgement of the outputs for these contents."""
        if found.passed:
            self.passed.add(contents)
            self.first = self.first or found
        else:
            self.failed.append(found)

    def _judge(self, contents: Contents, question: JudgeOutputs) -> Deviation:
        """Judge outputs that have the form of an answer, on contents that this judge knows."""
        if contents.seed not in self.issued:
            return statement(False, "its process names inputs that were never drawn")
        if set(question.outputs) != set(self.problem.operator.outputs):
            return statement(False, f"its process gave {', '.join(question.outputs) or 'nothing'} to be judged")
        try:
            outputs = {name: self.backend.host.read(placed) for name, placed in question.outputs.items()}
            for name, a in outputs.items():
                check_form(self.problem, name, a)
        except (HostError, ValueError) as error:
            return statement(False, str(error))
        return self.own.judge(contents, outputs)

    def approve(self, reply: Reply) -> Reply:
        """Return the reply to a request, or the outcome that the judgements made in its course stand for instead.

        A wrong answer that was seen here comes first. An accusation has to be shown again, and the host may invent it:
        it is only quoted then.
        """
        if isinstance(reply, Checked) and reply.outcome == "failed":
            return reply
        if self.failed:
            accusation = reply.reason if isinstance(reply, Checked) and reply.outcome in WRONG else None
            why = f"; its process says: {accusation}" if accusation else ""
            return Checked("failed", self.failed[0].describe() + why, self.failed[0])
        if isinstance(reply, Checked) and reply.outcome in WRONG:
            return reply
        if isinstance(reply, Checked) and reply.outcome == "unsupported" and (reply.reason or "").startswith(REFUSED):
            return hold_refusal(self.own.timed.subject, (reply.reason or "").removeprefix(REFUSED).lstrip(": "))
        if isinstance(reply, Checked) and reply.outcome != "passed":
            return reply if self._may_refuse(reply) else _contradict(reply)
        if len(self.passed) < self._least_passed():
            return Checked("error", "its process claims times without answers that were verified", accuses=True)
        if isinstance(self.request, Sample):
            return self._approve_times(reply)
        if not isinstance(reply, Checked):
            return _reject(reply)
        if isinstance(self.request, Count):
            lost = self._find_false_counts(reply.counts, self.request.calls)
            return Checked("error", lost) if lost else Checked("passed", reply.reason, self.first, counts=reply.counts)
        if reply.samples is None:
            return _reject(reply)
        self.loops = reply.samples.loops
        return Checked("passed", reply.reason, self.first, reply.samples)

    def _approve_times(self, reply: Reply) -> Reply:
        """Return a reply with the times of a block, or an error if it has none or if they are false."""
        if not isinstance(reply, Sampled):
            return _reject(reply)
        false = self._find_false_times(reply, time.perf_counter_ns() - self.begun_ns)
        return Checked("error", f"its process claims {false}", accuses=True) if false else reply

    def _least_passed(self) -> int:
        """Return the number of right answers without which no reply to the request is believed."""
        return 1 if isinstance(self.request, Sample) else POOL

    def _find_false_times(self, reply: Sampled, passed_ns: int) -> str | None:
        """Return what is false in the times of a block; None if nothing is.

        passed_ns: since the request, by the clock of this process.
        A block goes on until its calls have taken the time that was asked for, and its samples are that time divided by
        the calls. No margin is needed, however busy the machine is.
        """
        count = len(reply.samples_ns)
        total_ns, rounding_ns = sum(reply.samples_ns) * self.loops, ROUNDED_NS * self.loops * count + 1
        if reply.timed_ns > passed_ns:
            return "more time in calls than has passed"
        if not abs(total_ns - reply.timed_ns) <= rounding_ns:
            return f"samples of {total_ns / 1e6:.3g} ms altogether in {reply.timed_ns / 1e6:.3g} ms of calls"
        if isinstance(self.request, Sample) and (
            count < self.request.least or reply.timed_ns + 1 < self.request.budget_ns
        ):
            asked = f"{self.request.least} samples and {self.request.budget_ns / 1e6:.3g} ms"
            return f"{count} samples and {reply.timed_ns / 1e6:.3g} ms of calls, where {asked} were asked for"
        return None

    def _find_false_counts(self, counts: Counts | None, calls: int) -> str | None:
        """Return what is false in the counts of calls; None if nothing is. Each has inputs and a verified answer."""
        if counts is None or len(counts.instructions) != calls or min(counts.instructions) < 1:
            return f"its process gives no counts of the {calls} calls that were asked for"
        if len(self.passed) < POOL + calls:
            return "its process claims counts of calls without answers that were verified"
        return None

    def _may_refuse(self, reply: Checked) -> bool:
        """Return True if a refusal of the host, of a problem that it supports, rests on what can be checked here.

        All answers that the request needs were right. Beyond that, `skipped` says that times are too uneven to decide
        whether they are true, which concerns nothing but the times that are then not shown.
        """
        if len(self.passed) < self._least_passed():
            return False
        return reply.outcome == "skipped"


def mark_untold(reply: Reply) -> Reply:
    """Return a reply about times. Without times and without a fault it is no success, whatever its reason is."""
    if not isinstance(reply, Checked) or reply.outcome != "skipped" or (reply.reason or "").startswith(CANNOT_TELL):
        return reply
    return msgspec.structs.replace(reply, reason=f"{CANNOT_TELL}: {reply.reason or 'without a reason'}")


def _contradict(reply: Checked) -> Checked:
    """Return the outcome of a refusal that cannot be true."""
    return Checked("error", f"its process refuses to time what it supports: {reply.reason or 'it gives no reason'}")


def _reject(reply: Reply) -> Checked:
    """Return the outcome of a reply that claims success without what was asked for."""
    return Checked("error", f"its process claims success without what was asked for, in a {type(reply).__name__}")


class NetworkExaminer(Examiner):
    """Judges a whole network: every operator of a pass of the judge's own is compared with the reference.

    The backend's process computes these operators. It waits for the verdict when it asks, so that outputs are kept, and
    judged when its reply has come.
    """

    def __init__(self, backend: HostedBackend, subject: HostedNetworkUnderTest) -> None:
        """Judge the calls of a backend on a network."""
        self.backend, self.own = backend, OwnJudge(TimedNetwork(subject))
        self.loops, self.issued, self.first = 1, {None}, None
        self.begin()

    def begin(self, request: Prepare | Sample | Count | None = None) -> None:
        """Begin a request of the run."""
        super().begin(request)
        self.waiting: list[tuple[Contents, dict[str, Array]]] = []

    def examine(self, question: JudgeOutputs) -> Deviation:
        """Keep outputs for `approve`; the verdict is preliminary."""
        contents = Contents(seed=question.seed, renewed=question.renewed, word=question.word, stirred=question.stirred)
        found = statement(True, "kept to be judged")
        if contents.seed not in self.issued:
            found = statement(False, "its process names inputs that were never drawn")
        else:
            try:
                outputs = {name: self.backend.host.read(placed) for name, placed in question.outputs.items()}
            except HostError as error:
                found = statement(False, str(error))
            else:
                if not any(one == contents and _are_equal(outputs, other) for one, other in self.waiting):
                    self.waiting.append((contents, outputs))
        if not found.passed:
            self.failed.append(found)
        return found

    def approve(self, reply: Reply) -> Reply:
        """Judge the outputs that were kept; then see `Examiner`."""
        taken_ns = time.perf_counter_ns() - self.begun_ns
        if not (isinstance(reply, Checked) and reply.outcome == "failed"):
            with np.errstate(all="ignore"):  # as above
                for contents, outputs in self.waiting:
                    self.keep(contents, self._judge_outputs(contents, outputs))
        self.waiting.clear()
        self.begun_ns = time.perf_counter_ns() - taken_ns  # the time for judging is none of the backend's
        return super().approve(reply)

    def _judge_outputs(self, contents: Contents, outputs: Mapping[str, Array]) -> Deviation:
        try:
            return self.own.judge(contents, outputs)
        except KeyError as error:
            return statement(False, f"its process gave no {error} to be judged")


def _are_equal(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return set(first) == set(second) and equal_outputs(first, second)
