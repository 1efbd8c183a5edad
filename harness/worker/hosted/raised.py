"""Exceptions of the backend's process, as they are raised in the judge's."""

from __future__ import annotations

import builtins
from functools import lru_cache

from harness.backend.routing import UnsupportedError
from harness.errors import HarnessError
from harness.problems.problem import Problem
from harness.worker.wire.messages import MOST_TEXT, Raised

MOST_TYPES = 20
_CAUGHT = (  # laws tell these apart; a class of the backend counts as the first that it is derived from
    ArithmeticError, AttributeError, IndexError, KeyError, MemoryError, NotImplementedError, OSError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip


class HostError(Exception):
    """An exception of the backend in its own process.

    where: the file and line that raised it, "" if unknown.
    unsupported: whether it is of a type by which the backend's library refuses.
    problem: of the call that raised it; None if unknown.
    """

    where: str = ""
    unsupported: bool = False
    problem: Problem | None = None


def make_error(raised: Raised) -> Exception:
    """Return an exception for one of the backend's process, of a class that laws tell apart like the original."""
    if raised.refused:
        return UnsupportedError(raised.text[:MOST_TEXT])
    error = _make_class(tuple(name[:MOST_TEXT] for name in raised.types[:MOST_TYPES]))(raised.text[:MOST_TEXT])
    error.where, error.unsupported = raised.where[:MOST_TEXT], raised.unsupported
    return error


@lru_cache(maxsize=256)
def _make_class(types: tuple[str, ...]) -> type[HostError]:
    """Return a subclass of HostError, and of the built-in class that a backend's exception is derived from."""
    if HarnessError.__name__ in types:
        bases: tuple[type, ...] = (HostError, HarnessError)
    else:
        found = next((kind for name in types for kind in _CAUGHT if kind.__name__ == name), None)
        bases = (HostError,) if found is None else (HostError, found)
    name = types[0] if types and types[0].isidentifier() else "Exception"
    return type(name, bases, {"__module__": builtins.__name__})
