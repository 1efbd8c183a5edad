"""Time one block of an arm, with everything that is recorded around it."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from harness.analysis.plausibility import describe_contradiction
from harness.execution.timing_state import Timed, TimingState
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.measure.control import measure_control
from harness.measure.disturbance import RULE, contaminated, difference, read_counters
from harness.measure.processor_time import tree_ns, wait_until_stopped, waited_ns
from harness.plan.cell import Cell
from harness.plan.suite import Timing
from harness.record.passes import Block
from harness.worker.protocol import Checked


def time_block(
    state: TimingState, cell: Cell, supervisor: WorkerSupervisor, timing: Timing, visit: int
) -> Timed | Checked:
    """Resume an arm, time a block, suspend it again; run the control kernel before and read machine counters around it.

    state: of the timing stage.
    supervisor: of the cell's arm.
    timing: settings of the suite.
    visit: position of the block in the contest's order.
    Returns the block with the worker's samples, or the outcome of the cell if there are none.
    """
    control_ns = measure_control()
    usual_ns = state.note_control(control_ns)
    judge, host = supervisor.pids
    pids = [] if host is None else [host]
    before, still = read_counters(pids), all(map(wait_until_stopped, pids))
    begun = time.perf_counter_ns()  # the wall time encloses the rest, so that it is no shorter
    used = read_use(judge, host)
    supervisor.resume()
    reply, _, _ = supervisor.sample(cell, timing)
    cpu_ns, waited, delayed = (now - then for now, then in zip(read_use(judge, host), used, strict=True))
    wall_ns = time.perf_counter_ns() - begun
    after = read_counters(pids)
    supervisor.suspend(look_again=False)
    if isinstance(reply, Checked):
        return reply
    lie = describe_contradiction(begun, reply.begun_ns, reply.spent_ns, reply.timed_ns, begun + wall_ns)
    if lie is not None:
        return Checked("error", lie, accuses=True)
    if reply.gpu:
        before, after = replace(before, gpu=reply.gpu[0]), replace(after, gpu=reply.gpu[-1])
    reading, usual_mhz = difference(before, after), state.note_clock(reply.gpu)
    block = Block(
        visit=visit, count=len(reply.samples_ns), warmups=reply.warmups, wall_ns=wall_ns, control_ns=control_ns,
        cpu_ns=reply.cpu_ns, span_ns=reply.span_ns, waited_ns=reply.waited_ns,
        visit_cpu_ns=cpu_ns if still else 0, visit_waited_ns=waited, delayed_ns=delayed,
        readings=reading.values, dropped=contaminated(reading, control_ns, usual_ns, RULE, usual_mhz=usual_mhz),
    )  # fmt: skip
    return block, reply


def read_use(judge: int | None, host: int | None) -> tuple[int, int, int]:
    """Return ns so far: processor time of the host and its descendants, its wait for a core, and that of its askers.

    judge, host: process numbers of the judge and of the backend's process; None if there is none.
    """
    asking = waited_ns(os.getpid()) + (0 if judge is None else waited_ns(judge))
    return (0, 0, asking) if host is None else (tree_ns(host), waited_ns(host), asking)
