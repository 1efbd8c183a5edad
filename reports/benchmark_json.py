"""Timed cells in the format of `pytest --benchmark-json`, for `pytest-benchmark compare` and services that read it."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.ci_findings import name_series, ratios_by_cell, timed_results

if TYPE_CHECKING:
    from harness import Analysis, Result, Run
    from harness.analysis import Estimate


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write pytest-benchmark.json.

    Its summaries combine all samples; intervals over processes are in the other formats.
    Raises UsageError if pytest-benchmark is not installed.
    """
    try:
        from pytest_benchmark import __version__
        from pytest_benchmark.stats import Stats  # noqa: F401 -- fail before anything is made
    except ImportError:
        from harness import UsageError

        raise UsageError(
            "format pytest-benchmark: the package pytest-benchmark is missing, wanted it beside the harness; "
            "install it with `pip install 'conv-harness[ci]'`"
        ) from None
    run, ratios = analysis.run, ratios_by_cell(analysis)
    content = {
        "machine_info": _machine(run), "commit_info": _commit(run),
        "benchmarks": [_benchmark(run, one, ratios.get(one.cell)) for one in timed_results(run)],
        "datetime": run.header.created,
        "version": __version__,
    }  # fmt: skip
    path = folder / "pytest-benchmark.json"
    path.write_text(json.dumps(content), encoding="ascii")
    return (path,)


def _benchmark(run: Run, result: Result, ratio: Estimate | None) -> dict[str, Any]:
    """One benchmark; its group is the problem, so that the backends of a problem form one table.

    ratio: to the base, where arms were compared.
    """
    assert result.measurement is not None
    passes, series = result.measurement.passes, name_series(run, result.arm)
    name = f"{result.suite}[{series}]"
    compared = {} if ratio is None else {"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high}
    return {
        "group": result.problem, "name": name, "fullname": f"{result.problem}::{name}", "param": series,
        "params": {"arm": result.arm, "backend": result.backend, "problem": result.problem},
        "extra_info": {
            "problem": result.problem, "arm": result.arm, "backend": result.backend, "suite": result.suite,
            "label": result.label, "verified": True, "route": str(result.route), "passes": len(passes),
            "mode": passes[0].mode, **compared,
        },
        "options": {"timer": passes[0].clock, "warmup": any(one.warmups for one in passes)},
        "stats": _summarise(result),
    }  # fmt: skip


def _summarise(result: Result) -> dict[str, Any]:
    """Fields and samples in seconds per call, of the blocks that count (of the first pass if none does)."""
    from pytest_benchmark.stats import Stats

    assert result.measurement is not None
    passes = result.measurement.passes
    kept = [sample for one in passes for block in one.kept for sample in block] or passes[0].samples_ns
    make: Any = Stats  # untyped
    stats = make()
    for sample in kept:
        stats.update(sample / 1e9)
    loops = statistics.median_low(one.loops for one in passes)
    return {**stats.as_dict(), "data": stats.data, "iterations": loops}


def _machine(run: Run) -> dict[str, Any]:
    """The machine under the names of pytest-benchmark; the fingerprint replaces the host name."""
    env = run.header.environment
    return {
        "node": env.get("fingerprint", ""), "processor": env.get("cpu", ""), "machine": env.get("machine", ""),
        "python_implementation": env.get("implementation", ""), "python_version": env.get("python", ""),
        "python_implementation_version": env.get("python", ""), "release": env.get("kernel", ""),
        "system": env.get("system", ""), "cpu": {"brand_raw": env.get("cpu", ""), "count": env.get("cores")},
    }  # fmt: skip


def _commit(run: Run) -> dict[str, Any]:
    git = run.header.environment.get("git") or {}
    return {
        "id": git.get("revision", "unversioned"), "time": None, "author_time": None, "dirty": git.get("dirty", False),
        "project": None, "branch": "(unknown)",
    }  # fmt: skip
