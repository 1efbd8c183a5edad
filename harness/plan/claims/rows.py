"""Rows of a file of claims: promises of support, and known faults."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.plan.claims.facts import matches, read_facts
from harness.problems.numerics import Dtype
from harness.problems.problem import Layout

FILE = "harness-claims.toml"
TIMED = "time"  # stands for a law in rows about timed cells
Outcome = Literal["failed", "error", "crashed", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Problems of a backend.

    backend: its name, or that of an arm such as `torch@set:NAME=VALUE`; a backend includes all of its arms.
    operators, dtypes, layouts, axes: permitted values; empty for all.
    windows: words of `WINDOWS` that a problem may have, and no others; None for all.
    problems: lines, or patterns of lines in which `*` stands for any characters; empty for all.
    """

    backend: str
    operators: tuple[str, ...] = ()
    dtypes: tuple[Dtype, ...] = ()
    layouts: tuple[Layout, ...] = ()
    axes: tuple[int, ...] = ()
    windows: tuple[str, ...] | None = None
    problems: tuple[str, ...] = ()

    def is_about(self, backend: str, arm: str) -> bool:
        """Return True if the row is about this arm of a backend."""
        return self.backend in (backend, arm)

    def covers(self, line: str) -> bool:
        """Return True if a problem line belongs to the scope; of a network, only patterns decide."""
        if self.problems and not any(matches(one, line) for one in self.problems):
            return False
        facts = read_facts(line)
        if facts is None:
            plain = self.operators or self.dtypes or self.layouts or self.axes or self.windows is not None
            return bool(self.problems) and not plain
        return (
            (not self.operators or facts.operator in self.operators)
            and (not self.dtypes or facts.dtype in self.dtypes)
            and (not self.layouts or facts.layout in self.layouts)
            and (not self.axes or facts.axes in self.axes)
            and (self.windows is None or facts.windows <= frozenset(self.windows))
        )

    def describe(self) -> str:
        """Return the scope in words."""
        parts = [", ".join(self.operators), ", ".join(self.dtypes), ", ".join(self.layouts)]
        parts.append(f"axes: {', '.join(map(str, self.axes))}" if self.axes else "")
        parts.append("" if self.windows is None else f"windows: {', '.join(self.windows) or 'plain'}")
        parts.append(", ".join(self.problems[:1]) + (f", {len(self.problems) - 1} more" if self.problems[1:] else ""))
        return "; ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Support that a backend promises.

    derived: whether an operator that the harness derives from others keeps the promise; the backend's own method is
        wanted otherwise.
    note: for readers.
    """

    scope: Scope
    derived: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFault:
    """Wrong results that are known.

    law: its name, or TIMED. outcome: of the results.
    diagnosis: the reason in the results, in which `*` stands for any characters.
    worst: largest error in units of its bound; None for any.
    reason: why the results are wrong, or why that is accepted. link: address of the report about it.
    expires: last day on which the row excuses anything.
    strict: whether a fault that is gone fails the run.
    """

    scope: Scope
    law: str
    outcome: Outcome
    diagnosis: str
    worst: float | None = None
    reason: str
    link: str
    expires: datetime.date
    strict: bool = False

    def is_expired(self, today: datetime.date | None) -> bool:
        """Return True if the row excuses nothing on a day; on an unknown day it never does."""
        return today is None or today > self.expires


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """All rows of a file, in its order.

    file: path as it was given.
    """

    file: str
    promises: tuple[Promise, ...] = ()
    faults: tuple[KnownFault, ...] = ()

    @property
    def scopes(self) -> Iterator[tuple[str, Scope]]:
        """Name and scope of each row."""
        yield from ((f"promise {number}", row.scope) for number, row in enumerate(self.promises, 1))
        yield from ((f"fault {number}", row.scope) for number, row in enumerate(self.faults, 1))
