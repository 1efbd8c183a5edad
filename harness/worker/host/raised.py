"""The reply that stands for an exception of the backend."""

from __future__ import annotations

from harness.backend.routing import UnsupportedError
from harness.errors import read_text
from harness.worker.outcome import find_origin
from harness.worker.wire.messages import MOST_TEXT, Raised


def describe_raised(error: BaseException) -> Raised:
    """Describe an exception of the backend, whose own text may raise another."""
    types = [UnsupportedError.__name__] if isinstance(error, UnsupportedError) else []
    types += [one.__name__ for one in type(error).__mro__ if one is not object]
    return Raised(tuple(dict.fromkeys(types)), read_text(error)[:MOST_TEXT], find_origin(error), refused=False)
