"""Cells: the units of a plan, suite x backend x problem x law."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.backend.routing import Route
from harness.laws.law import Role
from harness.plan.arm import Arm
from harness.plan.bug import AskedBug
from harness.plan.claims.rows import Claims
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plan.suite import CellKind, Mode
from harness.plan.task import Task

DECLINED = "by what its backend declares"  # suffix of the reason of a cell that would else be asked
MAJORITY = "agrees-with-the-majority"  # law of the cells of a vote
MAJORITY_FORMULA = "|y - y'| <= bound + bound' for more than half of at least three backends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One unit of a plan; every cell gets exactly one result.

    arm: name of the arm, equal to `backend` for a backend without an environment of its own. backend: registered name.
    law: name; "" for a timed cell.
    role: of the law (`Law.role`).
    slowdown: in a qualification, known work added to each call as a share of it, 0 for none; None elsewhere.
    isolate: for timed cells, use processes that time nothing else; for laws, a process for the cells with the same
        label.
    decided: outcome decided by the plan alone, None if a worker decides; `error` if the backend raised while planning.
    reason: of the decision, or a remark on the route; None without one.
    estimate_s: cost estimated by the planner.
    threads: of the worker for a law; 0 for as many as the machine has processors.
    memory_bytes, need_bytes: limit and estimated need of a cell that may take all free memory; 0 for others, which
        share the run's limit.
    """

    number: int
    suite: str
    kind: CellKind
    arm: str
    backend: str
    label: str
    problem: Task
    line: str
    law: str = ""
    multiplicity: int = 1
    route: Route
    decided: Literal["unsupported", "unavailable", "skipped", "error"] | None = None
    reason: str | None = None
    estimate_s: float = 0.0
    time_limit_s: float = 60.0
    role: Role = ""
    slowdown: float | None = None
    isolate: bool = False
    threads: int = 1
    memory_bytes: int = 0
    need_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one cell, used for estimates and enforced.

    time_s: None uses each suite's own budget and limit.
    free_bytes: replaces memory_bytes for cells of a suite that fills the memory; None for the same limit.
    """

    time_s: float | None = None
    memory_bytes: int = 6 * 2**30
    free_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All cells of a run, ordered by suite, arm and problem.

    arm_names: of all arms, in the order of the run. arms: empty unless they were given.
    gate: decides when there are enough passes; None for a fixed number.
    bugs: known bugs, each on one backend, even if no cells could be planned.
    mode: of the caches while timing; None for the suites' own.
    claims: about the backends, against which the run is held; None for none.
    counting: how instructions are counted instead of times; None if times are taken.
    """

    cells: tuple[Cell, ...]
    suites: tuple[str, ...]
    arm_names: tuple[str, ...]
    limits: Limits
    arms: tuple[Arm, ...] = ()
    gate: Gate | None = None
    bugs: tuple[AskedBug, ...] = ()
    mode: Mode | None = None
    claims: Claims | None = None
    counting: Counting | None = None

    def arm(self, name: str) -> Arm:
        """Return an arm by name: a given one, one of a known bug, or the backend of that name in this environment."""
        known = (one.as_arm for one in self.bugs)
        return next((arm for arm in (*self.arms, *known) if arm.name == name), Arm(name=name, backend=name))
