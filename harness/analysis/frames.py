"""Pandas frames of runs: typed, documented columns, and the pivots that reports show.

Missing values are `pandas.NA`. `frame.attrs` holds the facts of the run.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.arm_comparison import ArmComparison
from harness.analysis.arm_rows import verdict_row, worst_first
from harness.analysis.counted import Counted, count_record
from harness.analysis.coverage import Found, coverage_rows, gap_columns
from harness.analysis.network_records import network_records
from harness.analysis.networks import NetworkRow
from harness.analysis.observations import describe_observed
from harness.analysis.run_comparison import Comparison
from harness.analysis.schemas import (
    ARITHMETIC_COLUMNS,
    COMPARISON_COLUMNS,
    COUNT_COLUMNS,
    COVERAGE_COLUMNS,
    GAP_COLUMNS,
    NETWORK_COLUMNS,
    VERDICT_COLUMNS,
    semantics_columns,
)
from harness.analysis.statistics import estimate_time
from harness.analysis.switches import PROVES_NOTHING
from harness.analysis.tables import (
    Column,
    make_table,
    recorded_table,
    to_columns,
)
from harness.record.run import OUTCOMES, RAN, WRONG, Outcome, Run

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

REAL = frozenset({"normal", "uniform"})  # data of full significands without special numbers or sizes
STATUSES = (OUTCOMES[0], PROVES_NOTHING, *OUTCOMES[1:])
ROW_KEY = ["suite", "label", "operator", "problem"]


def results_frame(run: Run) -> pd.DataFrame:
    """Return one row for every result, with the columns, order and dtypes of RESULT_COLUMNS."""
    return _framed(recorded_table(run, "results"), _facts(run))


def samples_frame(run: Run) -> pd.DataFrame:
    """Return one row for every raw sample, with the columns SAMPLE_COLUMNS; `cell` joins it to the results."""
    return _framed(recorded_table(run, "samples"), _facts(run))


def blocks_frame(run: Run) -> pd.DataFrame:
    """Return one row for every block of samples, with the columns BLOCK_COLUMNS; `cell` joins it to the results."""
    return _framed(recorded_table(run, "blocks"), _facts(run))


def verdicts_frame(arm_comparison: ArmComparison) -> pd.DataFrame:
    """Return one row for every cell of an arm that has a base, worst first, with the columns VERDICT_COLUMNS."""
    attrs = _facts(arm_comparison.run) | {"delta": arm_comparison.gate.delta, "dropped": arm_comparison.dropped}
    return _typed(
        [verdict_row(arm_comparison, row) for row in worst_first(arm_comparison.rows)], VERDICT_COLUMNS, attrs
    )


def counts_frame(counted: Counted) -> pd.DataFrame:
    """Return one row for every counted cell, with the columns COUNT_COLUMNS."""
    attrs = _facts(counted.run) | {"delta": counted.counting.delta, "remark": counted.counting.remark}
    return _typed([count_record(row) for row in counted.rows], COUNT_COLUMNS, attrs)


def networks_frame(run: Run, rows: Sequence[NetworkRow]) -> pd.DataFrame:
    """Return one row for every network, input and arm, with the columns NETWORK_COLUMNS."""
    return _typed(network_records(rows), NETWORK_COLUMNS, _facts(run))


def coverage_frames(run: Run, found: Found) -> dict[str, pd.DataFrame]:
    """Return the tables `coverage` and `coverage-pairs`, with the columns of COVERAGE_COLUMNS and GAP_COLUMNS."""
    backend_of = {result.arm: result.backend for result in run.results}
    return {
        "coverage": _typed(list(coverage_rows(found, backend_of)), COVERAGE_COLUMNS, _facts(run)),
        "coverage-pairs": _framed(make_table(gap_columns(found, backend_of), GAP_COLUMNS), _facts(run)),
    }


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """Return one row for every cell of a comparison of runs, with the columns COMPARISON_COLUMNS."""
    times = [_times(run) for run in (comparison.base, comparison.new)]
    rows = []
    for change in comparison.changes:
        key = (change.suite, change.arm, change.problem, change.law)
        row = {c.name: getattr(change, c.name, None) for c in COMPARISON_COLUMNS}
        row |= {"base_ns": times[0].get(key), "new_ns": times[1].get(key), "ratio": None}
        if change.ratio is not None:
            row |= {"ratio": change.ratio.value, "ratio_low": change.ratio.low, "ratio_high": change.ratio.high}
        rows.append(row)
    facts = {
        "threshold": comparison.threshold, "obstacles": list(comparison.obstacles),
        "base": _facts(comparison.base), "new": _facts(comparison.new),
    }  # fmt: skip
    return _typed(rows, COMPARISON_COLUMNS, facts)


def _times(run: Run) -> dict[tuple[str, str, str, str], float]:
    return {
        (r.suite, r.arm, r.problem, r.law): estimate_time(r.measurement).value
        for r in run.results if r.measurement is not None
    }  # fmt: skip


def _facts(run: Run) -> dict[str, Any]:
    """Facts of the run by which a frame can be judged without it; JSON values only, as Parquet requires."""
    header = run.header
    return {
        "run": str(run.path), "format": header.format, "created": header.created, "command": header.command,
        "suites": list(header.suites), "arms": list(header.arm_names), "backends": list(header.backends),
        "complete": run.complete, "cells_planned": header.cells,
        "fingerprint": header.environment.get("fingerprint", ""), "cpu": header.environment.get("cpu", ""),
    }  # fmt: skip


def _typed(rows: Sequence[dict[str, Any]], columns: Sequence[Column], attrs: Mapping[Any, Any]) -> pd.DataFrame:
    return _framed(make_table(to_columns(rows, columns), columns), attrs)


def _framed(table: pa.Table, attrs: Mapping[Any, Any]) -> pd.DataFrame:
    """Return an Arrow table as a frame, in which NaN is missing as well."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    dtypes = {
        "string": pd.StringDtype(), "int64": pd.Int64Dtype(), "double": pd.Float64Dtype(), "bool": pd.BooleanDtype(),
    }  # fmt: skip
    for number, field in enumerate(table.schema):
        if pa.types.is_floating(field.type) and pc.any(undefined := pc.is_nan(table.column(number))).as_py():
            numbers = pc.if_else(undefined, None, table.column(number))
            table = table.set_column(number, field, numbers)
    made: pd.DataFrame = table.to_pandas(types_mapper=lambda kind: dtypes[str(kind)])
    made.attrs.update(attrs)
    return made


def statuses(results: pd.DataFrame) -> pd.Series[Any]:
    """Return the outcome of each result; a passed result that proves nothing has the status "proves nothing"."""
    nothing = (results["outcome"] == "passed") & results["proves_nothing"].fillna(False)
    return results["outcome"].mask(nothing, PROVES_NOTHING).rename("status")


def timed(results: pd.DataFrame, status: pd.Series[Any]) -> pd.DataFrame:
    """Return the results whose time may be shown: a check passed, and it proved something.

    status: of each result (see `statuses`).
    """
    return results[(status == "passed") & results["median_ns"].notna()]


def outcome_counts(results: pd.DataFrame, status: pd.Series[Any]) -> pd.DataFrame:
    """Count results by arm and status.

    status: of each result (see `statuses`). `passed` excludes results that prove nothing; they have their own column.
    """
    import pandas as pd

    order = results.attrs.get("arms") or list(results["arm"].unique())
    counts = pd.crosstab(results["arm"], status)
    return counts.reindex(index=pd.Index(order, name="arm"), columns=pd.Index(STATUSES), fill_value=0)


def law_table(results: pd.DataFrame, status: pd.Series[Any]) -> pd.DataFrame:
    """Count the results of every law on every arm.

    status: of each result (see `statuses`).
    One row per law and arm, with the formula of the law, the numbers of cells that were planned, that ran, that
    passed (and proved something) and that proved nothing, and the largest error in units of its bound.
    """
    import pandas as pd

    rows = results[["law", "arm", "formula", "worst", "outcome"]][results["law"] != ""]
    status = status[rows.index]
    parts = rows.drop(columns="outcome").assign(
        planned=1,
        ran=rows["outcome"].isin(list(RAN)).astype("Int64"),
        passed=(status == "passed").astype("Int64"),
        proves_nothing=(status == PROVES_NOTHING).astype("Int64"),
    )
    grouped = parts.groupby(["law", "arm"], sort=False)
    sums = grouped[["planned", "ran", "passed", "proves_nothing"]].sum().astype("Int64")
    return pd.concat([grouped["formula"].max(), sums, grouped["worst"].max()], axis=1)


def semantics_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return the observed behaviour of every arm for each law that checks a declaration.

    One row per law that observed anything, in the order of the plan, with the columns of `semantics_columns`; an arm
    that was asked no such law has no column. A cell that ran without observing anything shows its outcome.
    """
    observing = set(results.loc[_observes(results), "law"].unique())
    names = ["law", "formula", "arm", "problem", "outcome", "observed"]
    asked = results[names].loc[results["law"].isin(observing) & results["outcome"].isin(list(RAN))]
    cases: dict[str, list[tuple[str, ...]]] = {}
    for law, *case in zip(*(asked[name].tolist() for name in names), strict=True):
        cases.setdefault(law, []).append(tuple(case))
    there = {case[1] for found in cases.values() for case in found}
    arms = [name for name in results.attrs.get("arms") or dict.fromkeys(asked["arm"]) if name in there]
    rows = [_semantics_row(law, found, arms) for law, found in cases.items()]
    return _typed(rows, semantics_columns(arms), results.attrs)


def _semantics_row(law: str, cases: Sequence[tuple[str, ...]], arms: Sequence[str]) -> dict[str, Any]:
    """Row of one law: formula, observed behaviour of each arm, and whether any two differ on a problem."""
    own: dict[str, list[tuple[str, str]]] = {}
    seen: dict[str, dict[str, set[str]]] = {}
    for _, arm, problem, outcome, observed in cases:
        value = observed if isinstance(observed, str) and observed else outcome
        own.setdefault(arm, []).append((problem, value))
        seen.setdefault(problem, {}).setdefault(arm, set()).add(value)
    differs = any(len(set(map(frozenset, values.values()))) > 1 for values in seen.values())
    words = {name: describe_observed(own[name]) if name in own else None for name in arms}
    return {**words, "law": law, "formula": max(case[0] for case in cases), "differs": differs}


def _observes(results: pd.DataFrame) -> pd.Series[bool]:
    return results["observed"].fillna("").ne("")


def arithmetic_table(results: pd.DataFrame) -> pd.DataFrame:
    """Return the precision of every arm as measured: one row per arm, operator, dtype and math.

    Columns: ARITHMETIC_COLUMNS. Effective bits come from comparisons with the float64 reference on the data in REAL, by
    the law REFERENCE_LAW and by the timed cells; the class of arithmetic was measured by ARITHMETIC_LAW.
    """
    names = ["arm", "backend", "operator", "dtype", "role", *_Comparison.__slots__[:-1]]
    rows = results[names].loc[
        (results["role"].isin(["reference", "arithmetic"]) | results["law"].eq("")) & results["compared"].notna()
    ]
    math, data = _fields(rows, "math", "ieee"), _fields(rows, "data", "normal")
    groups: dict[tuple[str, ...], list[_Comparison]] = {}
    columns = (rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in names)
    for values in zip(*columns, math, data, strict=True):
        arm, backend, operator, dtype, role, problem, outcome, bits, nothing, observed, one_math, one_data = values
        probe = role == "arithmetic"
        if observed if probe else one_data in REAL:
            found = _Comparison(problem, outcome, bits, nothing, observed, probe)
            groups.setdefault((arm, backend, operator, dtype, one_math), []).append(found)
    return _typed([_arithmetic_row(key, group) for key, group in groups.items()], ARITHMETIC_COLUMNS, results.attrs)


@dataclass(frozen=True, slots=True)
class _Comparison:
    problem: str
    outcome: Outcome
    effective_bits: float | None
    proves_nothing: bool | None
    observed: str | None
    probe: bool


def _arithmetic_row(key: tuple[str, ...], group: Sequence[_Comparison]) -> dict[str, Any]:
    compared, probes = [one for one in group if not one.probe], [one for one in group if one.probe]
    bits = [one.effective_bits for one in compared if one.effective_bits is not None]
    return {
        **dict(zip(("arm", "backend", "operator", "dtype", "math"), key, strict=True)),
        "least_bits": min(bits) if bits else None, "median_bits": statistics.median(bits) if bits else None,
        "arithmetic": describe_observed([(one.problem, one.observed or "") for one in probes]) or None,
        "as_declared": all(one.outcome == "passed" for one in probes) if probes else None,
        "comparisons": len(compared), "failed": sum(one.outcome in WRONG for one in compared),
        "proves_nothing": sum(bool(one.proves_nothing) for one in compared),
    }  # fmt: skip


def _fields(results: pd.DataFrame, name: str, default: str) -> list[str]:
    """Values of one field of all problem lines, or its default."""
    start = f" {name}="
    return [line.partition(start)[2].partition(" ")[0] or default for line in results["problem"].tolist()]
