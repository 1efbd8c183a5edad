"""All cells of a run as one table of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.frames import statuses, timed
from harness.analysis.rows import plain_records
from harness.analysis.schemas import schema_table
from reports.html import Shown, pack
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis
    from harness.analysis.statistics import Estimate

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
    times = timed(results)
    shown = results.assign(status=statuses(results))
    shown["route"] = shown["route"].where(shown["route"] != "derived", "derived via " + shown["via"])
    shown.loc[~shown["cell"].isin(times["cell"]), SHOWN_TIMES] = None
    records = [record | {"reason": _reason(record)} | _to_fastest(ratios.get(record["cell"]))
               for record in plain_records(shown)]  # fmt: skip
    return {
        "cells": pack(records, CELL_COLUMNS), "paired": bool(ratios),
        "untold": int(results["median_ns"].notna().sum()) - len(times),
        "schema": list(plain_records(schema_table("results"))),
    }  # fmt: skip


def _to_fastest(ratio: Estimate | None) -> dict[str, float | None]:
    """Ratio to the fastest backend of the row, with its interval, as three values of a record."""
    ends = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    return dict(zip(("to_fastest", "to_fastest_low", "to_fastest_high"), ends, strict=True))


def _reason(record: dict[str, Any]) -> str:
    """Reason of a cell with its worst error in ulp, or the observed value if it passed."""
    if record["outcome"] == "passed" and record["observed"]:
        return f"observed {record['observed']}"
    worst = "" if record["ulps"] is None else f"worst error {record['ulps']:.3g} ulp"
    return "; ".join(part for part in (record["reason"], worst) if part)


CELLS = Section(page=page)
