"""Outcome of the work on a cell: what a law found, or which error ended it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from harness.backend.routing import UnsupportedError
from harness.backend.watched import make_raised
from harness.errors import RefusalError, UsageError
from harness.laws.deviation import Deviation
from harness.laws.law import Law
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.worker.origin import describe_error
from harness.worker.protocol import Answered, Checked, Sampled
from harness.worker.refused import judge_refusal

Seen = BackendUnderTest | NetworkUnderTest
Found = TypeVar("Found", bound=Checked | Answered | Sampled)


class LieError(Exception):
    """A time cannot be true; it is an accusation until a fresh process shows the same."""


class CannotTellError(Exception):
    """Times are too uneven to decide whether they are true."""


class WrongAnswerError(Exception):
    """A timed call returned a wrong answer for its inputs."""

    def __init__(self, deviation: Deviation, when: str) -> None:
        super().__init__(f"{when}: {deviation.describe()}" if when else deviation.describe())
        self.deviation = deviation


def check(choose: Callable[[], Seen], law: Law) -> Checked:
    """Apply a law; an exception of the backend becomes the outcome `error` and does not end the worker.

    The route is resolved here too. The planner resolved it for its own version of the backend only; a law about
    refusals would otherwise be passed by any version that does not support the problem.
    """
    asked: list[Any] = []

    def work() -> Checked:
        subject: Any = choose()
        subject.watch()
        asked.append(subject)
        route = law.route(subject.backend, subject.problem)
        if route.kind == "unsupported":
            return Checked("unsupported", route.reason or None, declared=True)
        return _judge(law.check(subject, subject.problem))

    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        return guard(work, _refuse, lambda error: judge_refusal(asked[0], error) if asked else None)


def _refuse(error: RefusalError) -> Checked:
    """Return the outcome of a law that the harness, or the law itself, finds impossible to apply."""
    return Checked("unsupported" if isinstance(error, UnsupportedError) else "skipped", str(error) or None)


def guard(
    work: Callable[[], Found],
    refuse: Callable[[RefusalError], Checked] | None = None,
    settle: Callable[[Exception], Checked | None] | None = None,
) -> Found | Checked:
    """Return the result of the work, or the outcome that its error stands for.

    refuse: makes the outcome of a refusal, where the backend's own methods cannot raise one (`watch`). None where they
        can, as in timed calls: a refusal is then an error, and the harness states its own as a result of the work.
    settle: returns the outcome of an exception by which the backend's library refuses, and None for others.
    """
    try:
        return work()
    except WrongAnswerError as error:
        return Checked("failed", str(error), error.deviation)
    except LieError as error:
        return Checked("error", str(error), accuses=True)
    except CannotTellError as error:
        if not _is_own(error):
            return Checked("error", describe_error(error))
        return Checked("skipped", str(error) or None)
    except RefusalError as error:
        if refuse is None:
            return Checked("error", describe_error(make_raised(error)))
        return refuse(error)
    except MemoryError:
        return Checked("error", "MemoryError: out of memory")
    except Exception as error:
        return _settle(error, settle)


def _settle(error: Exception, settle: Callable[[Exception], Checked | None] | None) -> Checked:
    try:
        found = None if settle is None else settle(error)
    except UsageError as other:  # the backend names types that stand for other errors too
        return Checked("error", f"{describe_error(error)}; {other}")
    return found or Checked("error", describe_error(error))


def _is_own(error: CannotTellError) -> bool:
    """Return True if the harness's own code raised an error, and no method of the backend."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return all(frame.f_globals.get("__name__", "").startswith("harness.") for frame in frames)


def _judge(deviation: Deviation) -> Checked:
    if deviation.passed:
        return Checked("passed", deviation.idle, deviation)
    return Checked("failed", deviation.describe(), deviation)
