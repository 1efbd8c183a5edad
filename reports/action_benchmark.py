"""Timed cells for github-action-benchmark, in the format of its tool `customSmallerIsBetter`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from reports.ci_findings import name_timed, timed_results
from reports.number_format import count, format_interval

if TYPE_CHECKING:
    from harness import Analysis, Result


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write github-action-benchmark.json: median times of a call in ns, with their 95 % intervals."""
    path = folder / "github-action-benchmark.json"
    path.write_text(
        json.dumps([_entry(result) for result in timed_results(analysis.run)], indent=1) + "\n", encoding="utf-8"
    )
    return (path,)


def _entry(result: Result) -> dict[str, str | float]:
    from harness.analysis import estimate_time

    assert result.measurement is not None
    time = estimate_time(result.measurement)
    told = (
        f"problem: {result.problem}", *((f"arm: {result.arm}",) if result.arm != result.backend else ()),
        f"backend: {result.backend}", f"suite: {result.suite}", f"route: {result.route}",
        f"95 % interval over {time.over}, {count(len(result.measurement.passes), 'pass', 'passes')}",
    )  # fmt: skip
    return {
        "name": name_timed(result), "unit": "ns", "value": time.value, "range": format_interval(time.low, time.high),
        "extra": "\n".join(told),
    }  # fmt: skip
