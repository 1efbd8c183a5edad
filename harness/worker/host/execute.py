"""Work in the backend's process on one cell: prepare a call and time blocks of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import Copying, adopt
from harness.backend.routing import find_route
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.measure.instructions.counter import Counter, CountError
from harness.networks.problem import NetworkProblem
from harness.plan.task import parse_task
from harness.plugins.manager import Registry, load_plugins
from harness.record.run import CANNOT_TELL
from harness.worker.host.counted_problem import count_calls
from harness.worker.host.honesty import find_lie, find_lie_of_block
from harness.worker.host.timed_problem import Session, open_session, sample
from harness.worker.judging import Judge
from harness.worker.outcome import Seen, guard
from harness.worker.protocol import Checked, Count, Prepare, Sample, Sampled
from harness.worker.refused import judge_refusal, note_refusal
from harness.worker.timed_subject import find_untimed


def choose_subject(registry: Registry, backend: Backend, line: str, extra: tuple[str, ...] = ()) -> Seen:
    """Build the backend under test for a problem line; for a mixed network also load the partner that the line names.

    registry: plugins of this worker, which usually loads one backend.
    line: problem line of an operator or of a network.
    extra: `--plugin` arguments. All plugins are loaded, with these, if the registry lacks the partner.
    Raises LineError or GeometryError for an invalid line, UsageError for an unknown partner.
    """
    problem = parse_task(line, registry.networks)
    if not isinstance(problem, NetworkProblem):
        return BackendUnderTest(adopt(backend), problem)
    if not problem.mixed:
        return NetworkUnderTest(adopt(backend), problem)
    there = registry if problem.mixed in registry.backends else load_plugins(extra)
    return NetworkUnderTest(adopt(backend), problem, adopt(there.backend(problem.mixed)))


def prepare(choose: Callable[[], Seen], request: Prepare, judge: Judge | None = None) -> tuple[Session | None, Checked]:
    """Prepare a problem on the same arrays, process and plan that are timed later; verify its answers first.

    choose: builds the backend under test.
    request: of the run.
    judge: of timed calls; None judges in this process.
    Returns the session, None if the problem cannot be timed, and the reply with the outcome.
    """
    opened: list[Session] = []
    asked: list[Seen] = []

    def work() -> Checked:
        asked.append(choose())
        return open_verified(asked[0], request, opened, judge)

    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        reply = guard(work, settle=lambda error: settle(asked, error, judge))
    return (opened[0] if opened else None), reply


def settle(asked: Sequence[Seen], error: Exception, judge: Judge | None = None) -> Checked | None:
    """Return the outcome of an exception by which a backend refuses what it supports; None for others.

    asked: the backend under test; empty if there is none yet. error: what was raised.
    judge: it asks the backend once more itself; None does so here.
    """
    if not asked:
        return None
    return judge_refusal(asked[0], error) if judge is None else note_refusal(asked[0].backend, error)


def open_verified(
    subject: Seen, request: Prepare, opened: list[Session], judge: Judge | None = None, *, counted: bool = False
) -> Checked:
    """Prepare a problem as `prepare` does, and append its session to `opened`.

    subject: backend under test.
    request, judge: as for `prepare`. counted: whether its instructions are to be counted.
    What the harness itself cannot time is a result. An exception is one of the backend, or an accusation.
    """
    route = find_route(subject.backend, subject.problem)
    if route.kind == "unsupported":
        return Checked("unsupported", route.reason or None, declared=True)
    partner = subject.partner if isinstance(subject, NetworkUnderTest) else None
    copies = isinstance(subject.backend, Copying) or isinstance(partner, Copying)
    if untimed := find_untimed(subject.problem, route, copies, counted=counted):
        return Checked("unsupported", untimed)
    session = open_session(subject, request, judge)
    if request.probe and (lie := find_lie(session)):
        raise lie
    opened.append(session)
    return Checked("passed", None, session.deviation, session.facts)


def time_block(session: Session | None, request: Sample) -> Sampled | Checked:
    """Time a block of the session's problem; a wrong answer in it becomes the cell's result."""
    if session is None:
        return Checked("error", "nothing was made ready to be timed")
    with np.errstate(all="ignore"):
        return guard(lambda: sample_truly(session, request))


def sample_truly(session: Session, request: Sample) -> Sampled:
    """Time a block, and look for work that its calls have not done. Raises what is found."""
    sampled = sample(session, request)
    if lie := find_lie_of_block(session, request, sampled):
        raise lie
    return msgspec.structs.replace(sampled, spent_ns=time.perf_counter_ns() - sampled.begun_ns)


def count(choose: Callable[[], Seen], request: Count, counter: Counter | None, judge: Judge | None = None) -> Checked:
    """Prepare a problem and count its calls; verify all of their answers.

    choose, judge: as for `prepare`.
    request: of the run.
    counter: as opened when the process began; None if it counts nothing.
    """
    if counter is None:
        return Checked("error", "its process was started to count nothing")

    asked: list[Seen] = []

    def work() -> Checked:
        opened: list[Session] = []
        wanted = Prepare(problem=request.problem, number=0, probe=False, numerics=request.numerics)
        asked.append(choose())
        found = open_verified(asked[0], wanted, opened, judge, counted=True)
        if not opened:
            return found
        return Checked("passed", found.reason, found.deviation, counts=count_calls(opened[0], counter, request.calls))

    with np.errstate(all="ignore"):
        try:
            return guard(work, settle=lambda error: settle(asked, error, judge))
        except CountError as error:
            return Checked("skipped", f"{CANNOT_TELL} its instructions: {error}")
