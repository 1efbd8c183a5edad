"""A backend whose methods cannot refuse in the harness's name.

Laws and routes of the harness refuse by raising a `RefusalError`. The same exception out of a backend's own method is
an error of the backend. Where both run in one process, laws get the backend through `watch`, which tells the two apart;
in another process, `harness.worker.hosted` does it.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from harness.backend.base import Backend
from harness.backend.declarations import SET_THREADS
from harness.backend.routing import RoutedBackend
from harness.errors import HarnessError, RefusalError
from harness.problems.operator import Operator

Kind = TypeVar("Kind", bound=Backend)
METHODS = frozenset(
    {
        "probe", "supports", "refusal_types", "numerics_for", "workspace", "work", "prepare", "to_device", "to_host",
        "synchronize", "versions", SET_THREADS, *(operator.value for operator in Operator),
    }
)  # fmt: skip


class RaisedError(HarnessError):
    """A refusal that a backend's method raised; `where` is the file and line that raised it."""

    where: str = ""


def watch(backend: Kind) -> Kind:
    """Return a view of a backend whose methods, and the calls that it prepares, raise `RaisedError` for a refusal.

    The view is of a subclass, and shares all attributes with the backend. A backend of another process is returned as
    it is: what it raises is no refusal in any case.
    """
    if isinstance(backend, RoutedBackend | _View):
        return backend
    view: Kind = object.__new__(_make_class(cast(Any, type(backend))))
    object.__setattr__(view, "_watched", backend)
    return view


class _View:
    """Takes every attribute from the backend that it shows."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return object.__getattribute__(self, name)
        value = getattr(object.__getattribute__(self, "_watched"), name)
        return _turn(value, name) if name in METHODS and callable(value) else value

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_watched"), name, value)


@cache
def _make_class(kind: Any) -> Any:
    return type(kind.__name__, (_View, kind), {"__module__": kind.__module__, "__qualname__": kind.__qualname__})


def _turn(method: Callable[..., Any], name: str = "") -> Callable[..., Any]:
    """Return a method that raises `RaisedError` for a refusal; so does the call that `prepare` returns."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            result = method(*arguments, **keywords)
        except RefusalError as error:
            raise make_raised(error) from error
        return _turn(result) if name == "prepare" else result

    for one in ("__func__", "__name__", "__doc__"):  # `__func__` tells whether a method is the backend's own
        if hasattr(method, one):
            setattr(call, one, getattr(method, one))
    return call


def make_raised(error: RefusalError) -> RaisedError:
    """Return the error that stands for a refusal of a backend: its name and text, and where it was raised."""
    raised: RaisedError = type(type(error).__name__, (RaisedError,), {})(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    raised.where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return raised
