"""Checks of the arguments of public constructors: unambiguous values are converted, others rejected in one line.

what: name of the argument, for the message. value, got: the value. kind: type of the value or of its elements.
wanted: description of the permitted values.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from types import UnionType
from typing import Any, TypeVar

from harness.errors import GeometryError, UsageError, unknown

Kind = type | UnionType
Word = TypeVar("Word", bound=str)


MOST_WORD_BYTES = 200  # of a name, which names files with a few letters more
WORD = f"a word without blanks or slashes, of printable characters and at most {MOST_WORD_BYTES} bytes"


def refuse(what: str, got: object, wanted: str) -> UsageError:
    """Build the error for a value that cannot be used."""
    return UsageError(f"{what}: got {got!r}, wanted {wanted}; see docs/plugins.md")


def read_tuple(what: str, value: Any, kind: Kind, wanted: str) -> tuple[Any, ...]:
    """Convert a list into a tuple, and check the type of every element. Raises UsageError, also for a string."""
    if not isinstance(value, tuple | list) or not all(_is(one, kind) for one in value):
        raise refuse(what, value, wanted)
    return tuple(value)


def read_sizes(what: str, value: Any, wanted: str) -> tuple[int, ...]:
    """Convert a list, or a tuple of another library's integers, into a tuple of int. Raises UsageError."""
    if not isinstance(value, tuple | list) or any(isinstance(one, bool) for one in value):
        raise refuse(what, value, wanted)
    try:
        return tuple(map(operator.index, value))
    except TypeError:
        raise refuse(what, value, wanted) from None


def check_one_of(what: str, value: object, allowed: Iterable[str]) -> None:
    """Raise UsageError, with the nearest name, unless a value is one of the allowed texts."""
    names = tuple(allowed)
    if not isinstance(value, str) or value not in names:
        raise unknown(what, value if isinstance(value, str) else repr(value), names, "docs/plugins.md")


def read_word(what: str, value: object, allowed: tuple[Word, ...]) -> Word:
    """Return the allowed word that a field of a problem holds, with the type of the allowed ones.

    what: name of the field, such as "dtype". value: to check. allowed: all words of the field.
    Raises GeometryError unless the value is one of them.
    """
    for word in allowed:
        if isinstance(value, str) and word == value:
            return word
    raise GeometryError(f"unknown {what}: got '{value}', wanted one of {', '.join(allowed)}")


def check_type(what: str, value: object, kind: Kind, wanted: str) -> None:
    """Raise UsageError unless a value has a type; True is no number."""
    if not _is(value, kind):
        raise refuse(what, value, wanted)


def check_number(
    what: str, value: Any, wanted: str, *, least: float = -math.inf, above: float = -math.inf, whole: bool = False
) -> None:
    """Raise UsageError unless a value is a number, at least `least` and more than `above`; NaN is rejected.

    whole: only integers are permitted.
    """
    if not _is(value, int if whole else int | float) or not (value >= least and value > above):
        raise refuse(what, value, wanted)


def check_callable(what: str, value: Callable[..., Any] | None, wanted: str) -> None:
    """Raise UsageError unless a value can be called."""
    if not callable(value):
        raise refuse(what, value, wanted)


def is_word(value: object) -> bool:
    """Return True for a name: it stands in lines, commands, tables and names of files, in each as it is."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and not any(c.isspace() or c == "/" for c in value)
        and 0 < len(value.encode()) <= MOST_WORD_BYTES
    )


def check_word(what: str, value: object) -> None:
    """Raise UsageError unless a value is a name, as `is_word` says."""
    if not is_word(value):
        raise refuse(what, value, WORD)


def _is(value: object, kind: Kind) -> bool:
    return isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)
