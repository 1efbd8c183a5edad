"""Judgement of a timed problem in the judge's process, in answer to the backend's process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from harness.laws.deviation import Deviation
from harness.laws.verify import verify
from harness.problems.arrays import Array
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem
from harness.worker.hosted.backend import HostedBackend
from harness.worker.hosted.subject import HostedUnderTest
from harness.worker.judging import Contents, OwnJudge
from harness.worker.protocol import Checked, Reply, Sampled
from harness.worker.timed_subject import TimedOperator
from harness.worker.wire.messages import DrawSeed, Question, Seed, Verdict

POOL = 2  # contents that a prepared problem must have been right for


@dataclass(frozen=True, slots=True)
class Declared(TimedOperator):
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
        self.own = OwnJudge(Declared(HostedUnderTest(backend, problem), problem, backend.numerics_for(problem)))
        self.first: Deviation | None = None
        self.passed, self.failed = 0, list[Deviation]()
        self.begun_ns = 0

    def begin(self) -> None:
        """Begin a request."""
        self.passed, self.failed = 0, []
        self.begun_ns = time.perf_counter_ns()

    def answer(self, question: Question) -> Seed | Verdict:
        """Answer a question of the backend's process."""
        if isinstance(question, DrawSeed):
            return Seed(self.own.draw_seed())
        contents = Contents(
            seed=question.seed, renewed=question.renewed, word=question.word, stirred=question.stirred
        )  # fmt: skip
        outputs = {name: self.backend.host.read(placed) for name, placed in question.outputs.items()}
        found = self.own.judge(contents, outputs)
        if found.passed:
            self.passed += 1
            self.first = self.first or found
        else:
            self.failed.append(found)
        return Verdict(found)

    def approve(self, reply: Reply) -> Reply:
        """Return the reply to a request, or the outcome that the judgements made in its course stand for instead."""
        good = isinstance(reply, Sampled) or (isinstance(reply, Checked) and reply.outcome == "passed")
        if not good:
            return reply
        if self.failed:
            return Checked("failed", self.failed[0].describe(), self.failed[0])
        if self.passed < (1 if isinstance(reply, Sampled) else POOL):
            return Checked("error", "its process claims times without answers that were verified")
        if isinstance(reply, Sampled) and reply.timed_ns > time.perf_counter_ns() - self.begun_ns:
            return Checked("error", "its process claims more time in calls than has passed")
        if isinstance(reply, Checked):
            return Checked("passed", reply.reason, self.first, reply.samples)
        return reply
