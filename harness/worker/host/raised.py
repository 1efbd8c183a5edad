"""The reply that stands for an exception of the backend."""

from __future__ import annotations

from harness.backend.routing import UnsupportedError
from harness.worker.outcome import find_origin
from harness.worker.wire.messages import MOST_TEXT, Raised


def describe_raised(error: BaseException) -> Raised:
    """Describe an exception of the backend, whose own text may raise another."""
    try:
        text = str(error)
    except Exception as other:
        text = f"no message: its text raises {type(other).__name__}"
    types = [UnsupportedError.__name__] if isinstance(error, UnsupportedError) else []
    types += [one.__name__ for one in type(error).__mro__ if one is not object]
    text = text.encode(errors="backslashreplace").decode()  # lone surrogates cannot be sent
    return Raised(tuple(dict.fromkeys(types)), text[:MOST_TEXT], find_origin(error), False)
