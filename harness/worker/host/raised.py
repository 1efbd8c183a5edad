"""The reply that stands for an exception of the backend."""

from __future__ import annotations

from harness.backend.base import Backend
from harness.backend.refusals import is_refusal
from harness.backend.routing import UnsupportedError
from harness.errors import read_text
from harness.worker.origin import find_origin
from harness.worker.wire.messages import MOST_TEXT, Raised


def describe_raised(error: BaseException, backend: Backend | None = None) -> Raised:
    """Describe an exception of the backend, whose own text may raise another.

    backend: says which types are refusals; None where no refusal is expected.
    """
    types = [UnsupportedError.__name__] if isinstance(error, UnsupportedError) else []
    types += [one.__name__ for one in type(error).__mro__ if one is not object]
    text, unsupported = read_text(error), False
    try:
        unsupported = backend is not None and is_refusal(backend, error)
    except Exception as other:  # what it declares is its error as well
        text = f"{text}; {read_text(other)}"
    return Raised(tuple(dict.fromkeys(types)), text[:MOST_TEXT], find_origin(error), False, unsupported)
