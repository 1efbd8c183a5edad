"""Work of a worker on one cell: apply a law, answer for a vote, or prepare a call and time blocks of it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from harness.backend.base import Backend
from harness.backend.routing import UnsupportedError
from harness.errors import HarnessError
from harness.laws.deviation import Deviation
from harness.laws.law import Law
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest, NoRoomError, NotExactError
from harness.networks.problem import NetworkProblem
from harness.plan.task import parse_task
from harness.plugins.manager import Registry, load_plugins
from harness.problems.data import make_arrays
from harness.problems.line import parse_line
from harness.worker.honesty import find_lie
from harness.worker.protocol import Answer, Answered, Checked, Prepare, Sample, Sampled, Values
from harness.worker.timed_problem import CannotTellError, LieError, Session, WrongAnswerError, open_session, sample

Seen = BackendUnderTest | NetworkUnderTest
Found = TypeVar("Found", Checked, Answered, Sampled)


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


def check(choose: Callable[[], Seen], law: Law) -> Checked:
    """Apply a law; an exception of the backend becomes the outcome `error` and does not end the worker.

    The route is resolved here too. The planner resolved it for its own version of the backend only; a law about
    refusals would otherwise be passed by any version that does not support the problem.
    """

    def work() -> Checked:
        subject: Any = choose()
        route = law.route(subject.backend, subject.problem)
        if route.kind == "unsupported":
            return Checked("unsupported", route.reason or None)
        return _judge(law.check(subject, subject.problem))

    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        return _guard(work)


def prepare(choose: Callable[[], Seen], request: Prepare) -> tuple[Session | None, Checked]:
    """Prepare a problem on the same arrays, process and plan that are timed later; verify its answers first.

    Returns the session, None if the problem cannot be timed, and the reply with the outcome.
    """
    opened: list[Session] = []

    def work() -> Checked:
        session = open_session(choose(), request)
        if request.probe and (lie := find_lie(session)):
            raise lie
        opened.append(session)
        return Checked("passed", None, session.deviation, session.facts)

    with np.errstate(all="ignore"):  # as above
        reply = _guard(work)
    return (opened[0] if opened else None), reply


def time_block(session: Session | None, request: Sample) -> Sampled | Checked:
    """Time a block of the session's problem; a wrong answer in it becomes the cell's result."""
    if session is None:
        return Checked("error", "nothing was made ready to be timed")
    with np.errstate(all="ignore"):
        return _guard(lambda: sample(session, request))


def answer(backend: Backend, request: Answer) -> Checked | Answered:
    """Return the outputs of a problem as computed by the backend's plain methods, or the outcome that prevented it."""
    problem = parse_line(request.problem)

    def work() -> Answered:
        outputs = BackendUnderTest(backend, problem).run(problem, make_arrays(problem))
        return Answered({name: Values(a.shape, a.astype(np.float64).tobytes()) for name, a in outputs.items()})

    with np.errstate(all="ignore"):
        return _guard(work)


def read_outputs(answered: Answered) -> dict[str, np.ndarray]:
    """Return the arrays of an answer by name."""
    return {name: np.frombuffer(b.data, np.float64).reshape(b.shape) for name, b in answered.outputs.items()}


def _guard(work: Callable[[], Found]) -> Found | Checked:
    try:
        return work()
    except WrongAnswerError as error:
        return Checked("failed", str(error), error.deviation)
    except LieError as error:
        return Checked("error", str(error), by_time=error.by_time)
    except (CannotTellError, NotExactError, NoRoomError) as error:
        return Checked("skipped", str(error) or None)
    except UnsupportedError as error:
        return Checked("unsupported", str(error) or None)
    except MemoryError:
        return Checked("error", "MemoryError: out of memory")
    except Exception as error:
        return Checked("error", describe_error(error))


def _judge(deviation: Deviation) -> Checked:
    if deviation.passed:
        return Checked("passed", deviation.idle or None, deviation)
    return Checked("failed", deviation.describe(), deviation)


def describe_error(error: Exception) -> str:
    """Return one line: the error, and the file and line where the backend raised it."""
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, HarnessError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({os.path.basename(frames[-1].filename)}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{where}"[:600]
