"""Work in the backend's process on one cell: answer for a vote, or prepare a call and time blocks of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.backend.base import Backend
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.networks.problem import NetworkProblem
from harness.plan.task import parse_task
from harness.plugins.manager import Registry, load_plugins
from harness.problems.data import make_arrays
from harness.problems.line import parse_line
from harness.worker.host.honesty import find_lie
from harness.worker.host.timed_problem import Session, open_session, sample
from harness.worker.judging import Judge
from harness.worker.outcome import Seen, guard
from harness.worker.protocol import Answer, Answered, Checked, Prepare, Sample, Sampled, Values


def choose_subject(registry: Registry, backend: Backend, line: str, extra: tuple[str, ...] = ()) -> Seen:
    """Build the backend under test for a problem line; for a mixed network also load the partner that the line names.

    registry: plugins of this worker, which usually loads one backend.
    line: problem line of an operator or of a network.
    extra: `--plugin` arguments. All plugins are loaded, with these, if the registry lacks the partner.
    Raises LineError or GeometryError for an invalid line, UsageError for an unknown partner.
    """
    problem = parse_task(line, registry.networks)
    if not isinstance(problem, NetworkProblem):
        return BackendUnderTest(backend, problem)
    if not problem.mixed:
        return NetworkUnderTest(backend, problem)
    there = registry if problem.mixed in registry.backends else load_plugins(extra)
    return NetworkUnderTest(backend, problem, there.backend(problem.mixed))


def prepare(choose: Callable[[], Seen], request: Prepare, judge: Judge | None = None) -> tuple[Session | None, Checked]:
    """Prepare a problem on the same arrays, process and plan that are timed later; verify its answers first.

    choose: builds the backend under test.
    request: of the run.
    judge: of timed operators; None judges in this process, as for networks in any case.
    Returns the session, None if the problem cannot be timed, and the reply with the outcome.
    """
    opened: list[Session] = []

    def work() -> Checked:
        subject = choose()
        elsewhere = judge if isinstance(subject, BackendUnderTest) else None
        session = open_session(subject, request, elsewhere)
        if request.probe and (lie := find_lie(session)):
            raise lie
        opened.append(session)
        return Checked("passed", None, session.deviation, session.facts)

    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        reply = guard(work)
    return (opened[0] if opened else None), reply


def time_block(session: Session | None, request: Sample) -> Sampled | Checked:
    """Time a block of the session's problem; a wrong answer in it becomes the cell's result."""
    if session is None:
        return Checked("error", "nothing was made ready to be timed")
    with np.errstate(all="ignore"):
        return guard(lambda: sample(session, request))


def answer(backend: Backend, request: Answer) -> Checked | Answered:
    """Return the outputs of a problem as computed by the backend's plain methods, or the outcome that prevented it."""
    problem = parse_line(request.problem)

    def work() -> Answered:
        outputs = BackendUnderTest(backend, problem).run(problem, make_arrays(problem))
        return Answered({name: Values(a.shape, a.astype(np.float64).tobytes()) for name, a in outputs.items()})

    with np.errstate(all="ignore"):
        return guard(work)


def read_outputs(answered: Answered) -> dict[str, np.ndarray]:
    """Return the arrays of an answer by name."""
    return {name: np.frombuffer(b.data, np.float64).reshape(b.shape) for name, b in answered.outputs.items()}
