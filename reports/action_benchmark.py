"""Timed cells for github-action-benchmark, in the format of its tool `customSmallerIsBetter`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from reports.ci_findings import name_timed, ratios_by_cell, timed_results
from reports.number_format import count, format_interval

if TYPE_CHECKING:
    from harness import Analysis, Result, Run
    from harness.analysis import Estimate

Entry = dict[str, str | float]


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write github-action-benchmark.json: median times of a call in ns, with their 95 % intervals.

    Where arms were compared, also ratios to the base.
    """
    path, ratios = folder / "github-action-benchmark.json", ratios_by_cell(analysis)
    entries = []
    for result in timed_results(analysis.run):
        entries.append(_entry(analysis.run, result))
        if result.cell in ratios:
            entries.append(_compare(entries[-1], ratios[result.cell]))
    path.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    return (path,)


def _compare(entry: Entry, ratio: Estimate) -> Entry:
    """The entry of a ratio to the base, made from that of the time."""
    return {
        **entry, "name": f"{entry['name']} (new / base)", "unit": "ratio", "value": ratio.value,
        "range": format_interval(ratio.low, ratio.high),
    }  # fmt: skip


def _entry(run: Run, result: Result) -> Entry:
    from harness.analysis import estimate_time

    assert result.measurement is not None
    time = estimate_time(result.measurement)
    told = (
        f"problem: {result.problem}", *((f"arm: {result.arm}",) if result.arm != result.backend else ()),
        f"backend: {result.backend}", f"suite: {result.suite}", f"route: {result.route}",
        f"95 % interval over {time.over}, {count(len(result.measurement.passes), 'pass', 'passes')}",
    )  # fmt: skip
    return {
        "name": name_timed(run, result), "unit": "ns", "value": time.value,
        "range": format_interval(time.low, time.high),
        "extra": "\n".join(told),
    }  # fmt: skip
