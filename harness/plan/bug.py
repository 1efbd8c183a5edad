"""Known bugs: public reports as data, with the problem lines and laws that show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from harness.plan.arm import Arm, Environment
from harness.problems.line import parse_line
from harness.problems.problem import Problem
from harness.problems.validation import check_one_of, read_tuple
from harness.problems.whole import Whole

Shown = Literal["failed", "error", "crashed", "timeout"]
SET = "@set:"  # precedes NAME=VALUE in the name of an arm with its own environment variables


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBug:
    """One public report of a wrong implementation.

    project, number: OWNER/NAME and the number of the issue or pull request. Number 0 is a bug found by this harness
        without a known report; `name` distinguishes it.
    backends: names of the affected backends, registered here or not.
    lines, laws: what shows it; every law is applied to every line that meets its conditions.
    shows: outcomes that are this bug.
    see: visible effect, in words.
    package, since, fixed: the affected one of the libraries that a backend reports, its first bad and first good
        version; "" if unknown.
    flag: processor flag that it needs, as in /proc/cpuinfo.
    set: environment variables that it needs.
    threads: of the worker; 0 leaves them to the run.
    seen, unseen: where it was seen, with versions, or why it cannot be reproduced where that was tried. Exactly one is
        set.
    domain: why the lines are outside of what the suite `correctness` can draw; None if they are inside.
    """

    project: str
    number: Whole = 0
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
    threads: Whole = 0
    seen: str = ""
    unseen: str = ""
    domain: str | None = None

    def __post_init__(self) -> None:
        """Reject outcomes that no result can have, with which the bug would never be seen. Raises UsageError."""
        what = f"known bug '{self.id}', shows"
        object.__setattr__(self, "shows", read_tuple(what, self.shows, str, "a tuple of outcomes, such as ('failed',)"))
        for outcome in self.shows:
            check_one_of(f"outcome of {what}", outcome, get_args(Shown))

    @property
    def id(self) -> str:
        """Usual reference: owner/name#number, or owner/name:name."""
        return f"{self.project}#{self.number}" if self.number else f"{self.project}:{self.name}"

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The lines as problems."""
        return tuple(map(parse_line, self.lines))

    @property
    def alone(self) -> bool:
        """True if it needs its own process: it may end or corrupt the process, or needs another number of threads."""
        return bool(self.threads or {"crashed", "timeout"} & {*self.shows})

    def arm(self, backend: str) -> str:
        """Return the name of the arm that shows it: the backend with the environment variables that the bug needs."""
        return backend + SET + ",".join(f"{k}={v}" for k, v in self.set.items()) if self.set else backend


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBug:
    """A known bug as tested on one backend in a run.

    cells: number of planned cells.
    hindrance: why it cannot show here, whatever the backend answers; None if no reason is known.
    """

    bug: KnownBug
    backend: str
    cells: Whole = 0
    hindrance: str | None = None

    @property
    def arm(self) -> str:
        """Name of the tested arm."""
        return self.bug.arm(self.backend)

    @property
    def as_arm(self) -> Arm:
        """The tested arm, with its environment variables."""
        return Arm(name=self.arm, backend=self.backend, environment=Environment(settings=tuple(self.bug.set.items())))
