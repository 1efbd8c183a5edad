"""Counters of instructions: what both kinds have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from harness.plan.counting import CounterKind

Result = TypeVar("Result")


class CountError(BaseException):
    """A count that cannot be taken, or is not that of the call. It passes through the calls of a backend."""


class Counter(Protocol):
    """Counts the instructions of calls in this process, of all its threads."""

    kind: CounterKind

    def begin(self) -> None:
        """Prepare to count the next calls. Raises CountError."""

    def count(self, call: Callable[[], Result]) -> tuple[Result, int]:
        """Return the result of a call, and the instructions of the call and of the counter's own reading.

        Raises CountError.
        """

    def end(self) -> None:
        """Stop counting until the next `begin`."""
