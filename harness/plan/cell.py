"""The cell: one planned unit, suite x backend x problem x law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.backend.routing import Route
from harness.plan.arm import Arm
from harness.plan.bug import AskedBug
from harness.plan.gate import Gate
from harness.plan.task import Task

MAJORITY = "agrees-with-the-majority"  # stands where the cells of a vote have no law of their own
MAJORITY_FORMULA = "|y - y'| <= bound + bound' for more than half of at least three backends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One unit of a plan; every cell gets exactly one result.

    backend: the name of the arm, which is the backend's own unless arms were given.
    role: of its law (`Law.role`). slowdown: in a qualification, the share of a call that is added as known work, 0 for
        none; None elsewhere.
    isolate: in processes that time nothing else; where laws are checked, in a process for the cells of one label.
    decided: outcome that the plan alone decides, or None where a worker is asked; an error where the backend raised.
    estimate_s: what the planner thinks it costs.
    threads: how many a law is asked with; 0 stands for as many as the machine has processors.
    memory_bytes, need_bytes: of a cell that may take all free memory: its limit, and what the planner thinks it needs;
        0 for others, which share the run's limit.
    """

    number: int
    suite: str
    kind: Literal["correctness", "consensus", "speed"]
    backend: str
    label: str
    problem: Task
    line: str
    law: str = ""
    multiplicity: int = 1
    route: Route
    decided: Literal["unsupported", "skipped", "error"] | None = None
    reason: str = ""
    estimate_s: float = 0.0
    time_limit_s: float = 60.0
    role: str = ""
    slowdown: float | None = None
    isolate: bool = False
    threads: int = 1
    memory_bytes: int = 0
    need_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one cell may take, estimated and enforced; `time_s` None leaves each suite its own budget and limit.

    free_bytes: what a cell of a suite that fills the memory may take instead of memory_bytes; None for the same.
    """

    time_s: float | None = None
    memory_bytes: int = 6 * 2**30
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cells of a run, in the order of suites, arms and problems.

    arms: where they were given. bugs: known ones, on a backend each, whether cells could be planned or not.
    gate: what decides when there are enough passes, None for a number fixed beforehand.
    mode: of the caches while timing, None for the suites' own.
    """

    cells: tuple[Cell, ...]
    suites: tuple[str, ...]
    backends: tuple[str, ...]
    limits: Limits
    arms: tuple[Arm, ...] = ()
    gate: Gate | None = None
    bugs: tuple[AskedBug, ...] = ()
    mode: Literal["hot", "cold"] | None = None

    def arm(self, name: str) -> Arm:
        """The arm of a name: one that was given, that a known bug needs, or the backend of that name, here."""
        known = (one.as_arm for one in self.bugs)
        return next((arm for arm in (*self.arms, *known) if arm.name == name), Arm(name=name, backend=name))
