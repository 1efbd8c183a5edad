"""Runs as pandas frames: typed, documented columns, and the pivots that the reports show.

Missing values are `pandas.NA`. `frame.attrs` carries the facts of the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.record.run import OUTCOMES, RAN
from harness.record.tables import RESULT_COLUMNS, SAMPLE_COLUMNS, Column, result_rows, sample_rows

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.timing.compare import Comparison

COMPARISON_COLUMNS = (
    Column("verdict", "string", "", "what became of the cell: BROKEN, SLOWER, MISSING, INCONCLUSIVE, FASTER, ..."),
    Column("suite", "string", "", "suite that planned the cell"),
    Column("kind", "string", "", "correctness or speed"),
    Column("backend", "string", "", "backend under test"),
    Column("label", "string", "", "name of the problem"),
    Column("problem", "string", "", "canonical problem line; the join key"),
    Column("law", "string", "", "law that was applied; empty for speed"),
    Column("base", "string", "", "outcome in the base run; empty where it has no such cell"),
    Column("new", "string", "", "outcome in the new run; empty where it has no such cell"),
    Column("base_ns", "float64", "ns", "median time of a call in the base run"),
    Column("new_ns", "float64", "ns", "median time of a call in the new run"),
    Column("ratio", "float64", "1", "new time over base time; above 1 is slower"),
    Column("ratio_low", "float64", "1", "lower end of the ratio's 95 % interval over processes"),
    Column("ratio_high", "float64", "1", "upper end of the ratio's 95 % interval over processes"),
    Column("reason", "string", "", "why the verdict is what it is, where that needs saying"),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "results": RESULT_COLUMNS,
    "samples": SAMPLE_COLUMNS,
    "comparison": COMPARISON_COLUMNS,
}
PROVES_NOTHING = "proves nothing"
STATUSES = (OUTCOMES[0], PROVES_NOTHING, *OUTCOMES[1:])
ROW_KEY = ["suite", "label", "operator", "problem"]
_DTYPES = {"string": "string", "int64": "Int64", "float64": "Float64", "bool": "boolean"}


def frame(run: Run) -> pd.DataFrame:
    """One row for every result, with the columns, order and dtypes of RESULT_COLUMNS."""
    return _typed(result_rows(run), RESULT_COLUMNS, _facts(run))


def samples_frame(run: Run) -> pd.DataFrame:
    """One row for every raw sample, with the columns of SAMPLE_COLUMNS; `cell` joins it to `frame`."""
    return _typed(sample_rows(run), SAMPLE_COLUMNS, _facts(run))


def comparison_frame(comparison: Comparison) -> pd.DataFrame:
    """One row for every cell of a comparison, with the columns of COMPARISON_COLUMNS."""
    times = [_times(run) for run in (comparison.base, comparison.new)]
    rows = []
    for change in comparison.changes:
        key = (change.suite, change.backend, change.problem, change.law)
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
    from harness.timing.statistics import estimate_time

    return {
        (r.suite, r.backend, r.problem, r.law): estimate_time(r.measurement).value
        for r in run.results if r.measurement is not None
    }  # fmt: skip


def _facts(run: Run) -> dict[str, Any]:
    """Give what a frame must carry to be judged without its run; JSON values only, as Parquet keeps them."""
    header = run.header
    return {
        "run": str(run.path), "format": header.format, "created": header.created, "command": header.command,
        "suites": list(header.suites), "backends": list(header.backends), "complete": run.complete,
        "cells_planned": header.cells, "fingerprint": header.environment.get("fingerprint", ""),
        "cpu": header.environment.get("cpu", ""),
    }  # fmt: skip


def _typed(rows: Sequence[dict[str, Any]], columns: Sequence[Column], attrs: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    data: Any = {c.name: pd.Series([row[c.name] for row in rows], dtype=_DTYPES[c.dtype]) for c in columns}
    made = pd.DataFrame(data)
    made.attrs.update(attrs)
    return made


def schema_table(*tables: str) -> pd.DataFrame:
    """Give the schema of the named tables (all where none is named): table, column, dtype, unit, meaning."""
    import pandas as pd

    names = ("table", "column", "dtype", "unit", "meaning")
    rows = [(t, c.name, c.dtype, c.unit, c.meaning) for t in tables or tuple(TABLES) for c in TABLES[t]]
    return pd.DataFrame(rows, columns=list(names), dtype="string")


def statuses(results: pd.DataFrame) -> pd.Series[Any]:
    """Outcome of each result, with the passed ones that prove nothing told apart."""
    nothing = (results["outcome"] == "passed") & results["proves_nothing"].fillna(False)
    return results["outcome"].mask(nothing, PROVES_NOTHING).rename("status")


def timed(results: pd.DataFrame) -> pd.DataFrame:
    """Give the results whose time may be shown: a check passed, and it proved something."""
    return results[(statuses(results) == "passed") & results["median_ns"].notna()]


def outcome_counts(results: pd.DataFrame) -> pd.DataFrame:
    """Count results: backend x status. `passed` leaves out those that prove nothing, which have their own column."""
    import pandas as pd

    order = results.attrs.get("backends") or list(results["backend"].unique())
    counts = pd.crosstab(results["backend"], statuses(results))
    return counts.reindex(index=pd.Index(order, name="backend"), columns=pd.Index(STATUSES), fill_value=0)


def time_table(results: pd.DataFrame) -> pd.DataFrame:
    """Median time of a call in ns: one row per suite, label, operator and problem in the plan's order, by backend."""
    import pandas as pd

    rows = timed(results)
    table = rows.pivot(index=ROW_KEY, columns="backend", values="median_ns")
    order = pd.MultiIndex.from_frame(rows[ROW_KEY].drop_duplicates())
    backends = [name for name in results.attrs.get("backends") or rows["backend"].unique() if name in table.columns]
    return table.reindex(index=order, columns=pd.Index(backends, name="backend"))


def law_table(results: pd.DataFrame) -> pd.DataFrame:
    """Count what became of every law on every backend.

    One row per law and backend, with the law's formula, the numbers of cells planned, of those that ran, passed (and
    proved something) or proved nothing, and the largest error in units of its bound.
    """
    import pandas as pd

    rows = results[results["law"] != ""]
    status = statuses(rows)
    parts = rows[["law", "backend", "formula", "worst"]].assign(
        planned=1,
        ran=rows["outcome"].isin(list(RAN)).astype("Int64"),
        passed=(status == "passed").astype("Int64"),
        proves_nothing=(status == PROVES_NOTHING).astype("Int64"),
    )
    grouped = parts.groupby(["law", "backend"], sort=False)
    sums = grouped[["planned", "ran", "passed", "proves_nothing"]].sum().astype("Int64")
    return pd.concat([grouped["formula"].max(), sums, grouped["worst"].max()], axis=1)
