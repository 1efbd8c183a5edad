"""Timed cells in the Bencher Metric Format: https://bencher.dev/docs/reference/bencher-metric-format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from reports.ci_findings import name_timed, ratios_by_cell, timed_results

if TYPE_CHECKING:
    from harness import Analysis


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write bencher.json: the measure `latency` of every timed cell, in ns, with its 95 % interval.

    Where arms were compared, also the measure `ratio` to the base.
    """
    from harness.analysis import estimate_time

    found, ratios = {}, ratios_by_cell(analysis)
    for result in timed_results(analysis.run):
        assert result.measurement is not None
        time = estimate_time(result.measurement)
        measures = {"latency": time} | ({"ratio": ratios[result.cell]} if result.cell in ratios else {})
        found[name_timed(analysis.run, result)] = {
            name: {"value": one.value, "lower_value": one.low, "upper_value": one.high}
            for name, one in measures.items()
        }
    path = folder / "bencher.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return (path,)
