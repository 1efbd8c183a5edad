"""Suites and problem sets: values that plugins register."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

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

Depth = Literal["quick", "default", "full"]
_PROBLEMS = "a tuple of harness.NamedProblem"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProblem:
    """A problem with the name that people know it by, and how often its network uses it.

    isolate: time it in processes that time nothing else, where it would leave traces in its neighbours' caches.
    laws: names of the only laws of its suite that it is asked; empty for all whose conditions hold.
    optional: one of very many, left out where a backend would need longer for them than the suite's `breadth_s`.
    Raises UsageError for values of a wrong type; a list of laws is converted.
    """

    name: str
    problem: Task
    multiplicity: int = 1
    isolate: bool = False
    laws: tuple[str, ...] = ()
    optional: bool = False

    def __post_init__(self) -> None:
        """Refuse what would fail only when the plan is made."""
        check_type("NamedProblem name", self.name, str, "a text")
        what = f"NamedProblem '{self.name}'"
        check_type(f"{what}, problem", self.problem, Task, "a harness.Problem, such as parse_line(text) gives")
        check_number(
            f"{what}, multiplicity", self.multiplicity, "a whole number of at least 1", least=1, whole=True
        )  # fmt: skip
        object.__setattr__(self, "laws", read_tuple(f"{what}, laws", self.laws, str, "a tuple of names of laws"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """Named problems from one source, made when they are asked for."""

    name: str
    description: str
    problems: Callable[[], tuple[NamedProblem, ...]]

    def __post_init__(self) -> None:
        """Refuse what would fail only when the problems are asked for."""
        check_word("ProblemSet name", self.name)
        check_type(f"ProblemSet '{self.name}', description", self.description, str, "a text")
        check_callable(f"ProblemSet '{self.name}', problems", self.problems, f"a function that gives {_PROBLEMS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a speed suite samples: passes of fresh processes, and in each several blocks of every cell.

    passes: how many, where no gate decides when there are enough; sample_s: time for samples of a cell in a pass.
    blocks: visits to a cell in a pass, an even number, in an order that reads the same from both ends.
    least_samples: in a block, however long a call takes. mode: caches hot, or flushed before every call.
    slowdown: in a qualification, the share of a call that is added as known work in every arm but the first; None
        elsewhere.
    """

    passes: int = 3
    sample_s: float = 0.3
    blocks: int = 2
    least_samples: int = 2
    mode: Literal["hot", "cold"] = "hot"
    slowdown: float | None = None

    def __post_init__(self) -> None:
        """Refuse a plan by which nothing would be timed."""
        check_number("Timing passes", self.passes, "a whole number of at least 1", least=1, whole=True)
        check_number("Timing sample_s", self.sample_s, "seconds above 0", above=0)
        check_number("Timing blocks", self.blocks, "an even number of at least 2", least=2, whole=True)
        if self.blocks % 2:
            raise refuse("Timing blocks", self.blocks, "an even number of at least 2")
        check_number("Timing least_samples", self.least_samples, "a whole number of at least 1", least=1, whole=True)
        check_one_of("Timing mode", self.mode, ("hot", "cold"))
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
    """What is asked of a backend.

    kind: correctness applies `laws` to `problems`, consensus lets all backends vote on them, speed times them, whole
        runs the suites named in `parts`.
    of_networks: problems that a suite of networks makes of all architectures that plugins handed over.
    bugs: known bugs that it asks of the backends that they name, instead of problems of all backends.
    take: what it makes of a problem that is given instead of its own, such as the layers of a network.
    laws: names of the laws to apply wherever their conditions hold; in a vote, to whoever is outvoted.
    budget_s: what one cell should cost; one that is estimated to cost more is skipped.
    time_limit_s: after what time a cell's worker is killed; far above the budget, for machines that are busy.
    deeper: problems that are asked beside the others where the depth is `full`.
    breadth_s: estimated seconds that one backend may spend on optional problems, cheapest first; without limit where
        the depth is `full`.
    fills_memory: its problems may take all memory that is free: each cell has a process of its own, while no other
        runs, and one that runs out of memory is skipped.
    """

    name: str
    kind: Literal["correctness", "consensus", "speed", "whole"]
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
        """Refuse what would leave a run without cells, or fail only when the plan is made."""
        check_word("Suite name", self.name)
        what = f"suite '{self.name}'"
        check_one_of(f"kind of {what}", self.kind, ("correctness", "consensus", "speed", "whole"))
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
        """Return the problems of the suite at a depth, of networks too where it is about them."""
        asked = self.problems() + (self.deeper() if depth == "full" else ())
        return asked + (self.of_networks(networks) if self.of_networks is not None else ())

    def take_all(self, given: Sequence[NamedProblem]) -> tuple[NamedProblem, ...]:
        """Problems that are asked instead of the suite's own."""
        return tuple(problem for one in given for problem in self.take(one))
