"""Rows of the tables of a run: failures, semantics, arithmetic, timed problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.frames import ROW_KEY
from harness.analysis.schemas import SEMANTICS_COLUMNS
from harness.analysis.statistics import Estimate, log_ratios
from harness.analysis.verdicts import estimate_centre
from harness.networks.problem import WORD
from harness.problems.operator import Operator
from harness.record.run import WRONG, Run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticsRow:
    """One law that checks a declaration.

    differs: True if backends differ on a problem.
    cells: for each backend, the observed values, most frequent first, and True if a result is wrong.
    """

    law: str
    formula: str
    differs: bool
    cells: dict[str, tuple[tuple[str, ...], bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArithmeticRow:
    """Precision for one operator, dtype and math: a record of the arithmetic table for every backend that has one."""

    operator: str
    dtype: str
    cells: dict[str, dict[str, Any]]


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


def semantics_rows(results: pd.DataFrame, table: pd.DataFrame) -> tuple[list[str], list[SemanticsRow]]:
    """Return backends and laws of declared semantics; laws on which backends differ come first.

    ARITHMETIC_LAW is left out, since it has its own table. table: result of `semantics_table`.
    """
    wrong = results[results["outcome"].isin(list(WRONG))]
    broken = set(zip(wrong["law"], wrong["arm"], strict=True))
    measured = set(results.loc[results["role"].eq("arithmetic"), "law"])
    backends = [str(name) for name in table.columns[len(SEMANTICS_COLUMNS) :]]
    rows = [
        SemanticsRow(
            law=row["law"], formula=row["formula"], differs=row["differs"],
            cells={b: (tuple(row[b].split("; ")), (row["law"], b) in broken) for b in backends if row[b]},
        )
        for row in plain_records(table) if row["law"] not in measured
    ]  # fmt: skip
    return backends, sorted(rows, key=lambda row: not row.differs)


def arithmetic_rows(results: pd.DataFrame, table: pd.DataFrame) -> tuple[list[str], list[ArithmeticRow]]:
    """Return backends, and the operators and dtypes for which any backend rounds, in the order of operators.

    table: result of `arithmetic_table`.
    """
    grouped: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for record in plain_records(table):
        dtype = record["dtype"] if record["math"] == "ieee" else f"{record['dtype']} math={record['math']}"
        grouped.setdefault((record["operator"], dtype), {})[record["arm"]] = record
    dtypes = list(dict.fromkeys(dtype for _, dtype in grouped))
    order = [*(operator.value for operator in Operator), WORD]  # networks stand last
    rows = [
        ArithmeticRow(operator=operator, dtype=dtype, cells=cells)
        for (operator, dtype), cells in sorted(
            grouped.items(), key=lambda item: (order.index(item[0][0]), dtypes.index(item[0][1]))
        )
        if any(cell["least_bits"] is not None or cell["arithmetic"] for cell in cells.values())
    ]
    return backend_order(results, [backend for row in rows for backend in row.cells]), rows


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


def unavailable_arms(run: Run) -> dict[str, str]:
    """Map arms whose backend cannot run to the reasons, from their probes and from their results."""
    found = {r.arm: r.reason for r in run.results if r.outcome == "unavailable"}
    return {**found, **run.unavailable}


def sweep_point(label: str) -> tuple[str, float] | None:
    """Parse a label such as sweep-kernel/3 into axis and value; None for any other label."""
    head, _, tail = label.partition("/")
    if not head.startswith("sweep-"):
        return None
    try:
        return head.removeprefix("sweep-"), float(tail)
    except ValueError:
        return None


def backend_order(results: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Sort backends in the order in which the run lists them."""
    order = list(results.attrs.get("arms", ()))
    return sorted(dict.fromkeys(names), key=lambda name: order.index(name) if name in order else len(order))


def timed_positions(timed: pd.DataFrame) -> dict[tuple[str, str, str, str], int]:
    """Map each timed cell (suite, arm, label, problem) to the number of its row among all results.

    timed: results whose time may be shown, with the index that they have among all.
    """
    keys = timed[["suite", "arm", "label", "problem"]].itertuples(index=False, name=None)
    return dict(zip(keys, timed.index.tolist(), strict=True))
