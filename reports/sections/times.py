"""Times: timed problems as a table and as figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reports.figures import growth_curves, heat_maps, roofline, specs
from reports.markdown_syntax import code, escape, section, table
from reports.number_format import format_interval, format_number, format_percent, format_time
from reports.rows import backend_order, timed_positions
from reports.sections.section import Section
from reports.words import time_words

if TYPE_CHECKING:
    from harness import Analysis


def page(analysis: Analysis) -> dict[str, Any]:
    """Return the figures of the timed cells, and all of them by id."""
    rows, results = analysis.speed, analysis.results
    positions = timed_positions(analysis.timed)
    backends = backend_order(results, [name for row in rows for name in row.cells])
    heat = heat_maps(rows, backends, positions)
    growth = growth_curves(rows, backends, positions)
    peak = next((peak for peak in analysis.run.peaks if peak.device == "cpu"), None)
    roof = roofline(rows, backends, peak, positions) if peak and rows else None
    every = [*heat, *growth, *([roof] if roof else [])]
    return {
        "heat": heat, "growth": growth, "roof": roof, "figures": specs(every), "backends": backends,
        "within_one": any(cell["interval"] == "one process" for row in rows for cell in row.cells.values()),
    }  # fmt: skip


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a table of times; nothing if no cell was timed."""
    found, results = analysis.speed, analysis.results
    if not found:
        return
    backends = backend_order(results, [name for row in found for name in row.cells])
    yield from section(
        "Times",
        "Median time of a call, its 95 % interval, GFLOP/s, and share of this machine's GEMM rate in the same dtype.",
        "Bold: the fastest native operator of the row. * derived from other operators, not ranked.",
        "~ the ends of the interval are a factor of 1.5 or more apart; overlapping intervals do not tell two apart.",
        "Last in the brackets: what planning and the first call took, which no median holds.",
        "† interval over the samples of one process, not over processes.",
    )
    rows = []
    for row in found:
        label = f"{row.label} ×{row.multiplicity}" if row.multiplicity > 1 else row.label
        cells = [_time_cell(row.cells.get(name), name == row.fastest) for name in backends]
        rows.append([escape(label), row.operator, *cells, code(row.problem)])
    yield from table(["label", "operator", *map(escape, backends), "problem"], rows, numbers=0)


def _time_cell(timed: dict[str, Any] | None, fastest: bool) -> str:
    if timed is None:
        return ""
    time = escape(time_words(timed))
    one = "†" if timed["interval"] == "one process" else ""
    parts = [f"{format_interval(timed['low_ns'], timed['high_ns'])}{one}"]
    if timed["gflops"] is not None:
        parts.append(f"{format_number(timed['gflops'])} GFLOP/s")
    if timed["peak_fraction"] is not None:
        parts.append(format_percent(timed["peak_fraction"]))
    parts.append(f"prepare {format_time(timed['prepare_ns'])}, first call {format_time(timed['first_call_ns'])}")
    return f"{f'**{time}**' if fastest else time} ({'; '.join(parts)})"


TIMES = Section(page=page, markdown=markdown, lines="rows")
