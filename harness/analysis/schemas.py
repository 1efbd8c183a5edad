"""Schemas of the tables of a run: columns with dtype, unit and meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.tables import BLOCK_COLUMNS, RESULT_COLUMNS, SAMPLE_COLUMNS, Column

if TYPE_CHECKING:
    import pandas as pd

COVERAGE_COLUMNS = (
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
    Column("operator", "string", "", "operator of the problems"),
    Column("factor", "string", "", "what the condition looks at"),
    Column("condition", "string", "", "condition of the model of dispatch"),
    Column(
        "state", "string", "", "asked; not run: planned only; never asked: in no problem of the plan; or impossible"
    ),
    Column("asked", "int64", "1", "distinct problems that meet the condition and were asked"),
    Column("planned", "int64", "1", "distinct problems of the plan that meet it"),
    Column("pairs_asked", "int64", "1", "conditions of other factors that some asked problem meets as well"),
    Column("pairs_possible", "int64", "1", "conditions of other factors that some problem can meet as well"),
)


GAP_COLUMNS = (
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
    Column("operator", "string", "", "operator of the problems"),
    Column("condition", "string", "", "a condition of the model of dispatch"),
    Column("other", "string", "", "a condition of another factor that can hold with it and was not asked with it"),
    Column("state", "string", "", "not run: planned only; never asked: in no problem of the plan"),
)

COMPARISON_COLUMNS = (
    Column("verdict", "string", "", "what became of the cell: BROKEN, SLOWER, MISSING, INCONCLUSIVE, FASTER, ..."),
    Column("suite", "string", "", "suite that planned the cell"),
    Column("kind", "string", "", "correctness or speed"),
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
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
    Column("verdict", "string", "", "SLOWER, FASTER, SAME, INCONCLUSIVE, MISSING or NEW"),
    Column("arm", "string", "", "arm that is compared"),
    Column("backend", "string", "", "registered name of its backend"),
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


SEMANTICS_COLUMNS = (  # plus one for every arm, see `semantics_columns`
    Column("law", "string", "", "law that looks at a declaration"),
    Column("formula", "string", "", "the law's statement"),
    Column("differs", "bool", "", "whether backends show different things on a problem that they were both asked"),
)


ARITHMETIC_COLUMNS = (
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
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
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
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
    Column("laws_broken", "string", "", "names of the broken laws"),
    Column("reason", "string", "", "why something is missing"),
)


COUNT_COLUMNS = (
    Column("cell", "int64", "", "number of the cell in the plan"),
    Column("suite", "string", "", "suite that planned the cell"),
    Column("label", "string", "", "name of the problem"),
    Column("operator", "string", "", "operator of the problem"),
    Column("problem", "string", "", "canonical problem line"),
    Column("arm", "string", "", "arm under test; the backend's name where no environment was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
    Column("outcome", "string", "", "passed, failed, error, crashed, timeout, unsupported, unavailable or skipped"),
    Column("counter", "string", "", "what counted: kernel or valgrind; null where nothing was counted"),
    Column("calls", "int64", "1", "counted calls, each on data of its own"),
    Column("instructions", "float64", "1", "median instructions of a call, with one thread"),
    Column("least", "int64", "1", "fewest instructions of a call"),
    Column("most", "int64", "1", "most instructions of a call"),
    Column("spread", "float64", "1", "share of a call that is not deterministic: (most - least) / median"),
    Column("base", "string", "", "arm that it is compared with; null where nothing is compared"),
    Column("base_cell", "int64", "", "number of the cell of the base"),
    Column("base_instructions", "float64", "1", "median instructions of a call of the base"),
    Column("ratio", "float64", "1", "instructions over those of the base"),
    Column("ratio_low", "float64", "1", "least over the base's most"),
    Column("ratio_high", "float64", "1", "most over the base's least"),
    Column("verdict", "string", "", "MORE, MISSING, INCONCLUSIVE, FEWER, NEW or SAME; null for a base"),
    Column("reason", "string", "", "why there is no verdict, or no count"),
)


TABLES: dict[str, tuple[Column, ...]] = {
    "results": RESULT_COLUMNS,
    "samples": SAMPLE_COLUMNS,
    "blocks": BLOCK_COLUMNS,
    "verdicts": VERDICT_COLUMNS,
    "counts": COUNT_COLUMNS,
    "semantics": SEMANTICS_COLUMNS,
    "arithmetic": ARITHMETIC_COLUMNS,
    "networks": NETWORK_COLUMNS,
    "coverage": COVERAGE_COLUMNS,
    "coverage-pairs": GAP_COLUMNS,
    "comparison": COMPARISON_COLUMNS,
}


def semantics_columns(arms: Sequence[str]) -> tuple[Column, ...]:
    """Return the columns of the table of semantics for these arms."""
    meaning = "what {} does: the most frequent, then the rest with where it holds; null where it was not asked"
    return (*SEMANTICS_COLUMNS, *(Column(name, "string", "", meaning.format(name)) for name in arms))


def semantics_arms(table: pd.DataFrame) -> list[str]:
    """Return the arms that have a column in the table of semantics."""
    return [str(name) for name in table.columns[len(SEMANTICS_COLUMNS) :]]


def schema_table(*tables: str, arms: Sequence[str] = ()) -> pd.DataFrame:
    """Return the schema of the named tables (all by default): table, column, dtype, unit, meaning.

    arms: arms with a column in the table of semantics.
    """
    import pandas as pd

    names = ("table", "column", "dtype", "unit", "meaning")
    columns = {**TABLES, "semantics": semantics_columns(arms)}
    rows = [(t, c.name, c.dtype, c.unit, c.meaning) for t in tables or tuple(columns) for c in columns[t]]
    return pd.DataFrame(rows, columns=list(names), dtype="string")
