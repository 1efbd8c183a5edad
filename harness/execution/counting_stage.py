"""Counting stage: one worker for each arm counts the instructions of all its cells.

Counts do not depend on how busy the machine is, so that arms are counted side by side, and no device is leased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.execution.context import COUNTED_START_S, Execution, estimate_cell
from harness.execution.counted_start import CountedStart
from harness.machine.threads import ONE
from harness.plan.cell import Cell
from harness.record.run import result_of
from harness.worker.protocol import Checked

PREFIX = "harness-counts-"  # of the folder of dumps, among the temporary files of the system
SideBySide = Callable[[Execution, Callable[[Sequence[Cell]], None], Sequence[Sequence[Cell]]], None]


def count_problems(execution: Execution, run_side_by_side: SideBySide) -> None:
    """Count all cells that are left.

    run_side_by_side: runs parts of the work in threads.
    """
    left = {arm: execution.recorded.missing(cells) for arm, cells in execution.by_backend("count").items()}
    parts = [cells for cells in left.values() if cells]
    if not parts:
        return
    with TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        folders = {cells[0].arm: Path(made, str(number)) for number, cells in enumerate(parts)}
        run_side_by_side(execution, lambda cells: count_cells(execution, cells, folders[cells[0].arm]), parts)


def count_cells(execution: Execution, cells: Sequence[Cell], folder: Path) -> None:
    """Count the cells of one arm, in order.

    execution: of the run.
    folder: of the counter's dumps.
    """
    counting = execution.plan.counting
    assert counting is not None, "cells are counted by a plan with a counter"
    start = CountedStart(counting.counter, folder)
    arm = cells[0].arm
    execution.watch.working(arm, f"starting, with its instructions counted by {counting.counter}")
    with execution.supervisor(arm, ONE, observe=True, counting=start) as supervisor:
        for cell in cells:
            execution.watch.working(arm, f"instructions  {cell.line}")
            reply, seconds, pid = supervisor.count(cell, counting.calls, start.slower)
            execution.introduce(supervisor)
            if cell is cells[0]:
                execution.watch.advance(COUNTED_START_S[counting.counter])
            if supervisor.stopped:
                return
            assert isinstance(reply, Checked)
            result = result_of(
                cell, reply.outcome, reason=reply.reason or cell.route.reason or None, deviation=reply.deviation,
                seconds=seconds, worker=pid, threads=ONE, counts=reply.counts,
            )  # fmt: skip
            execution.record(result, estimate_cell(execution.registry, cell))
