"""All cells of a run as one table of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.analysis import plain_records, schema_table
from reports.html import Shown, pack
from reports.sections.section import Section

if TYPE_CHECKING:
    import pandas as pd

    from harness import Analysis
    from harness.analysis import Estimate

SHOWN_TIMES = [
    "median_ns", "low_ns", "high_ns", "gflops", "peak_fraction", "prepare_ns", "first_call_ns", "cores",
]  # fmt: skip


CELL_COLUMNS = (
    Shown(name="status", title="outcome", kind="status", filter=True),
    Shown(name="arm", title="backend", filter=True),
    Shown(name="suite", title="suite", filter=True),
    Shown(name="operator", title="operator", filter=True),
    Shown(name="law", title="law", filter=True),
    Shown(name="label", title="label"),
    Shown(name="problem", title="problem", kind="code"),
    Shown(name="reason", title="reason"),
    Shown(name="worst", title="worst (error / bound)", kind="number"),
    Shown(name="effective_bits", title="effective bits", kind="number"),
    Shown(name="median_ns", title="median time", kind="time"),
    Shown(name="low_ns", title="95 % from", kind="time"),
    Shown(name="high_ns", title="95 % to", kind="time"),
    Shown(name="prepare_ns", title="prepare", kind="time"),
    Shown(name="first_call_ns", title="first call", kind="time"),
    Shown(name="cores", title="cores used", kind="number"),
    Shown(name="to_fastest", title="time / fastest", kind="number"),
    Shown(name="to_fastest_low", title="", kind="number"),
    Shown(name="to_fastest_high", title="", kind="number"),
    Shown(name="gflops", title="GFLOP/s", kind="number"),
    Shown(name="peak_fraction", title="of GEMM peak (%)", kind="percent"),
    Shown(name="route", title="route", filter=True),
)


def page(analysis: Analysis) -> dict[str, Any]:
    """Return all cells, with times only if a check passed and proved something, and the schema of the results."""
    results, ratios = analysis.results, analysis.to_fastest
    shown = results.assign(status=analysis.statuses, reason=_reasons(results), **_to_fastest(results, ratios))
    shown["route"] = shown["route"].where(shown["route"] != "derived", "derived via " + shown["via"])
    for name in SHOWN_TIMES:
        shown[name] = analysis.timed[name].reindex(shown.index)
    return {
        "cells": pack(shown, CELL_COLUMNS), "paired": bool(ratios),
        "untold": int(results["median_ns"].notna().sum()) - len(analysis.timed),
        "schema": list(plain_records(schema_table("results"))),
    }  # fmt: skip


def _to_fastest(results: pd.DataFrame, ratios: Mapping[int, Estimate]) -> dict[str, pd.Series[Any]]:
    """Ratios to the fastest backend of the row, with their intervals, as three columns."""
    import pandas as pd

    ends = pd.DataFrame(
        [(ratio.value, ratio.low, ratio.high) for ratio in ratios.values()], index=list(ratios), dtype=float,
        columns=["to_fastest", "to_fastest_low", "to_fastest_high"],
    )  # fmt: skip
    found = ends.reindex(results["cell"].to_numpy()).set_axis(results.index)
    return {str(name): found[name] for name in found}


def _reasons(results: pd.DataFrame) -> pd.Series[Any]:
    """Reason of each cell with its worst error in ulp, or the observed value if it passed."""
    reasons, ulps = results["reason"].copy(), results["ulps"]
    seen = results["outcome"].eq("passed") & results["observed"].fillna("").ne("")
    reasons[seen] = "observed " + results["observed"][seen]
    worst = ulps.notna() & ~seen
    parts = zip(reasons[worst].fillna(""), ulps[worst], strict=True)
    reasons[worst] = ["; ".join(filter(None, (reason, f"worst error {ulp:.3g} ulp"))) for reason, ulp in parts]
    return reasons


CELLS = Section(page=page)
