"""State of the timing stage of a resumed run, made from the passes that were recorded before."""

from __future__ import annotations

from collections.abc import Sequence

from harness.execution.context import Execution
from harness.execution.timing_state import TimingState
from harness.record.journal import PassEntry
from harness.record.run import NO_PASS
from harness.worker.protocol import Checked


def restore_passes(state: TimingState) -> float:
    """Fill the state with recorded passes and results; return the seconds of the budget that they have spent.

    What was decided, failed or is usual for the machine follows from them. Nothing changes for a new run.
    """
    recorded = state.execution.recorded
    ends_s: dict[int, float] = {}
    for cell in state.execution.cells_of("speed"):
        result, entries = recorded.results.get(cell.number), recorded.passes.get(cell.number, ())
        if result is not None:
            state.done.add(cell.number)
            if result.outcome != "passed":
                state.failed.add(cell.number)
        if entries and cell.number not in state.failed:
            restore_cell(state, cell.number, entries)
        for entry in entries:
            ends_s[entry.samples.number] = max(entry.spent_s, ends_s.get(entry.samples.number, 0.0))
    begun_s = 0.0
    for _, end_s in sorted(ends_s.items()):
        state.took_s.append(end_s - begun_s)
        begun_s = end_s
    return begun_s


def restore_cell(state: TimingState, number: int, entries: Sequence[PassEntry]) -> None:
    """Add the recorded passes of a cell.

    state: of the timing stage. number: of the cell. entries: its passes, at least one.
    """
    last = entries[-1]
    state.measured[number] = [entry.samples for entry in entries]
    state.restored[number] = frozenset(entry.samples.number for entry in entries)
    state.last[number] = (
        Checked("passed", last.reason, last.deviation),
        last.samples.spent_ns / 1e9,
        last.samples.process,
    )
    for entry in entries:
        for block in entry.samples.blocks:
            state.note_control(block.control_ns)


def is_concluding(execution: Execution) -> bool:
    """Return True if the run was interrupted after its last pass, while it wrote the results of timed cells."""
    found = (execution.recorded.results.get(cell.number) for cell in execution.cells_of("speed"))
    return any(one is not None and (one.outcome == "passed" or one.reason == NO_PASS) for one in found)
