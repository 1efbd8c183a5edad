"""Passes: the raw samples of a timed cell in each of its processes, and the blocks in which they were taken."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from harness.plan.suite import Mode
from harness.problems.whole import Whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One visit to an arm: `count` samples of its pass, in order, and the state of the machine during the visit.

    visit: index among the blocks of its contest in this pass.
    control_ns: time of the control kernel before the block. wall_ns: of the whole visit, measured outside the process.
    cpu_ns, span_ns, waited_ns: during the samples, measured inside the process: processor time of the process and its
        descendants, wall time, and time its first thread waited for a core.
    visit_cpu_ns, visit_waited_ns: processor time and wait during the whole visit, measured outside the process (the
        former is 0 if the process had not been stopped before). delayed_ns: time the harness waited for a core.
    readings: counters of the machine by name. dropped: reason for dropping the block, None if it counts.
    """

    visit: Whole
    count: Whole
    warmups: Whole = 0
    wall_ns: Whole = 0
    control_ns: Whole = 0
    cpu_ns: Whole = 0
    span_ns: Whole = 0
    waited_ns: Whole = 0
    visit_cpu_ns: Whole = 0
    visit_waited_ns: Whole = 0
    delayed_ns: Whole = 0
    readings: dict[str, float] = field(default_factory=dict)
    dropped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Raw samples of one cell in one new process; each sample is the mean of `loops` calls, in ns per call.

    prepare_ns: planning, allocation and algorithm search. first_call_ns: first call after it.
    memory_bytes: increase of the peak memory in both. workspace_bytes: as declared by the backend.
    host_ns: host time of the samples if the clock is a device's.
    """

    number: Whole
    process: Whole
    loops: Whole
    warmups: Whole
    clock: str
    device: str
    prepare_ns: Whole
    first_call_ns: Whole
    samples_ns: tuple[float, ...]
    verify_ns: Whole = 0  # comparison of outputs with the reference, before and after timing
    spent_ns: Whole = 0  # total time of this pass in the worker
    blocks: tuple[Block, ...] = ()
    memory_bytes: Whole = 0
    workspace_bytes: Whole = 0
    host_ns: float = 0.0
    mode: Mode = "hot"

    @property
    def cores(self) -> float | None:
        """Average number of busy cores: processor time over wall time of the samples; None if unknown."""
        blocks = [block for block in self.blocks if not block.dropped]
        span_ns = sum(block.span_ns for block in blocks)
        return sum(block.cpu_ns for block in blocks) / span_ns if span_ns else None

    @property
    def kept(self) -> tuple[tuple[float, ...], ...]:
        """Samples of every block that counts; all samples as one block if blocks are not recorded."""
        if not self.blocks:
            return (self.samples_ns,)
        found, at = [], 0
        for block in self.blocks:
            if not block.dropped:
                found.append(self.samples_ns[at : at + block.count])
            at += block.count
        return tuple(found)


def check_pass(one: Pass) -> None:
    """Raise ValueError for a pass that cannot have been measured."""
    if one.loops < 1 or not one.samples_ns or not all(0 < value < math.inf for value in one.samples_ns):
        raise ValueError("its samples are no times")
    if one.blocks and (min(block.count for block in one.blocks) < 1 or _count_samples(one) != len(one.samples_ns)):
        raise ValueError("its blocks are not those of its samples")


def _count_samples(one: Pass) -> int:
    return sum(block.count for block in one.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """All passes of a timed cell; the process is the unit of replication."""

    passes: tuple[Pass, ...]
