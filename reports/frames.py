"""Runs as pandas frames: typed, documented columns, and the pivots that the reports show.

Missing values are `pandas.NA`. `frame.attrs` carries the facts of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.analysis.memo import remember_last
from harness.analysis.tables import (
    BLOCK_COLUMNS,
    RESULT_COLUMNS,
    SAMPLE_COLUMNS,
    Column,
    block_rows,
    result_rows,
    sample_rows,
)
from harness.record.run import OUTCOMES, RAN, WRONG
from reports.coverage import COVERAGE_COLUMNS, GAP_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.analysis.arm_comparison import ArmComparison
    from harness.analysis.run_comparison import Comparison

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
VERDICT_COLUMNS = (
    Column("verdict", "string", "", "SLOWER, FASTER, SAME, INCONCLUSIVE or MISSING"),
    Column("arm", "string", "", "arm that is compared"),
    Column("base", "string", "", "arm that it is compared with: the first of its family"),
    Column("cell", "int64", "", "number of the arm's cell in the plan"),
    Column("base_cell", "int64", "", "number of the base's cell; null where it has none"),
    Column("suite", "string", "", "suite that planned the cell"),
    Column("slowdown", "float64", "1", "known slow-down of the arm as a share, in a qualification; null elsewhere"),
    Column("label", "string", "", "name of the problem"),
    Column("operator", "string", "", "operator of the problem"),
    Column("problem", "string", "", "canonical problem line; the join key"),
    Column("ratio", "float64", "1", "new time over base time at the centre of the passes; above 1 is slower"),
    Column(
        "ratio_low", "float64", "1", "lower end of its 95 % interval over processes, not widened for looks and cells"
    ),
    Column("ratio_high", "float64", "1", "upper end of that interval"),
    Column("passes", "int64", "1", "passes in which both were timed"),
    Column("p_slower", "float64", "1", "p-value of SLOWER, adjusted for the looks, not for the number of cells"),
    Column("p_faster", "float64", "1", "p-value of FASTER, likewise"),
    Column("p_same", "float64", "1", "p-value of SAME, likewise"),
    Column("more_passes", "int64", "1", "where inconclusive, how many more may decide; null where none in sight would"),
    Column("reason", "string", "", "why there is no verdict, or why a side is missing"),
    Column("base_ns", "float64", "ns", "median time of a call in the base"),
    Column("new_ns", "float64", "ns", "median time of a call in the arm"),
    Column("base_prepare_ns", "float64", "ns", "median over passes of planning and allocation in the base"),
    Column("new_prepare_ns", "float64", "ns", "median over passes of planning and allocation in the arm"),
    Column("base_first_ns", "float64", "ns", "median over passes of the first call in the base"),
    Column("new_first_ns", "float64", "ns", "median over passes of the first call in the arm"),
    Column("pays", "string", "", "when the arm is ahead of its base, planning and first call included; empty: unknown"),
    Column("pays_calls", "float64", "1", "that number of calls; null where there is none"),
    Column("base_outcome", "string", "", "outcome of the base's cell; empty where it has none"),
    Column("outcome", "string", "", "outcome of the arm's cell"),
)
SEMANTICS_COLUMNS = (  # and one for every backend, see `semantics_columns`
    Column("law", "string", "", "law that looks at a declaration"),
    Column("formula", "string", "", "the law's statement"),
    Column("differs", "bool", "", "whether backends show different things on a problem that they were both asked"),
)
ARITHMETIC_COLUMNS = (
    Column("backend", "string", "", "backend under test"),
    Column("operator", "string", "", "operator of the problems"),
    Column("dtype", "string", "", "dtype of the problems"),
    Column("math", "string", "", "ieee, or tf32 where the problems permit inputs rounded to TF32"),
    Column("least_bits", "float64", "bit", "fewest effective bits of a comparison; null where none showed an error"),
    Column("median_bits", "float64", "bit", "median effective bits of the comparisons that showed an error"),
    Column("arithmetic", "string", "", "what probes measured: significands of inputs and sums, or an error per norm"),
    Column("as_declared", "bool", "", "whether that is what the backend declares; null where it was not measured"),
    Column("comparisons", "int64", "1", "comparisons on real data with the float64 reference, of laws and timed cells"),
    Column("failed", "int64", "1", "comparisons beyond their bound"),
    Column("proves_nothing", "int64", "1", "comparisons that prove nothing"),
)
NETWORK_COLUMNS = (
    Column("network", "string", "", "name of the network, with its options"),
    Column("given", "string", "", "what it was timed on, as fields of its problem line; empty: one image, native size"),
    Column("backend", "string", "", "backend"),
    Column("parameters", "float64", "1", "learnable numbers"),
    Column("forward_ns", "float64", "ns", "median time of a forward pass; null where it is not verified"),
    Column("forward_low_ns", "float64", "ns", "lower end of its 95 % interval"),
    Column("forward_high_ns", "float64", "ns", "upper end of its 95 % interval"),
    Column("forward_gflops", "float64", "GFLOP/s", "operations of all layers over that time"),
    Column("step_ns", "float64", "ns", "median time of a training step: forwards, loss, all gradients"),
    Column("step_low_ns", "float64", "ns", "lower end of its 95 % interval"),
    Column("step_high_ns", "float64", "ns", "upper end of its 95 % interval"),
    Column("step_gflops", "float64", "GFLOP/s", "operations of all layers over that time"),
    Column("step_to_forward", "float64", "1", "time of a step over that of a forward pass"),
    Column("activation_bytes", "float64", "B", "most activations of a step at once, counted on the graph"),
    Column("memory_bytes", "float64", "B", "how far the peak of memory rose; null where it cannot be read"),
    Column("workspace_bytes", "float64", "B", "most that the backend declares for one layer"),
    Column("worst", "float64", "1", "largest error of the whole network in units of its bound"),
    Column("laws_ran", "int64", "1", "how often laws of whole networks ran"),
    Column("laws_passed", "int64", "1", "how often they passed and prove something"),
    Column("laws_broken", "string", "", "names of those that are broken"),
    Column("reason", "string", "", "why something is missing"),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "results": RESULT_COLUMNS,
    "samples": SAMPLE_COLUMNS,
    "blocks": BLOCK_COLUMNS,
    "verdicts": VERDICT_COLUMNS,
    "semantics": SEMANTICS_COLUMNS,
    "arithmetic": ARITHMETIC_COLUMNS,
    "networks": NETWORK_COLUMNS,
    "coverage": COVERAGE_COLUMNS,
    "coverage-pairs": GAP_COLUMNS,
    "comparison": COMPARISON_COLUMNS,
}
ARITHMETIC_LAW, REFERENCE_LAW = "arithmetic-is-declared", "agrees-with-reference"
REAL = frozenset({"normal", "uniform"})  # data of full significands without special numbers or sizes
PROVES_NOTHING = "proves nothing"
STATUSES = (OUTCOMES[0], PROVES_NOTHING, *OUTCOMES[1:])
ROW_KEY = ["suite", "label", "operator", "problem"]
_DTYPES = {"string": "string", "int64": "Int64", "float64": "Float64", "bool": "boolean"}


def frame(run: Run) -> pd.DataFrame:
    """One row for every result, with the columns, order and dtypes of RESULT_COLUMNS."""
    return _results(run).copy()


@remember_last
def _results(run: Run) -> pd.DataFrame:
    return _typed(result_rows(run), RESULT_COLUMNS, _facts(run))


def samples_frame(run: Run) -> pd.DataFrame:
    """One row for every raw sample, with the columns of SAMPLE_COLUMNS; `cell` joins it to `frame`."""
    return _typed(sample_rows(run), SAMPLE_COLUMNS, _facts(run))


def blocks_frame(run: Run) -> pd.DataFrame:
    """One row for every block of samples, with the columns of BLOCK_COLUMNS; `cell` joins it to `frame`."""
    return _typed(block_rows(run), BLOCK_COLUMNS, _facts(run))


def verdicts_frame(arm_comparison: ArmComparison) -> pd.DataFrame:
    """One row for every cell of an arm that has a base, worst first, with the columns of VERDICT_COLUMNS."""
    from reports.arm_comparison import verdict_row, worst_first

    attrs = _facts(arm_comparison.run) | {"delta": arm_comparison.gate.delta, "dropped": arm_comparison.dropped}
    return _typed(
        [verdict_row(arm_comparison, row) for row in worst_first(arm_comparison.rows)], VERDICT_COLUMNS, attrs
    )


def networks_frame(run: Run) -> pd.DataFrame:
    """One row for every network, what it was timed on, and backend, with the columns of NETWORK_COLUMNS."""
    from reports.networks import network_records

    return _typed(network_records(run), NETWORK_COLUMNS, _facts(run))


def run_frames(run: Run) -> dict[str, pd.DataFrame]:
    """Every frame that a run has, by name: `networks` where any were run, `verdicts` where arms were compared."""
    found = {"results": frame(run), "samples": samples_frame(run), "blocks": blocks_frame(run)}
    networks = networks_frame(run)
    if len(networks):
        found["networks"] = networks
    if run.header.gate is not None:
        from harness.analysis.arm_comparison import compare_to_base

        found["verdicts"] = verdicts_frame(compare_to_base(run))
    return found


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


def make_frame(run: Run, rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> pd.DataFrame:
    """Make a frame of rows with these columns and the facts of the run."""
    return _typed(rows, columns, _facts(run))


def _times(run: Run) -> dict[tuple[str, str, str, str], float]:
    from harness.analysis.statistics import estimate_time

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


def _typed(rows: Sequence[dict[str, Any]], columns: Sequence[Column], attrs: Mapping[Any, Any]) -> pd.DataFrame:
    import pandas as pd

    data: Any = {c.name: pd.Series([row[c.name] for row in rows], dtype=_DTYPES[c.dtype]) for c in columns}
    made = pd.DataFrame(data)
    made.attrs.update(attrs)
    return made


def schema_table(*tables: str, backends: Sequence[str] = ()) -> pd.DataFrame:
    """Give the schema of the named tables (all where none is named): table, column, dtype, unit, meaning.

    backends: those that have a column in the table of semantics.
    """
    import pandas as pd

    names = ("table", "column", "dtype", "unit", "meaning")
    columns = {**TABLES, "semantics": semantics_columns(backends)}
    rows = [(t, c.name, c.dtype, c.unit, c.meaning) for t in tables or tuple(columns) for c in columns[t]]
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


def semantics_columns(backends: Sequence[str]) -> tuple[Column, ...]:
    """Columns of the table of semantics for these backends."""
    meaning = "what {} does: the most frequent, then the rest with where it holds; null where it was not asked"
    return (*SEMANTICS_COLUMNS, *(Column(name, "string", "", meaning.format(name)) for name in backends))


def semantics_table(results: pd.DataFrame) -> pd.DataFrame:
    """What every backend does where a law looks at a declaration.

    One row per law that observed anything, in the plan's order, with the columns of `semantics_columns`; backends that
    were asked no such law have none. A cell that ran without observing anything shows its outcome.
    """
    from reports.observations import describe_observed

    asked = results.loc[
        results["law"].isin(results.loc[_observes(results), "law"].unique()) & results["outcome"].isin(list(RAN)),
        ["law", "formula", "backend", "problem", "outcome", "observed"],
    ]
    shown = asked.assign(observed=asked["observed"].where(_observes(asked), asked["outcome"]))
    there = set(shown["backend"])
    backends = [name for name in results.attrs.get("backends") or shown["backend"].unique() if name in there]
    rows = []
    for law, cases in shown.groupby("law", sort=False):
        row: dict[str, Any] = dict.fromkeys(backends)
        for backend, own in cases.groupby("backend", sort=False):
            row[str(backend)] = describe_observed(list(zip(own["problem"], own["observed"], strict=True)))
        seen = cases.groupby(["problem", "backend"])["observed"].agg(frozenset)
        differs = bool(seen.groupby("problem").nunique().gt(1).any())
        rows.append({**row, "law": law, "formula": cases["formula"].max(), "differs": differs})
    return _typed(rows, semantics_columns(backends), results.attrs)


def _observes(results: pd.DataFrame) -> pd.Series[bool]:
    return results["observed"].fillna("").ne("")


def arithmetic_table(results: pd.DataFrame) -> pd.DataFrame:
    """Precision that every backend really has: one row per backend, operator, dtype and math, in the plan's order.

    Columns: ARITHMETIC_COLUMNS. Effective bits are those of comparisons with the float64 reference on data of REAL, by
    the law and by the timed cells; the class of arithmetic is what the law of probes measured.
    """
    wanted = results["law"].isin([REFERENCE_LAW, "", ARITHMETIC_LAW]) & results["compared"].notna()
    needed = [
        "backend",
        "operator",
        "dtype",
        "problem",
        "law",
        "outcome",
        "effective_bits",
        "proves_nothing",
        "observed",
    ]
    rows = results.loc[wanted, needed]
    rows = rows.assign(math=_fields(rows, "math", "ieee"), data=_fields(rows, "data", "normal"))
    probes = rows["law"].eq(ARITHMETIC_LAW)
    rows = rows[(probes & _observes(rows)) | (~probes & rows["data"].isin(list(REAL)))]
    made = [_arithmetic_row(group) for _, group in rows.groupby(["backend", "operator", "dtype", "math"], sort=False)]
    return _typed(made, ARITHMETIC_COLUMNS, results.attrs)


def _arithmetic_row(rows: pd.DataFrame) -> dict[str, Any]:
    from reports.observations import describe_observed

    probed = rows["law"].eq(ARITHMETIC_LAW)
    compared, probes = rows[~probed], rows[probed]
    bits = compared["effective_bits"]
    return {
        **{name: rows[name].iloc[0] for name in ("backend", "operator", "dtype", "math")},
        "least_bits": bits.min(), "median_bits": bits.median(),
        "arithmetic": describe_observed(list(zip(probes["problem"], probes["observed"], strict=True))) or None,
        "as_declared": bool(probes["outcome"].eq("passed").all()) if len(probes) else None,
        "comparisons": len(compared), "failed": int(compared["outcome"].isin(list(WRONG)).sum()),
        "proves_nothing": int(compared["proves_nothing"].sum()),
    }  # fmt: skip


def _fields(results: pd.DataFrame, name: str, default: str) -> list[str]:
    """One field of every problem line, or its default."""
    start = f" {name}="
    return [line.partition(start)[2].partition(" ")[0] or default for line in results["problem"]]
