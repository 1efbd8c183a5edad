"""Known bugs: public reports as data, with the problem lines and laws that show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.plan.arm import Arm, Environment
from harness.problems.line import parse_line
from harness.problems.problem import Problem

Shown = Literal["failed", "error", "crashed", "timeout"]
SET = "@set:"  # stands before NAME=VALUE in the name of an arm that has environment variables of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBug:
    """One public report of a wrong implementation.

    project, number: OWNER/NAME and the issue or pull request there; number 0 where this harness found it and nobody
        has reported it as far as known, with `name` to tell it apart.
    backends: names of the backends that it concerns, whether anyone offers them here or not.
    lines, laws: what shows it; every law is applied to every line where its conditions hold.
    shows: outcomes that are this bug. see: what is seen, in words.
    package, since, fixed: which of the libraries that a backend reports, first and first good version; empty where
        they are not known.
    flag: flag of the processor that it needs, as /proc/cpuinfo has it. set: environment variables that it needs.
    threads: of the worker; 0 leaves them to the run.
    seen: where it was seen, with versions; unseen: why it cannot be reproduced where it was looked for. One of both.
    domain: why the lines lie outside what the suite `correctness` can draw; empty where they lie inside.
    """

    project: str
    number: int = 0
    name: str = ""
    title: str
    backends: tuple[str, ...]
    lines: tuple[str, ...]
    laws: tuple[str, ...]
    see: str
    shows: tuple[Shown, ...] = ("failed",)
    package: str = ""
    since: str = ""
    fixed: str = ""
    flag: str = ""
    set: Mapping[str, str] = field(default_factory=dict)
    threads: int = 0
    seen: str = ""
    unseen: str = ""
    domain: str = ""

    @property
    def id(self) -> str:
        """The reference that people know: owner/name#number, or owner/name:name."""
        return f"{self.project}#{self.number}" if self.number else f"{self.project}:{self.name}"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The lines as problems."""
        return tuple(map(parse_line, self.lines))

    @property
    def alone(self) -> bool:
        """Whether it needs a process of its own: it may end or spoil it, or needs another number of threads."""
        return bool(self.threads or {"crashed", "timeout"} & {*self.shows})

    def arm(self, backend: str) -> str:
        """Name of the arm that shows it: the backend, with the environment variables that it needs."""
        return backend + SET + ",".join(f"{k}={v}" for k, v in self.set.items()) if self.set else backend


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBug:
    """A known bug as a run asks one backend about it.

    cells: how many cells were planned. hindrance: why it cannot show here, whatever the backend answers; empty where
    nothing is known to be in the way.
    """

    bug: KnownBug
    backend: str
    cells: int = 0
    hindrance: str = ""

    @property
    def arm(self) -> str:
        """Name of the arm that is asked."""
        return self.bug.arm(self.backend)

    @property
    def as_arm(self) -> Arm:
        """The arm that is asked, with its environment variables."""
        return Arm(name=self.arm, backend=self.backend, environment=Environment(settings=tuple(self.bug.set.items())))
