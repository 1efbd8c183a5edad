"""Figures of the page, as Plotly specifications: heat maps, growth curves, roofline, ratios of two runs.

Backend names and problem lines are untrusted, and Plotly interprets some HTML: every text is escaped.
Points carry the number of their row in the page's table of cells, from which the page makes the hover text.

Common parameters of functions:
rows: timed problems. backends: names in the order of their colours.
positions: maps a timed cell to the number of its row.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis import SpeedRow
from harness.networks import is_network_line
from reports.html import plot_text
from reports.number_format import format_number
from reports.rows import sweep_point
from reports.words import time_words

if TYPE_CHECKING:
    from harness.record import Peak

# Okabe and Ito's palette for colour blindness, without yellow and black, which vanish on a light or dark page
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SYMBOLS = (0, 1, 2, 5, 3, 4, 17, 6)  # Plotly's circle, square, diamond, triangle up, cross, x, star, triangle down
OPEN = 100  # offset from a symbol to its open form
DASHES = ("solid", "dash", "dot", "dashdot")
NEUTRAL = "#888888"
SCALE = ((0.0, "#eaf2f8"), (0.35, "#a3c8e2"), (0.7, "#3f7fb3"), (1.0, "#0a3055"))  # one hue; dark is slow
ROW_PX, HEAD_PX = 26, 110
_DECADES = {"type": "log", "dtick": 1, "exponentformat": "none"}
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}
SWEEPS = "sweeps"
WIDE_TICKS = [m * 10.0**e for e in range(-4, 5) for m in (1, 2, 5)]
CLOSE_TICKS = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: id, title of its tab or heading, height in pixels, and data and layout for Plotly."""

    id: str
    title: str
    height: int
    spec: dict[str, Any]


Position = dict[tuple[str, str, str, str], int]  # (suite, backend, label, problem) of a timed cell to its row


def make_figure(id: str, title: str, height: int, data: list[Any], layout: dict[str, Any]) -> Figure:
    """Make a figure: Plotly itself checks data and layout; its large default template is left out.

    id: unique in the page. title: of its tab or heading. height: in pixels. data: traces. layout: of Plotly.
    """
    import json

    import plotly.graph_objects as go

    made = go.Figure(data=data, layout={**layout, "template": None, "height": height})
    spec = json.loads(made.to_json() or "{}")
    spec["layout"].pop("template", None)
    return Figure(id=id, title=title, height=height, spec=spec)


def _marker(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "symbol": SYMBOLS[number % len(SYMBOLS)], "size": 8}


def _marked(marker: dict[str, Any], cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Marker of the backend, open for a derived operator."""
    symbols = [marker["symbol"] + OPEN * (cell["route"] == "derived") for cell in cells]
    return {**marker, "symbol": symbols if len(set(symbols)) > 1 else symbols[0]}


def _where(rows: Position, row: SpeedRow, backend: str) -> int:
    return rows[row.suite, backend, row.label, row.problem]


def heat_maps(rows: Sequence[SpeedRow], backends: Sequence[str], positions: Position) -> list[Figure]:
    """Return one heat map of times for every operator, and one for the sweeps."""
    groups: dict[str, list[SpeedRow]] = {}
    for row in rows:
        groups.setdefault(SWEEPS if sweep_point(row.label) else row.operator, []).append(row)
    if SWEEPS in groups:
        groups[SWEEPS] = groups.pop(SWEEPS)
    return [_heat_map(f"heat-{n}", name, found, backends, positions) for n, (name, found) in enumerate(groups.items())]


def _heat_map(id: str, name: str, rows: Sequence[SpeedRow], backends: Sequence[str], positions: Position) -> Figure:
    ratios: list[list[float | None]] = []
    texts: list[list[str]] = []
    numbers: list[list[int | None]] = []
    for row in rows:
        cells = [row.cells.get(backend) for backend in backends]
        ratios.append([None if c is None else _decades(c["median_ns"] / row.reference_ns) for c in cells])
        texts.append([_time_text(row.cells.get(b), b == row.fastest) for b in backends])
        numbers.append([_where(positions, row, b) if b in row.cells else None for b in backends])
    top = max(1.0, *(z for line in ratios for z in line if z is not None))
    trace = {
        "type": "heatmap", "z": ratios, "text": texts, "customdata": numbers, "texttemplate": "%{text}",
        "zmin": 0, "zmax": top, "colorscale": SCALE, "xgap": 2, "ygap": 2,
        "hoverongaps": False, "hoverinfo": "none", "colorbar": _ratio_bar(top),
    }  # fmt: skip
    columns = list(range(len(backends)))
    lines = list(range(len(rows)))
    layout = {
        "xaxis": {"side": "top", "tickvals": columns, "ticktext": [plot_text(b) for b in backends],
                  "showgrid": False, "zeroline": False, "fixedrange": True},
        "yaxis": {"autorange": "reversed", "tickvals": lines, "ticktext": _row_names(rows), "automargin": True,
                  "showgrid": False, "zeroline": False, "fixedrange": True},
        "margin": {"t": 40, "b": 62, "l": 10, "r": 10},
    }  # fmt: skip
    return make_figure(id, name, HEAD_PX + ROW_PX * len(rows), [trace], layout)


def _decades(ratio: float) -> float:
    """Decimal logarithm of a ratio, at least 0, with the digits that a colour can show."""
    return round(math.log10(max(1.0, ratio)), 2)


def _time_text(cell: dict[str, Any] | None, fastest: bool) -> str:
    if cell is None:
        return ""
    return f"<b>{time_words(cell)}</b>" if fastest else time_words(cell)


def _ratio_bar(top: float) -> dict[str, Any]:
    """Colour bar below the map, in multiples of the time of the fastest."""
    steps = [1, 2, 5, *(m * 10**e for e in range(1, math.ceil(top) + 1) for m in ((1, 2, 5) if top < 2 else (1,)))]
    shown = [s for s in steps if math.log10(s) <= top]
    return {
        "orientation": "h", "thickness": 10, "len": 320, "lenmode": "pixels", "x": 0, "xanchor": "left",
        "y": 0, "yanchor": "top", "ypad": 8, "tickvals": [math.log10(s) for s in shown],
        "ticktext": [f"{s}×" for s in shown], "outlinewidth": 0,
        "title": {"text": "time / fastest native backend of the row (log scale)", "side": "bottom"},
    }  # fmt: skip


def _row_names(rows: Sequence[SpeedRow]) -> list[str]:
    """Labels of the rows of a map; with the dtype, or else the problem line, if a label is ambiguous."""
    labels = [row.label for row in rows]
    typed = [f"{row.label} {row.dtype}" for row in rows]
    names = []
    for row, label, longer in zip(rows, labels, typed, strict=True):
        name = label if labels.count(label) == 1 else longer if typed.count(longer) == 1 else row.problem
        many = f"  ×{row.multiplicity}" if row.multiplicity > 1 else ""
        names.append(plot_text(f"{name}{many} "))
    return names


def growth_curves(rows: Sequence[SpeedRow], backends: Sequence[str], positions: Position) -> list[Figure]:
    """Return one figure for every swept axis, operator and dtype: median times, a line for each backend."""
    groups: dict[tuple[str, str, str], list[tuple[float, SpeedRow]]] = {}
    for row in rows:
        point = sweep_point(row.label)
        if point is not None:
            groups.setdefault((point[0], row.operator, row.dtype), []).append((point[1], row))
    figures = []
    for number, ((axis, operator, dtype), points) in enumerate(groups.items()):
        if len(points) > 1:
            points.sort(key=lambda point: point[0])
            data = [
                trace for n, name in enumerate(backends)
                if (trace := _curve(points, name, _marker(n), DASHES[n // len(COLOURS) % len(DASHES)], positions))
            ]  # fmt: skip
            ticks = [value for value, _ in points]
            figures.append(_curves(f"growth-{number}", f"{axis}, {operator} {dtype}", axis, ticks, data))
    return figures


def _curve(
    points: Sequence[tuple[float, SpeedRow]], backend: str, marker: dict[str, Any], dash: str, positions: Position
) -> dict[str, Any] | None:
    found = [(x, row, row.cells[backend]) for x, row in points if backend in row.cells]
    if not found:
        return None
    ms = [[cell[name] / 1e6 for _, _, cell in found] for name in ("low_ns", "median_ns", "high_ns")]
    return {
        "type": "scatter", "mode": "lines+markers", "name": plot_text(backend), "hoverinfo": "none",
        "x": [x for x, _, _ in found], "y": ms[1],
        "customdata": [_where(positions, row, backend) for _, row, _ in found],
        "error_y": {"type": "data", "symmetric": False, "array": _gaps(ms[1], ms[2]), "arrayminus": _gaps(ms[0], ms[1]),
                    "thickness": 1.2, "width": 3},
        "marker": _marked(marker, [cell for _, _, cell in found]),
        "line": {"color": marker["color"], "dash": dash, "width": 1.8},
    }  # fmt: skip


def _gaps(lower: Iterable[float], upper: Iterable[float]) -> list[float]:
    return [b - a for a, b in zip(lower, upper, strict=True)]


def _curves(id: str, title: str, axis: str, ticks: Sequence[float], data: list[Any]) -> Figure:
    medians = [math.log10(y) for one in data for y in one["y"]]
    layout = {
        "xaxis": {"type": "log", "title": {"text": plot_text(axis)}, "tickvals": list(ticks),
                  "ticktext": [f"{tick:g}" for tick in ticks]},
        "yaxis": {**_DECADES, "title": {"text": "median time of a call (ms)"},
                  "range": [min(medians) - 0.5, max(medians) + 0.5]},  # long error bars must not flatten the curves
        "legend": _LEGEND,
        "margin": {"t": 30, "b": 45, "l": 65, "r": 15},
    }  # fmt: skip
    return make_figure(id, title, 340, data, layout)


def roofline(rows: Sequence[SpeedRow], backends: Sequence[str], peak: Peak, positions: Position) -> Figure | None:
    """Return GFLOP/s over arithmetic intensity, below the roof measured in this run; None if no backend has a rate.

    peak: measured rates of the machine.
    """
    from harness import parse_line

    rows = [row for row in rows if not is_network_line(row.problem)]  # arrays of networks may stay in caches
    intensity = {row.problem: (p.flops / p.bytes if (p := parse_line(row.problem)).flops else 0.0) for row in rows}
    data = []
    for number, backend in enumerate(backends):
        shown = [row for row in rows if backend in row.cells and intensity[row.problem]]
        marker = _marker(number)
        if shown:
            data.append({
                "type": "scattergl" if len(shown) > 1000 else "scatter", "mode": "markers", "hoverinfo": "none",
                "name": plot_text(backend), "x": [_short(intensity[row.problem]) for row in shown],
                "y": [_short(row.cells[backend]["gflops"]) for row in shown],
                "customdata": [_where(positions, row, backend) for row in shown],
                "marker": {**_marked(marker, [row.cells[backend] for row in shown]), "opacity": 0.85},
            })  # fmt: skip
    if not data:
        return None
    span = [intensity[row.problem] for row in rows if intensity[row.problem]]
    layout = {
        "xaxis": {**_DECADES, "title": {"text": "arithmetic intensity (FLOP per byte of compulsory traffic)"}},
        "yaxis": {**_DECADES, "title": {"text": "GFLOP/s"}},
        "legend": _LEGEND,
        "margin": {"t": 30, "b": 50, "l": 65, "r": 15},
    }  # fmt: skip
    return make_figure("roofline", "roofline", 460, [*_roofs(peak, min(span) / 2, max(span) * 2), *data], layout)


def _roofs(peak: Peak, least: float, most: float) -> list[dict[str, Any]]:
    """Lines of the roof: the slope of the bandwidth up to the GEMM rate of each dtype, and that rate beyond."""
    roofs = []
    for number, (dtype, rate) in enumerate(peak.gemm_gflops.items()):
        ridge = rate / peak.copy_gbs
        xs = sorted({least, min(max(ridge, least), most), most})
        roofs.append({
            "type": "scatter", "mode": "lines", "hoverinfo": "none",
            "name": f"roof, {dtype} ({format_number(rate)} GFLOP/s, {format_number(peak.copy_gbs)} GB/s)",
            "x": xs, "y": [min(rate, x * peak.copy_gbs) for x in xs],
            "line": {"color": NEUTRAL, "width": 1.5, "dash": DASHES[number % len(DASHES)]},
        })  # fmt: skip
    return roofs


def ratio_plots(records: Sequence[dict[str, Any]], threshold: float) -> list[Figure]:
    """Return figures of new time over base time with its interval, one for each backend, slowest first.

    records: of the table of the comparison. threshold: relative change that counts.
    """
    groups: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, record in enumerate(records):
        if record["ratio"] is not None:
            groups.setdefault(record["arm"], []).append((number, record))
    return [_ratio_plot(f"ratio-{n}", name, found, threshold) for n, (name, found) in enumerate(groups.items())]


def _ratio_plot(id: str, backend: str, found: list[tuple[int, dict[str, Any]]], threshold: float) -> Figure:
    found.sort(key=lambda pair: -pair[1]["ratio"])
    values, lows, highs = ([r[name] for _, r in found] for name in ("ratio", "ratio_low", "ratio_high"))
    colours = {"SLOWER": COLOURS[1], "FASTER": COLOURS[2], "SAME": COLOURS[0]}
    names = [plot_text(f"{r['label']} {r['problem'].partition(' ')[0]} ") for _, r in found]
    trace = {
        "type": "scatter", "mode": "markers", "hoverinfo": "none", "x": values, "y": list(range(len(found))),
        "customdata": [number for number, _ in found],
        "error_x": {"type": "data", "symmetric": False, "array": _gaps(values, highs),
                    "arrayminus": _gaps(lows, values), "thickness": 1.2, "width": 3, "color": NEUTRAL},
        "marker": {"size": 8, "color": [colours.get(r["verdict"], NEUTRAL) for _, r in found]},
    }  # fmt: skip
    bounds = (1 / (1 + threshold), 1.0, 1 + threshold)
    least, most = math.log10(min(*bounds, *values)) - 0.15, math.log10(max(*bounds, *values)) + 0.15
    layout = {
        "xaxis": {"type": "log", "side": "top", "range": [least, most],
                  "title": {"text": "new time / base time, with 95 % interval (log scale)"},
                  "tickvals": WIDE_TICKS if most - least > 0.8 else CLOSE_TICKS, "tickangle": 0},
        "yaxis": {"autorange": "reversed", "tickvals": list(range(len(found))), "ticktext": names, "automargin": True,
                  "showgrid": False},
        "margin": {"t": 60, "b": 20, "l": 10, "r": 15}, "showlegend": False,
        "shapes": [{"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x,
                    "line": {"color": NEUTRAL, "width": 1, "dash": "solid" if x == 1 else "dot"}} for x in bounds],
    }  # fmt: skip
    return make_figure(id, backend, HEAD_PX + 22 * len(found), [trace], layout)


def _short(value: float) -> float:
    """Value rounded to three significant digits, to keep the page small."""
    return float(f"{value:.3g}")


def specs(figures: Iterable[Figure]) -> dict[str, Any]:
    """Return the specifications of figures by id, as the page draws them."""
    return {figure.id: figure.spec for figure in figures}
