"""Rows of tables that several reports show: semantics, arithmetic, unavailable backends, and the order of backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness import Operator, Run
from harness.analysis import plain_records, semantics_arms
from harness.record import WRONG

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


def semantics_rows(results: pd.DataFrame, table: pd.DataFrame) -> tuple[list[str], list[SemanticsRow]]:
    """Return backends and laws of declared semantics; laws on which backends differ come first.

    ARITHMETIC_LAW is left out, since it has its own table. table: result of `semantics_table`.
    """
    wrong = results[results["outcome"].isin(list(WRONG))]
    broken = set(zip(wrong["law"], wrong["arm"], strict=True))
    measured = set(results.loc[results["role"].eq("arithmetic"), "law"])
    backends = semantics_arms(table)
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
    order = [operator.value for operator in Operator]
    rows = [
        ArithmeticRow(operator=operator, dtype=dtype, cells=cells)
        for (operator, dtype), cells in sorted(
            grouped.items(), key=lambda item: (_place(order, item[0][0]), dtypes.index(item[0][1]))
        )
        if any(cell["least_bits"] is not None or cell["arithmetic"] for cell in cells.values())
    ]
    return backend_order(results, [backend for row in rows for backend in row.cells]), rows


def _place(order: Sequence[str], name: str) -> int:
    """Place of a name in an order; others, such as networks, stand last."""
    return order.index(name) if name in order else len(order)


def unavailable_arms(run: Run) -> dict[str, str]:
    """Map arms whose backend cannot run to the reasons, from their probes and from their results."""
    found = {r.arm: r.reason or "" for r in run.results if r.outcome == "unavailable"}
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
    return sorted(dict.fromkeys(names), key=lambda name: _place(order, name))


def timed_positions(timed: pd.DataFrame) -> dict[tuple[str, str, str, str], int]:
    """Map each timed cell (suite, arm, label, problem) to the number of its row among all results.

    timed: results whose time may be shown, with the index that they have among all.
    """
    keys = timed[["suite", "arm", "label", "problem"]].itertuples(index=False, name=None)
    return dict(zip(keys, timed.index.tolist(), strict=True))
