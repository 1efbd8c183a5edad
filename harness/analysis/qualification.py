"""Qualification of a machine: counts of false alarms and of detected slow-downs, as evidence for its verdicts.

One file for each environment (fingerprint, threads and variables), outside any project. Every qualification adds to
its counts.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.analysis.arm_comparison import ArmComparison, Row
from harness.errors import DAMAGED, UnwritableError, UsageError
from harness.machine.files import read_file
from harness.machine.state import VARIABLE, state_folder
from harness.record.run import Run

LEVEL = 0.005  # target share of false alarms
SURE = 0.10  # a slow-down that every machine fit for a gate finds ...
SURE_POWER = 0.8  # ... this often
MOST_FLOOR = 0.10
SUITE = "qualify"
FLOOR_QUANTILE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualification:
    """Counts over all qualifications of one environment.

    cells: judged identical pairs; alarms: number of these called SLOWER or FASTER.
    suites, false_suites: number of qualifications, and of those with any alarm.
    powers: for each known slow-down (its share, as text), the number of cells called SLOWER, and of all cells.
    floor: change below which 95 % of the identical pairs stayed in the latest qualification.
    dropped: share of blocks that were dropped in it.
    delta: largest change that counted; a gate on this machine must not use a smaller one.
    """

    environment: str
    created: str
    cells: int
    alarms: int
    suites: int = 1
    false_suites: int = 0
    powers: dict[str, tuple[int, int]] = field(default_factory=dict)
    floor: float = 0.0
    dropped: float = 0.0
    delta: float = 0.01

    @property
    def failures(self) -> tuple[str, ...]:
        """Reasons why a gate must not be armed on this machine; empty if it may."""
        from harness.analysis.binomial import clopper_pearson
        from harness.measure.disturbance import MOST_DROPPED

        found = []
        low, _ = clopper_pearson(self.alarms, self.cells)
        if low > LEVEL:
            found.append(
                f"{self.alarms} of {self.cells} identical pairs were called different, more than {LEVEL:.1%} for sure"
            )
        seen, of = self.powers.get(str(SURE), (0, 0))
        if seen < SURE_POWER * of or not of:
            found.append(f"a slow-down of {SURE:.0%} was found in {seen} of {of} cells, wanted {SURE_POWER:.0%}")
        if self.floor > MOST_FLOOR:
            found.append(f"identical pairs differed by up to {self.floor:.1%}, at most {MOST_FLOOR:.0%} may be")
        if self.dropped > MOST_DROPPED:
            found.append(f"{self.dropped:.0%} of the blocks were disturbed, at most {MOST_DROPPED:.0%} may be")
        return tuple(found)

    def plus(self, other: Qualification) -> Qualification:
        """Return the sum of both; floor and dropped are those of `other`, the later one."""
        shares = dict.fromkeys([*self.powers, *other.powers])
        return Qualification(
            environment=self.environment, created=other.created, cells=self.cells + other.cells,
            alarms=self.alarms + other.alarms, suites=self.suites + other.suites,
            false_suites=self.false_suites + other.false_suites, floor=other.floor, dropped=other.dropped,
            delta=max(self.delta, other.delta),
            powers={share: _add(self.powers.get(share), other.powers.get(share)) for share in shares},
        )  # fmt: skip


def _add(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int]:
    a, b = one or (0, 0), other or (0, 0)
    return a[0] + b[0], a[1] + b[1]


def name_environment(environment: Mapping[str, Any]) -> str:
    """Return the key of a qualification: fingerprint, and a checksum of the threads and variables that affect times."""
    conditions = repr((environment.get("threads"), sorted(environment.get("variables", {}).items())))
    return f"{environment['fingerprint']}-{zlib.crc32(conditions.encode()):08x}"


def qualification_file(environment: str) -> Path:
    """Return the file of one environment."""
    return state_folder() / "qualified" / f"{environment}.json"


def read_qualification(environment: str) -> Qualification | None:
    """Read the qualification of an environment; None if there is none. Raises UsageError for a damaged file."""
    path = qualification_file(environment)
    try:
        found = msgspec.json.decode(read_file(path), type=Qualification)
        _check_counts(found)
        return found
    except FileNotFoundError:
        return None
    except (OSError, *DAMAGED) as error:
        raise UsageError(f"qualification is damaged: '{path}' ({error}); remove it and run `qualify` again") from None


def _check_counts(found: Qualification) -> None:
    """Raise ValueError for counts that cannot be: fewer than none, or more than all."""
    pairs = ((found.alarms, found.cells), (found.false_suites, found.suites), *found.powers.values())
    if not all(0 <= part <= whole < 2**31 for part, whole in pairs):
        raise ValueError("its counts are not those of a part and a whole")


def write_qualification(found: Qualification) -> Path:
    """Write a qualification atomically and return its path. Raises UsageError if it cannot be written."""
    path = qualification_file(found.environment)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
        os.replace(part, path)
    except OSError as error:
        raise UnwritableError(
            f"qualification cannot be stored: got '{path}' ({error.strerror}); set {VARIABLE}"
        ) from None
    return path


def qualify_run(run: Run, arm_comparison: ArmComparison) -> Qualification:
    """Count false alarms and the slow-downs that were found in a run of the suites."""
    identical = [row for row in arm_comparison.rows if row.new.slowdown == 0 and row.judgement.ratio is not None]
    alarms = sum(is_alarm(row) for row in identical)
    powers: dict[str, tuple[int, int]] = {}
    for row in arm_comparison.rows:
        if row.new.slowdown and row.judgement.ratio is not None:
            share = str(round(row.new.slowdown, 6))
            seen, of = powers.get(share, (0, 0))
            powers[share] = seen + (row.judgement.verdict == "SLOWER"), of + 1
    return Qualification(
        environment=name_environment(run.header.environment), created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        cells=len(identical), alarms=alarms, false_suites=int(alarms > 0), powers=powers, floor=find_floor(identical),
        dropped=arm_comparison.dropped, delta=arm_comparison.gate.delta,
    )  # fmt: skip


def is_alarm(row: Row) -> bool:
    """Return True if identical arms were called different."""
    return row.judgement.verdict in ("SLOWER", "FASTER")


def find_floor(identical: Sequence[Row]) -> float:
    """Return the change below which 95 % of the identical pairs stay, as measured when their verdict was given."""
    changes = sorted(abs(row.judgement.ratio.value - 1) for row in identical if row.judgement.ratio is not None)
    return changes[min(len(changes) - 1, int(FLOOR_QUANTILE * len(changes)))] if changes else 0.0
