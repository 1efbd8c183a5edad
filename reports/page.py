"""One self-contained HTML page of a run or of a comparison of two runs; it needs no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis import VERDICTS, comparison_frame, plain_records, schema_table
from reports.figures import ratio_plots, specs
from reports.headline import judge_analysis, judge_comparison
from reports.html import Shown, pack, render
from reports.sections.arithmetic import ARITHMETIC
from reports.sections.arms import ARMS
from reports.sections.bugs import BUGS
from reports.sections.cards import CARDS
from reports.sections.cells import CELLS
from reports.sections.claims import CLAIMS
from reports.sections.counts import COUNTS
from reports.sections.coverage import COVERAGE
from reports.sections.failures import FAILURES
from reports.sections.gallery import GALLERY
from reports.sections.laws import LAWS
from reports.sections.learning import LEARNING
from reports.sections.networks import NETWORKS
from reports.sections.outcomes import OUTCOMES
from reports.sections.semantics import SEMANTICS
from reports.sections.settings import SETTINGS
from reports.sections.times import TIMES
from reports.words import describe_machine, run_facts

if TYPE_CHECKING:
    from harness import Analysis
    from harness.analysis import Comparison

SECTIONS = (
    ARMS, CARDS, OUTCOMES, COUNTS, SETTINGS, CLAIMS, BUGS, FAILURES, LAWS, NETWORKS, LEARNING, GALLERY, SEMANTICS,
    ARITHMETIC, COVERAGE, TIMES, CELLS,
)  # fmt: skip
CHANGE_COLUMNS = (
    Shown(name="verdict", title="verdict", kind="status", filter=True),
    Shown(name="arm", title="backend", filter=True),
    Shown(name="suite", title="suite", filter=True),
    Shown(name="law", title="law", filter=True),
    Shown(name="label", title="label"),
    Shown(name="problem", title="problem", kind="code"),
    Shown(name="base", title="base outcome"),
    Shown(name="new", title="new outcome"),
    Shown(name="base_ns", title="base time", kind="time"),
    Shown(name="new_ns", title="new time", kind="time"),
    Shown(name="ratio", title="new/base", kind="number"),
    Shown(name="ratio_low", title="95 % from", kind="number"),
    Shown(name="ratio_high", title="95 % to", kind="number"),
    Shown(name="reason", title="reason"),
)


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write report.html."""
    run = analysis.run
    context: dict[str, Any] = {
        "title": f"Run {run.path.name}",
        "verdict": judge_analysis(analysis),
        "facts": run_facts(run),
        "about": describe_machine(run),
    }
    figures: dict[str, Any] = {}
    for section in SECTIONS:
        shown = section.page(analysis)
        figures |= shown.pop("figures", {})
        context |= shown
    return render("run.html.j2", folder / "report.html", {**context, "figures": figures})


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.html."""
    return render("comparison.html.j2", folder / "comparison.html", _comparison_context(comparison))


def _comparison_context(comparison: Comparison) -> dict[str, Any]:
    frame = comparison_frame(comparison)
    frame = frame.iloc[sorted(range(len(frame)), key=[VERDICTS.index(name) for name in frame["verdict"]].__getitem__)]
    records = list(plain_records(frame))
    plots = ratio_plots(records, comparison.threshold)
    sides = [dict(run_facts(run)) for run in (comparison.base, comparison.new)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    backends = list(dict.fromkeys(row["arm"] for row in records))
    counts = {name: [sum(r["verdict"] == name and r["arm"] == b for r in records) for b in backends]
              for name, number in comparison.counts.items() if number}  # fmt: skip
    return {
        "title": f"{comparison.base.path.name} against {comparison.new.path.name}",
        "verdict": judge_comparison(comparison), "threshold": comparison.threshold,
        "obstacles": comparison.obstacles, "sides": [(name, *(side.get(name, "") for side in sides)) for name in names],
        "backends": backends, "counts": counts, "ratios": plots, "figures": specs(plots),
        "cells": pack(frame, CHANGE_COLUMNS), "schema": list(plain_records(schema_table("comparison"))),
    }  # fmt: skip
