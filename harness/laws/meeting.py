"""Calls that meet: one is stopped while others are made, and several are made at the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.problems.arrays import Array, Outputs
from harness.problems.problem import Problem

LEAST_CALLS, MOST_CALLS = 4, 400  # of each of the callers that overlap
OVERLAP_S = 0.006  # of processor time in each thread at least: calls of some microseconds are made very often

Taken = dict[str, Array] | BaseException  # outputs by name as NumPy arrays, or what the call raised instead


class Runs(Protocol):
    """A call with its arrays."""

    def run(self) -> Outputs:
        """Call once and wait until every queued operation has ended."""

    def fetch(self, result: Outputs) -> dict[str, Array]:
        """Return the outputs by name as new NumPy arrays."""


Make = Callable[[], Runs]  # returns the call to make next


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """One of several callers: it makes the same call each time, or prepares a call on new arrays each time.

    problem: of the call.
    call: None prepares one each time.
    arrays: inputs by name, of which new arrays are made; None if there is a call.
    """

    problem: Problem
    call: Runs | None
    arrays: Mapping[str, Array] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """A place where a call was stopped, as `file:line`, and the answers of the calls that were made there."""

    place: str
    answers: tuple[Taken, ...]


@dataclass(frozen=True, slots=True)
class Interruption:
    """The answer of a call that was stopped, its stops, and the number of different lines of the backend that it ran.

    One that is stopped where it holds a lock, for which another call waits, goes on, so that there may be fewer stops
    than were asked for.
    """

    answer: Taken
    stops: tuple[Stop, ...]
    lines: int


@dataclass(frozen=True, slots=True)
class Overlapping:
    """The answers of each of several callers at the same time; none if their calls did not end."""

    answers: tuple[tuple[Taken, ...], ...]
    ended: bool


class Meetings(Protocol):
    """Lets calls of one backend meet."""

    def interrupt(
        self, first: Caller, always: Sequence[Caller], turns: Sequence[Caller], stops: Sequence[int]
    ) -> Interruption:
        """Make a call in a thread of its own, stop it at lines of the backend's own Python, and make others there.

        first: the call that stops.
        always: made at every stop, in this order.
        turns: one of them at each stop, before these.
        stops: the lines where the call stops, numbered from 1 in the order in which each is met first.
        """

    def overlap(self, callers: Sequence[Caller]) -> Overlapping:
        """Let every caller call again and again, all at the same time, each in a thread of its own.

        Every caller makes at least LEAST_CALLS calls, or ends with an exception.
        """


def take(call: Callable[[], dict[str, Array]]) -> Taken:
    """Return outputs, or the exception that was raised instead."""
    try:
        return call()
    except Exception as error:
        return error


def call_once(make: Make) -> dict[str, Array]:
    """Make a call; return its outputs by name as new NumPy arrays."""
    call: Any = make()
    found: dict[str, Array] = call.fetch(call.run())
    return found
