"""Outcome of the work on a cell: what a law found, or which error ended it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from harness.backend.routing import UnsupportedError
from harness.errors import HarnessError
from harness.laws.deviation import Deviation
from harness.laws.law import Law
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest, NoRoomError, NotExactError
from harness.worker.protocol import Answered, Checked, Sampled

Seen = BackendUnderTest | NetworkUnderTest
Found = TypeVar("Found", Checked, Answered, Sampled)


class LieError(Exception):
    """A time cannot be true; `by_time` if only other times say so, which must be confirmed."""

    def __init__(self, reason: str, *, by_time: bool = False) -> None:
        super().__init__(reason)
        self.by_time = by_time


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

    def work() -> Checked:
        subject: Any = choose()
        route = law.route(subject.backend, subject.problem)
        if route.kind == "unsupported":
            return Checked("unsupported", route.reason or None)
        return _judge(law.check(subject, subject.problem))

    with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
        return guard(work)


def guard(work: Callable[[], Found]) -> Found | Checked:
    """Return the result of the work, or the outcome that its error stands for."""
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
    where = getattr(error, "where", None)  # of an exception of the backend in its own process
    if isinstance(error, HarnessError) and where is None:
        return text
    where = find_origin(error) if where is None else where
    return f"{type(error).__name__}: {text}{f' ({where})' if where else ''}"[:600]


def find_origin(error: BaseException) -> str:
    """Return the file and line that raised an error; "" if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
