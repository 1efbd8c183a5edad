"""Contests of the timing stage: the cells of one problem, which take turns, and the pairs that are compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace

from harness.execution.context import Execution
from harness.plan.cell import Cell, Plan
from harness.plan.suite import Timing


@dataclass(frozen=True, slots=True)
class Contest:
    """One problem and its cells, one for each arm of a family, which are timed in turns.

    base: cell of the family's first arm; None if the plan decided it, so that nothing can be compared.
    """

    cells: tuple[Cell, ...]
    timing: Timing
    base: Cell | None

    @property
    def isolated(self) -> bool:
        """True if its processes time nothing else."""
        return any(cell.isolate for cell in self.cells)


def make_contests(execution: Execution) -> list[Contest]:
    """Group the cells of the plan by problem and family of arms."""
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in execution.cells_of("speed"):
        groups[cell.suite, cell.line, execution.plan.arm(cell.arm).family].append(cell)
    suites, gate = execution.registry.suites, execution.plan.gate
    timings = {name: suite.timing for name, suite in suites.items()}
    if execution.plan.mode is not None:
        timings = {name: replace(timing, mode=execution.plan.mode) for name, timing in timings.items()}
    if gate is not None:
        seconds = gate.blocks * gate.block_s
        timings = {name: replace(timing, blocks=gate.blocks, sample_s=seconds) for name, timing in timings.items()}
    bases = base_arms(execution.plan)
    return [
        Contest(tuple(cells), timings[cells[0].suite], next((c for c in cells if c.arm in bases), None))
        for cells in groups.values()
    ]


def base_arms(plan: Plan) -> set[str]:
    """Return the first arm of every family."""
    first: dict[str, str] = {}
    for name in plan.arm_names:
        first.setdefault(plan.arm(name).family, name)
    return set(first.values())


def pair_cells(plan: Plan) -> list[tuple[Cell, Cell]]:
    """Return (base, new) pairs of timed cells, one per hypothesis, except pairs that the plan decided on both sides."""
    bases = base_arms(plan)
    cells = [cell for cell in plan.cells if cell.kind == "speed"]
    firsts = {(c.suite, c.line, plan.arm(c.arm).family): c for c in cells if c.arm in bases}
    pairs = [(firsts[c.suite, c.line, plan.arm(c.arm).family], c) for c in cells if c.arm not in bases]
    return [pair for pair in pairs if any(cell.decided is None for cell in pair)]
