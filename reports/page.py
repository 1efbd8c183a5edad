"""One HTML page of a run or a comparison: self-contained, no network, readable by whoever opens the file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.analysis.repeating import repeat_command
from reports.number_format import format_time, shorten

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run
    from harness.analysis.arm_comparison import ArmComparison
    from harness.analysis.run_comparison import Comparison
    from harness.analysis.statistics import Estimate
    from reports.figures import Figure, Position

MOST_FAILURES, EACH_FAILURES = 250, 5
MOST_VERDICTS = 600
SHOWN_TIMES = [
    "median_ns", "low_ns", "high_ns", "gflops", "peak_fraction", "prepare_ns", "first_call_ns", "cores",
]  # fmt: skip
LONGEST_VALUE = 90  # characters of one observed value


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A column of the table of cells: its name in the records, its heading, how values are shown, whether to filter.

    Without a heading it is not in the table, but figures read it.
    """

    name: str
    title: str
    kind: Literal["text", "code", "status", "number", "time", "percent"] = "text"
    filter: bool = False


CELL_COLUMNS = (
    Shown(name="status", title="outcome", kind="status", filter=True),
    Shown(name="backend", title="backend", filter=True),
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
CHANGE_COLUMNS = (
    Shown(name="verdict", title="verdict", kind="status", filter=True),
    Shown(name="backend", title="backend", filter=True),
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


def write(run: Run, folder: Path) -> tuple[Path, ...]:
    """Write report.html, and gallery.html where results have pictures."""
    from reports import gallery

    pictures = gallery.write(run, folder)
    return (*render("run.html.j2", folder / "report.html", _run_context(run)), *pictures)


def write_comparison(comparison: Comparison, folder: Path) -> tuple[Path, ...]:
    """Write comparison.html."""
    return render("comparison.html.j2", folder / "comparison.html", _comparison_context(comparison))


def render(template: str, path: Path, context: dict[str, Any]) -> tuple[Path, ...]:
    """Write one page from a template; plotly goes into it only where there are figures."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reports"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["time"] = format_time
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    if context["figures"]:
        from plotly.offline import get_plotlyjs

        context["plotly"] = Markup(get_plotlyjs())
    path.write_text(environment.get_template(template).render(context), encoding="utf-8")
    return (path,)


def _run_context(run: Run) -> dict[str, Any]:
    from harness.analysis.descriptions import describe_failure
    from harness.analysis.switches import explain_settings
    from harness.record.run import Result
    from reports.arm_comparison import compared, judge_arms
    from reports.bugs import HEADS as BUG_HEADS
    from reports.bugs import NOTE, bug_words, describe_counts
    from reports.coverage import NOTE as COVERAGE_NOTE
    from reports.coverage import coverage_words
    from reports.facts import (
        failure_groups,
        judge_run,
        plain_records,
        ratios_to_fastest,
        run_facts,
        unavailable_backends,
    )
    from reports.frames import frame, schema_table, statuses, timed
    from reports.gallery import table
    from reports.learning import HEADS as LEARNING_HEADS
    from reports.learning import draw_curves, find_learners
    from reports.networks import HEADS, LAYER_HEADS, network_words, portfolio_words

    results, arm_comparison, only = frame(run), compared(run), explain_settings(run)

    def describe(result: Result) -> list[tuple[str, str]]:
        return describe_failure(result, only.get(result.cell, ""))

    times = timed(results)
    shown = results.assign(status=statuses(results))
    shown["route"] = shown["route"].where(shown["route"] != "derived", "derived via " + shown["via"])
    hidden = ~shown["cell"].isin(times["cell"])
    shown.loc[hidden, SHOWN_TIMES] = None
    ratios = ratios_to_fastest(run, results)
    records = [record | {"reason": _reason(record)} | _to_fastest(ratios.get(record["cell"]))
               for record in plain_records(shown)]  # fmt: skip
    positions = {
        (r["suite"], r["backend"], r["label"], r["problem"]): n for n, r in enumerate(records) if r["median_ns"]
    }
    groups, portfolios = failure_groups(run, MOST_FAILURES, EACH_FAILURES), portfolio_words(run)
    speed, verdicts = _speed_context(run, results, positions), _arms_context(arm_comparison) if arm_comparison else None
    learners = find_learners(run)
    curves = draw_curves(learners)
    forests = _specs(verdicts["forests"]) if verdicts else {}
    figures = speed["figures"] | _specs(one.figure for one in portfolios) | _specs(curves) | forests
    return {
        "title": f"Run {run.path.name}", "verdict": judge_arms(arm_comparison) if arm_comparison else judge_run(run),
        "facts": run_facts(run), "arm_comparison": verdicts,
        "unavailable": unavailable_backends(run), "outcomes": _outcomes(results), "failures": groups,
        "describe": describe, "settings": _settings(run),
        "command_for": partial(repeat_command, run.header), "laws": _laws(results), "gallery": table(run),
        "bugs": bug_words(run), "bug_counts": describe_counts(run), "bug_heads": BUG_HEADS, "bug_note": NOTE,
        "learners": learners, "learning_heads": LEARNING_HEADS, "curves": curves,
        "networks": network_words(run), "network_heads": HEADS, "portfolios": portfolios, "layer_heads": LAYER_HEADS,
        "semantics": _semantics(results), "arithmetic": _arithmetic(results), "cells": pack(records, CELL_COLUMNS),
        "coverage": [] if arm_comparison else coverage_words(run), "coverage_note": COVERAGE_NOTE,
        "untold": int(results["median_ns"].notna().sum()) - len(times),
        "schema": list(plain_records(schema_table("results"))), **speed,
        "figures": figures, "paired": bool(ratios),
    }  # fmt: skip


def _to_fastest(ratio: Estimate | None) -> dict[str, float | None]:
    """Ratio to the fastest of the row with its interval, as three values of a record."""
    ends = (ratio.value, ratio.low, ratio.high) if ratio else (None, None, None)
    return dict(zip(("to_fastest", "to_fastest_low", "to_fastest_high"), ends, strict=True))


def _arms_context(arm_comparison: ArmComparison) -> dict[str, Any]:
    """Effects, verdicts by cell with their strips, pictures and arms."""
    from reports.arm_comparison import (
        arm_rows,
        cut,
        dropped_reasons,
        effects,
        groups_of,
        known_slowdown,
        ratio_words,
        setup_words,
        verdict_row,
    )
    from reports.forest import STRIP_H, STRIP_W, forests, make_strip

    delta = arm_comparison.gate.delta
    groups = [
        (
            group.title, len(group.rows), more,
            [(verdict_row(arm_comparison, r), ratio_words(r.judgement.ratio), make_strip(r, delta)) for r in shown],
        )
        for group, shown, more in cut(groups_of(arm_comparison), MOST_VERDICTS)
    ]  # fmt: skip
    return {
        "setup_words": setup_words,
        "effects": [(effect, *ratio_words(effect.ratio)) for effect in effects(arm_comparison)], "groups": groups,
        "reasons": dropped_reasons(arm_comparison.run), "arms": arm_rows(arm_comparison),
        "forests": forests(arm_comparison),
        "delta": f"{100 * delta:.3g}", "width": STRIP_W, "height": STRIP_H,
        "unseen": sum(row.judgement.ratio is None for row in arm_comparison.rows), "can_tell": arm_comparison.can_tell,
        "slowed": any(known_slowdown(row.new.suite) for row in arm_comparison.rows),
    }  # fmt: skip


def _reason(record: dict[str, Any]) -> str:
    """Reason of a cell with its worst error in ulp, or what was observed where it passed."""
    if record["outcome"] == "passed" and record["observed"]:
        return f"observed {record['observed']}"
    worst = "" if record["ulps"] is None else f"worst error {record['ulps']:.3g} ulp"
    return "; ".join(part for part in (record["reason"], worst) if part)


def _speed_context(run: Run, results: pd.DataFrame, positions: Position) -> dict[str, Any]:
    """Make the figures of the timed cells by section, and all of them by id."""
    from reports.facts import backend_order, speed_rows
    from reports.figures import growth_curves, heat_maps, roofline

    rows = speed_rows(results)
    backends = backend_order(results, [name for row in rows for name in row.cells])
    heat = heat_maps(rows, backends, positions)
    growth = growth_curves(rows, backends, positions)
    peak = next((peak for peak in run.peaks if peak.device == "cpu"), None)
    roof = roofline(rows, backends, peak, positions) if peak and rows else None
    every = [*heat, *growth, *([roof] if roof else [])]
    return {
        "heat": heat, "growth": growth, "roof": roof, "figures": _specs(every), "backends": backends,
        "within_one": any(cell["interval"] == "one process" for row in rows for cell in row.cells.values()),
    }  # fmt: skip


def _specs(figures: Iterable[Figure]) -> dict[str, Any]:
    return {figure.id: figure.spec for figure in figures}


def _settings(run: Run) -> dict[str, Any]:
    """Count by arm, where arms of one backend differ in settings, with what their libraries use."""
    from harness.analysis.switches import count_columns, describe_observed_sets, setting_rows

    rows = setting_rows(run)
    columns = count_columns(rows)
    return {
        "columns": columns,
        "rows": [
            (
                row.backend, row.setting or "nothing", describe_observed_sets(row.observed) or "not told",
                [(name, row.counts.get(name, 0)) for name in columns],
            )
            for row in rows
        ],
    }  # fmt: skip


def _outcomes(results: pd.DataFrame) -> dict[str, Any]:
    """Count by backend for the statuses that occur, with the number of timed cells."""
    from reports.frames import STATUSES, outcome_counts, timed

    counts = outcome_counts(results)
    times = timed(results)["backend"].value_counts()
    columns = [status for status in STATUSES if counts[status].any()]
    rows = [
        (str(name), [(s, int(n)) for s, n in zip(columns, numbers, strict=True)], int(times.get(name, 0)))
        for name, *numbers in counts[columns].itertuples()
    ]
    return {"columns": columns, "rows": rows}


def _laws(results: pd.DataFrame) -> dict[str, Any]:
    """Make the table of laws: a row for each law with its formula, a cell for each backend."""
    from reports.facts import backend_order, law_words, plain_records
    from reports.frames import law_table

    found = {(row["law"], row["backend"]): row for row in plain_records(law_table(results).reset_index())}
    backends = backend_order(results, [backend for _, backend in found])
    rows = []
    for law in dict.fromkeys(law for law, _ in found):
        cells = [found.get((law, backend)) for backend in backends]
        formula = max((cell["formula"] for cell in cells if cell), key=len)
        words = [(*law_words(cell), _law_state(cell)) if cell else ("", "", "") for cell in cells]
        rows.append({"law": law, "formula": formula, "cells": words})
    return {"backends": backends, "rows": rows}


def _law_state(cell: dict[str, Any]) -> str:
    if not cell["ran"]:
        return "idle"
    return "bad" if cell["passed"] + cell["proves_nothing"] < cell["ran"] else "good" if cell["passed"] else "open"


def _semantics(results: pd.DataFrame) -> dict[str, Any]:
    """Make the table of declared semantics: a row for each law, a cell with its values for each backend."""
    from reports.facts import semantics_rows

    backends, found = semantics_rows(results)
    rows = [
        {
            "law": row.law, "formula": row.formula, "differs": row.differs,
            "cells": [
                ([shorten(value, LONGEST_VALUE) for value in values], "bad" if wrong else "")
                for values, wrong in (row.cells.get(name, ((), False)) for name in backends)
            ],
        }
        for row in found
    ]  # fmt: skip
    return {"backends": backends, "rows": rows, "differing": sum(row.differs for row in found)}


def _arithmetic(results: pd.DataFrame) -> dict[str, Any]:
    """Make the table of arithmetic: a row for each operator and dtype, bits over class for each backend."""
    from reports.facts import arithmetic_rows, arithmetic_words

    backends, found = arithmetic_rows(results)
    groups: dict[str, list[tuple[str, list[tuple[str, str, str]]]]] = {}
    for row in found:
        words = [arithmetic_words(row.cells[name]) if name in row.cells else ("", "", True) for name in backends]
        cells = [(main, note, "" if well else "bad") for main, note, well in words]
        groups.setdefault(row.operator, []).append((row.dtype, cells))
    return {"backends": backends, "groups": groups}


def _comparison_context(comparison: Comparison) -> dict[str, Any]:
    from harness.analysis.run_comparison import VERDICTS
    from reports.facts import judge_comparison, plain_records, run_facts
    from reports.figures import ratio_plots
    from reports.frames import comparison_frame, schema_table

    records = sorted(plain_records(comparison_frame(comparison)), key=lambda row: VERDICTS.index(row["verdict"]))
    plots = ratio_plots(records, comparison.threshold)
    sides = [dict(run_facts(run)) for run in (comparison.base, comparison.new)]
    names = dict.fromkeys([*sides[0], *sides[1]])
    backends = list(dict.fromkeys(row["backend"] for row in records))
    counts = {name: [sum(r["verdict"] == name and r["backend"] == b for r in records) for b in backends]
              for name, number in comparison.counts.items() if number}  # fmt: skip
    return {
        "title": f"{comparison.base.path.name} against {comparison.new.path.name}",
        "verdict": judge_comparison(comparison), "threshold": comparison.threshold,
        "obstacles": comparison.obstacles, "sides": [(name, *(side.get(name, "") for side in sides)) for name in names],
        "backends": backends, "counts": counts, "ratios": plots, "figures": _specs(plots),
        "cells": pack(records, CHANGE_COLUMNS), "schema": list(plain_records(schema_table("comparison"))),
    }  # fmt: skip


def pack(records: Sequence[dict[str, Any]], columns: Sequence[Shown]) -> dict[str, Any]:
    """Turn records into columns: each different text once, numbers joined with three digits; a page must stay small."""
    made = []
    for column in columns:
        values = [record[column.name] for record in records]
        if column.kind in ("text", "code", "status"):
            codes = {text: n for n, text in enumerate(dict.fromkeys(v or "" for v in values))}
            made.append({**asdict(column), "values": list(codes), "codes": [codes[v or ""] for v in values]})
        else:
            made.append({**asdict(column), "numbers": ",".join(map(_plain, values))})
    return {"rows": len(records), "columns": made}


def _plain(value: float | None) -> str:
    """Write a number as JavaScript reads it: short, infinity as a word, nothing where there is none."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return "Infinity"
    short = f"{value:.3g}"
    return short.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
