"""Qualification: run identical arms, and arms with known slow-downs, through the same gate that later fails a build."""

from __future__ import annotations

import time
from collections.abc import Sequence

from harness.analysis.arm_comparison import ArmComparison, Row
from harness.analysis.qualification import Qualification, name_environment
from harness.plan.arm import Arm
from harness.plugins.manager import Registry
from harness.record.run import Run

SUITE = "qualify"
AGAIN = ":again"
FLOOR_QUANTILE = 0.95


def make_arms(registry: Registry, backends: Sequence[str]) -> tuple[Arm, ...]:
    """Return two arms for every backend, as a family."""
    arms = []
    for name in backends:
        registry.backend(name)
        arms += [Arm(name=name, backend=name, family=name), Arm(name=name + AGAIN, backend=name, family=name)]
    return tuple(arms)


def name_suites(slowdowns: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the suites of identical arms and of known slow-downs (shares, such as 0.02)."""
    return (SUITE, *(f"{SUITE}+{100 * slowdown:g}" for slowdown in slowdowns))


def qualify_run(run: Run, arm_comparison: ArmComparison) -> Qualification:
    """Count false alarms and detected slow-downs in a run of the suites."""
    identical = [row for row in arm_comparison.rows if row.new.suite == SUITE and row.judgement.ratio is not None]
    alarms = sum(is_alarm(row) for row in identical)
    powers: dict[str, tuple[int, int]] = {}
    for row in arm_comparison.rows:
        if row.new.suite != SUITE and row.judgement.ratio is not None:
            share = str(round(float(row.new.suite.partition("+")[2]) / 100, 6))
            seen, of = powers.get(share, (0, 0))
            powers[share] = seen + (row.judgement.verdict == "SLOWER"), of + 1
    return Qualification(
        environment=name_environment(run.header.environment), created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        cells=len(identical), alarms=alarms, false_suites=int(alarms > 0), powers=powers, floor=find_floor(identical),
        dropped=arm_comparison.dropped, delta=arm_comparison.gate.delta,
    )  # fmt: skip


def is_alarm(row: Row) -> bool:
    """Return True if identical arms were judged different."""
    return row.judgement.verdict in ("SLOWER", "FASTER")


def find_floor(identical: Sequence[Row]) -> float:
    """Return the relative change that 95 % of the identical pairs stay below, as measured at their verdict."""
    changes = sorted(abs(row.judgement.ratio.value - 1) for row in identical if row.judgement.ratio is not None)
    return changes[min(len(changes) - 1, int(FLOOR_QUANTILE * len(changes)))] if changes else 0.0
