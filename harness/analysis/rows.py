"""Timed problems of a run, one row each, and records of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.frames import ROW_KEY
from harness.analysis.statistics import Estimate, log_ratios
from harness.analysis.verdicts import estimate_centre
from harness.record.run import Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    """One timed problem: a record of the frame for every backend that has a time.

    fastest: the fastest backend with a native operator, None if all routes are derived; derived ones are not ranked.
    reference_ns: its time, or the least time if none is native.
    """

    suite: str
    label: str
    operator: str
    problem: str
    dtype: str
    multiplicity: int
    cells: dict[str, dict[str, Any]]
    fastest: str | None
    reference_ns: float


def speed_rows(timed: pd.DataFrame) -> list[SpeedRow]:
    """Return the timed problems in the order of the plan.

    timed: results whose time may be shown.
    """
    grouped: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for record in plain_records(timed):
        grouped.setdefault(tuple(record[name] for name in ROW_KEY), {})[record["arm"]] = record
    return [_speed_row(cells) for cells in grouped.values()]


def _speed_row(cells: dict[str, dict[str, Any]]) -> SpeedRow:
    one = next(iter(cells.values()))
    native = {name: cell["median_ns"] for name, cell in cells.items() if cell["route"] == "native"}
    fastest = min(native, key=lambda name: native[name]) if native else None
    return SpeedRow(
        suite=one["suite"], label=one["label"], operator=one["operator"], problem=one["problem"], dtype=one["dtype"],
        multiplicity=one["multiplicity"], cells=cells, fastest=fastest,
        reference_ns=native[fastest] if fastest else min(cell["median_ns"] for cell in cells.values()),
    )  # fmt: skip


def ratios_to_fastest(run: Run, speed: Sequence[SpeedRow]) -> dict[int, Estimate]:
    """Return the ratio of times to the fastest native backend of the row, by number of the cell.

    Only passes in which both were timed count. Cells of format 1 and cells of arms of another family are absent,
    because they were not timed in turns with it.
    """
    family = {arm.name: arm.family for arm in run.header.arms}
    passes = {result.cell: result.measurement.passes for result in run.results if result.measurement is not None}
    found = {}
    for row in speed:
        if row.fastest is None:
            continue
        best = passes[row.cells[row.fastest]["cell"]]
        for name, cell in row.cells.items():
            own = passes[cell["cell"]]
            turns = family.get(name) == family.get(row.fastest) and all(one.blocks for one in (*best, *own))
            if name != row.fastest and turns and len(ratios := log_ratios(best, own)) > 1:
                found[cell["cell"]] = estimate_centre(ratios)
    return found


def plain_records(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows as dictionaries of plain Python values, None for missing ones."""
    columns = [table[name].astype(object).where(table[name].notna(), None).tolist() for name in table.columns]
    names = [str(name) for name in table.columns]
    for values in zip(*columns, strict=True):
        yield dict(zip(names, values, strict=True))
