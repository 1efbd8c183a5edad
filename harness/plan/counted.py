"""Plans whose timed cells are counted instead."""

from __future__ import annotations

from dataclasses import replace

from harness.errors import UsageError
from harness.machine.threads import ONE, THREAD_VARIABLES
from harness.networks.problem import NetworkProblem
from harness.plan.arm import check_settings
from harness.plan.catalog import Catalog
from harness.plan.cell import Cell, Plan
from harness.plan.counting import Counting


def check_one_thread(threads: int | None) -> None:
    """Raise UsageError for a number of threads with which instructions are not counted; None is the default."""
    if threads not in (None, ONE):
        raise UsageError(
            f"threads: got {threads} with --metric instructions, which are counted of one thread: threads that wait "
            "retire instructions, too; wanted --threads 1, or none"
        )


def count_instead(plan: Plan, counting: Counting, catalog: Catalog) -> Plan:
    """Return the plan with counted cells in place of timed ones.

    counting: settings.
    catalog: backends by name.
    Raises UsageError if no cell is timed, or for an arm that sets threads.
    """
    if not any(cell.kind == "speed" for cell in plan.cells):
        raise UsageError(
            f"metric instructions: got suites without timed cells ({', '.join(plan.suites)}), wanted one of speed, "
            "such as speed-short"
        )
    check_settings(plan.arms, THREAD_VARIABLES)
    cells = (_count(cell, catalog) if cell.kind == "speed" else cell for cell in plan.cells)
    return replace(plan, cells=tuple(cells), counting=counting)


def _count(cell: Cell, catalog: Catalog) -> Cell:
    counted = replace(cell, kind="count", threads=ONE)
    if cell.decided is not None:
        return counted
    device = catalog.backend(cell.backend).device
    if device != "cpu":
        return replace(counted, decided="skipped", reason=f"instructions of a device ({device}) are not counted")
    if isinstance(cell.problem, NetworkProblem):
        return replace(counted, decided="skipped", reason="instructions of whole networks are not counted")
    return counted
