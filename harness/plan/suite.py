"""Suites and problem sets: values that plugins register."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from harness.networks.architecture import Architecture
from harness.plan.bug import KnownBug
from harness.plan.task import Task
from harness.problems.validation import (
    check_callable,
    check_number,
    check_one_of,
    check_type,
    check_word,
    read_tuple,
    refuse,
)

CellKind = Literal["correctness", "consensus", "speed", "count"]
SuiteKind = Literal["correctness", "consensus", "speed", "whole"]
Mode = Literal["hot", "cold"]  # of the caches while timing
Depth = Literal["quick", "default", "full"]
_PROBLEMS = "a tuple of harness.NamedProblem"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProblem:
    """A problem with its usual name, and how often its network uses it.

    isolate: time it in processes that time nothing else, because it affects the caches of its neighbours.
    laws: names of the only laws of its suite that are applied; empty for all whose conditions hold.
    optional: one of very many, left out if they would take a backend longer than the suite's `breadth_s`.
    spared: names of laws of its suite that are applied to other problems in its place, and to this one at depth `full`.
    Raises UsageError for values of a wrong type; a list of laws is converted.
    """

    name: str
    problem: Task
    multiplicity: int = 1
    isolate: bool = False
    laws: tuple[str, ...] = ()
    optional: bool = False
    spared: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Reject values that would otherwise fail only during planning."""
        check_type("NamedProblem name", self.name, str, "a text")
        what = f"NamedProblem '{self.name}'"
        check_type(f"{what}, problem", self.problem, Task, "a harness.Problem, such as parse_line(text) gives")
        check_number(
            f"{what}, multiplicity", self.multiplicity, "a whole number of at least 1", least=1, whole=True
        )  # fmt: skip
        for field in ("laws", "spared"):
            names = read_tuple(f"{what}, {field}", getattr(self, field), str, "a tuple of names of laws")
            object.__setattr__(self, field, names)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """Named problems from one source, made on request."""

    name: str
    description: str
    problems: Callable[[], tuple[NamedProblem, ...]]

    def __post_init__(self) -> None:
        """Reject values that would otherwise fail only when the problems are requested."""
        check_word("ProblemSet name", self.name)
        check_type(f"ProblemSet '{self.name}', description", self.description, str, "a text")
        check_callable(f"ProblemSet '{self.name}', problems", self.problems, f"a function that gives {_PROBLEMS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Sampling of a speed suite: passes of fresh processes, each with several blocks of every cell.

    passes: number, unless a gate decides when there are enough.
    sample_s: time for samples of a cell in a pass.
    blocks: visits to a cell in a pass, an even number, in palindromic order.
    least_samples: smallest number in a block, however long a call takes.
    mode: caches hot, or flushed before every call.
    slowdown: in a qualification, known work added to each call in all arms but the first, as a share of the call;
        None elsewhere.
    """

    passes: int = 3
    sample_s: float = 0.3
    blocks: int = 2
    least_samples: int = 2
    mode: Mode = "hot"
    slowdown: float | None = None

    def __post_init__(self) -> None:
        """Reject settings with which nothing would be timed."""
        check_number("Timing passes", self.passes, "a whole number of at least 1", least=1, whole=True)
        check_number("Timing sample_s", self.sample_s, "seconds above 0", above=0)
        check_number("Timing blocks", self.blocks, "an even number of at least 2", least=2, whole=True)
        if self.blocks % 2:
            raise refuse("Timing blocks", self.blocks, "an even number of at least 2")
        check_number("Timing least_samples", self.least_samples, "a whole number of at least 1", least=1, whole=True)
        check_one_of("Timing mode", self.mode, get_args(Mode))
        if self.slowdown is not None:
            check_number("Timing slowdown", self.slowdown, "a share of at least 0, such as 0.02", least=0)

    @property
    def block_s(self) -> float:
        """Time for the samples of one block."""
        return self.sample_s / self.blocks


def _itself(problem: NamedProblem) -> tuple[NamedProblem, ...]:
    return (problem,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A test of backends.

    kind: correctness applies `laws` to `problems`, consensus lets all backends vote on them, speed times them, whole
        runs the suites named in `parts`.
    of_networks: builds problems from the registered architectures; None for a suite without networks.
    bugs: known bugs, tested on the backends that they name, instead of problems on all backends.
    take: maps a user-given problem to the problems that this suite runs, such as the layers of a network.
    laws: names of the laws to apply to every problem that meets their conditions; in a vote, to outvoted backends only.
    budget_s: a cell that is estimated to take longer is skipped.
    time_limit_s: after this time a cell's worker is killed; far above the budget, for busy machines.
    deeper: additional problems at depth `full`.
    breadth_s: estimated seconds that one backend may spend on optional problems, cheapest first; no limit at depth
        `full`.
    fills_memory: whether its problems may take all free memory: each cell then has its own process while no other runs,
        and a cell that runs out of memory is skipped.
    """

    name: str
    kind: SuiteKind
    description: str
    problems: Callable[[], tuple[NamedProblem, ...]] = tuple
    of_networks: Callable[[Sequence[Architecture]], tuple[NamedProblem, ...]] | None = None
    bugs: Callable[[], tuple[KnownBug, ...]] | None = None
    take: Callable[[NamedProblem], tuple[NamedProblem, ...]] = _itself
    laws: tuple[str, ...] = ()
    timing: Timing = Timing()
    parts: tuple[str, ...] = ()
    budget_s: float = 60.0
    time_limit_s: float = 120.0
    deeper: Callable[[], tuple[NamedProblem, ...]] = tuple
    breadth_s: float = math.inf
    fills_memory: bool = False

    def __post_init__(self) -> None:
        """Reject a suite that would leave a run without cells, or fail only during planning."""
        check_word("Suite name", self.name)
        what = f"suite '{self.name}'"
        check_one_of(f"kind of {what}", self.kind, get_args(SuiteKind))
        check_type(f"{what}, description", self.description, str, "a text")
        for name in ("problems", "deeper"):
            check_callable(f"{what}, {name}", getattr(self, name), f"a function that gives {_PROBLEMS}")
        for name in ("of_networks", "bugs"):
            if getattr(self, name) is not None:
                check_callable(f"{what}, {name}", getattr(self, name), "a function, or None")
        check_callable(f"{what}, take", self.take, "a function of a harness.NamedProblem")
        for name, wanted in (("laws", "a tuple of names of laws"), ("parts", "a tuple of names of suites")):
            object.__setattr__(self, name, read_tuple(f"{what}, {name}", getattr(self, name), str, wanted))
        check_type(f"{what}, timing", self.timing, Timing, "a harness.Timing")
        for name in ("budget_s", "time_limit_s", "breadth_s"):
            check_number(f"{what}, {name}", getattr(self, name), "seconds above 0", above=0)
        check_type(f"{what}, fills_memory", self.fills_memory, bool, "True or False")

    def all_problems(self, networks: Sequence[Architecture], depth: Depth = "default") -> tuple[NamedProblem, ...]:
        """Return the problems of the suite at a depth, including those of networks."""
        asked = self.problems() + (self.deeper() if depth == "full" else ())
        return asked + (self.of_networks(networks) if self.of_networks is not None else ())

    def take_all(self, given: Sequence[NamedProblem]) -> tuple[NamedProblem, ...]:
        """Return the problems to run for user-given ones, instead of the suite's own."""
        return tuple(problem for one in given for problem in self.take(one))
