"""Counters of instructions: what both kinds have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeVar

Kind = Literal["kernel", "valgrind"]
Result = TypeVar("Result")


class CountError(Exception):
    """A count that cannot be taken, or is not that of the call."""


class Counter(Protocol):
    """Counts the instructions of calls in this process, of all its threads."""

    def begin(self) -> None:
        """Prepare to count the next calls. Raises CountError."""

    def count(self, call: Callable[[], Result]) -> tuple[Result, int]:
        """Return the result of a call, and the instructions of the call and of the counter's own reading.

        Raises CountError.
        """

    def end(self) -> None:
        """Stop counting until the next `begin`."""
