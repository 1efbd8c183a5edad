"""Answers for a vote: the outputs of a problem, as the backend's plain methods compute them."""

from __future__ import annotations

import numpy as np

from harness.backend.routing import find_route
from harness.laws.subject import BackendUnderTest
from harness.problems.data import make_arrays
from harness.worker.outcome import guard
from harness.worker.protocol import Answered, Checked, Values
from harness.worker.refused import judge_refusal


def answer_vote(subject: BackendUnderTest) -> Checked | Answered:
    """Return the outputs of a backend under test on its problem, or the outcome that prevented them."""
    problem = subject.problem

    def work() -> Answered | Checked:
        route = find_route(subject.backend, problem)
        if route.kind == "unsupported":
            return Checked("unsupported", route.reason or None, declared=True)
        outputs = subject.run(problem, make_arrays(problem))
        return Answered({name: Values(a.shape, a.astype(np.float64).tobytes()) for name, a in outputs.items()})

    with np.errstate(all="ignore"):
        return guard(work, settle=lambda error: judge_refusal(subject, error))


def read_outputs(answered: Answered) -> dict[str, np.ndarray]:
    """Return the arrays of an answer by name."""
    return {name: np.frombuffer(b.data, np.float64).reshape(b.shape) for name, b in answered.outputs.items()}
