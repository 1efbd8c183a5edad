"""Timed cells in the Bencher Metric Format: https://bencher.dev/docs/reference/bencher-metric-format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from reports.ci_findings import name_timed, timed_results

if TYPE_CHECKING:
    from harness import Analysis


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write bencher.json: the measure `latency` of every timed cell, in ns, with its 95 % interval."""
    from harness.analysis import estimate_time

    found = {}
    for result in timed_results(analysis.run):
        assert result.measurement is not None
        time = estimate_time(result.measurement)
        found[name_timed(result)] = {
            "latency": {"value": time.value, "lower_value": time.low, "upper_value": time.high}
        }
    path = folder / "bencher.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return (path,)
