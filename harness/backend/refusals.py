"""Exceptions by which a backend's library says that it does not support something."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.backend.base import Backend
from harness.backend.routing import RoutedBackend
from harness.errors import HarnessError
from harness.problems.problem import Problem
from harness.problems.validation import refuse

WANTED = (
    "a tuple of exception types that mean nothing else than 'not supported': of the library, of your own, or "
    "NotImplementedError"
)


def is_refusal(backend: Backend, error: BaseException) -> bool:
    """Return True if an exception is of a type by which the backend's library refuses what it does not support.

    backend: names the types (`refusal_types`).
    error: raised in one of its calls.
    Raises UsageError if the backend names types that stand for other errors too.
    """
    if isinstance(backend, RoutedBackend):
        return getattr(error, "unsupported", None) is True  # its own process has looked at the types
    if isinstance(error, HarnessError) or not isinstance(error, Exception):
        return False
    return isinstance(error, list_refusal_types(backend))


@contextmanager
def name_problem(backend: Backend, problem: Problem) -> Iterator[None]:
    """Let an exception of a call in this process tell the problem that was asked, in its attribute `problem`.

    backend: that is called; for one in another process, the judge knows the request that raised. problem: of the call.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(backend, RoutedBackend):
            with suppress(AttributeError, TypeError):  # of a class that takes no attributes
                error.problem = problem  # type: ignore[attr-defined]
        raise


def find_problem(error: BaseException) -> Problem | None:
    """Return the problem of the call that raised an exception; None if it is not known."""
    found = getattr(error, "problem", None)
    return found if isinstance(found, Problem) else None


def list_refusal_types(backend: Backend) -> tuple[type[Exception], ...]:
    """Return the exception types by which the backend's library refuses.

    Raises UsageError if one of them is built in, except NotImplementedError, or the harness's: a ValueError is raised
    for everything, and would turn each error into a refusal.
    """
    found: object = backend.refusal_types()
    if not isinstance(found, tuple):
        raise refuse(f"backend '{backend.name}', refusal_types", found, WANTED)
    for one in found:
        if not isinstance(one, type) or not issubclass(one, Exception) or _is_too_wide(one):
            raise refuse(f"backend '{backend.name}', refusal_types", one, WANTED)
    return found


def _is_too_wide(kind: type[Exception]) -> bool:
    built_in = getattr(builtins, kind.__name__, None) is kind and kind is not NotImplementedError
    return built_in or issubclass(kind, HarnessError)
