"""Figures of a comparison of arms: a forest of ratios with intervals, and for each cell a strip of its passes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis import Group, groups_of, row_ratios
from reports.figures import COLOURS, HEAD_PX, NEUTRAL, ROW_PX, WIDE_TICKS, Figure, make_figure
from reports.html import plot_text
from reports.number_format import shorten
from reports.words import ratio_words

if TYPE_CHECKING:
    from harness.analysis import ArmComparison, Row

TINTS = {"SLOWER": COLOURS[1], "FASTER": COLOURS[2], "SAME": COLOURS[0], "INCONCLUSIVE": NEUTRAL}
BAND = "rgba(136,136,136,0.18)"
TALLEST_PX, LEAST_NAMED_PX = 1800, 13  # taller figures get thin rows without names
LONGEST_NAME = 60
FARTHEST = 2.5  # intervals are cut at that multiple of the farthest ratio
WIDE = math.log(2)  # wider ranges need a logarithmic axis
CROWDED = 2.5  # decades; wider axes have room for powers of ten only
STRIP_W, STRIP_H, STRIP_PAD = 300, 84, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """The ratios of the passes of a cell in order, as positions in a picture of STRIP_W x STRIP_H, with their texts.

    dots: x, y and text. band: y of its top, and its height. one: y of the ratio 1. ends: ratios at top and bottom.
    """

    dots: tuple[tuple[float, float, str], ...]
    band: tuple[float, float]
    one: float
    ends: tuple[str, str]


def forests(arm_comparison: ArmComparison) -> list[Figure]:
    """Return one forest for every arm and known slow-down, the largest ratio on top.

    Cells without a ratio are left out.
    """
    figures: list[Figure] = []
    for group in groups_of(arm_comparison):
        for arm in arm_comparison.run.header.arms:
            rows = [row for row in group.rows if row.new.arm == arm.name and row.judgement.ratio is not None]
            if rows:
                title = f"{arm.name}, {group.title}" if group.title else arm.name
                figures.append(_forest(f"forest-{len(figures)}", title, rows, arm_comparison.gate.delta, group))
    return figures


def _forest(id: str, title: str, rows: list[Row], delta: float, group: Group) -> Figure:
    rows.sort(key=lambda row: -_estimate(row)[1])
    row_px = min(ROW_PX - 4, TALLEST_PX / len(rows))
    data = [_marks(verdict, tint, rows) for verdict, tint in TINTS.items()]
    axis = _ratio_axis([_estimate(row) for row in rows], delta)
    lines = [(1.0, "solid"), *([(1 + group.slowdown, "dot")] if group.slowdown else [])]
    layout = {
        "xaxis": {**axis, "side": "top", "tickangle": 0, "title": {"text": "new time / base time, with 95 % interval"}},
        "yaxis": {"range": [len(rows) - 0.4, -0.6], "automargin": True, "showgrid": False, "zeroline": False,
                  "tickvals": list(range(len(rows))), "ticktext": _names(rows), "fixedrange": True,
                  "showticklabels": row_px >= LEAST_NAMED_PX},
        "margin": {"t": 60, "b": 44, "l": 10, "r": 15}, "hovermode": "closest",
        "showlegend": True,
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "shapes": [
            {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "x0": 1 / (1 + delta), "x1": 1 + delta,
             "fillcolor": BAND, "line": {"width": 0}, "layer": "below"},
            *({"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x, "layer": "below",
               "line": {"color": NEUTRAL, "width": 1, "dash": dash}} for x, dash in lines),
        ],
    }  # fmt: skip
    return make_figure(id, title, HEAD_PX + round(row_px * len(rows)), [one for one in data if one["x"]], layout)


def _estimate(row: Row) -> tuple[float, float, float]:
    ratio = row.judgement.ratio
    assert ratio is not None
    return ratio.low, ratio.value, ratio.high


def _marks(verdict: str, tint: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Points of one verdict with their intervals."""
    found = [(n, *_estimate(row)) for n, row in enumerate(rows) if row.judgement.verdict == verdict]
    return {
        "type": "scatter", "mode": "markers", "name": verdict, "hoverinfo": "text",
        "x": [value for _, _, value, _ in found], "y": [n for n, *_ in found],
        "hovertext": [_words(rows[n]) for n, *_ in found],
        "error_x": {"type": "data", "symmetric": False, "array": [high - value for _, _, value, high in found],
                    "arrayminus": [value - low for _, low, value, _ in found], "thickness": 1.4, "width": 3,
                    "color": tint},
        "marker": {"size": 8, "color": tint},
    }  # fmt: skip


def _words(row: Row) -> str:
    """Hover text of a point."""
    value, interval = ratio_words(row.judgement.ratio)
    lines = [
        f"<b>{plot_text(row.new.arm)}, {plot_text(row.new.label)}</b>", plot_text(row.new.problem),
        f"{row.judgement.verdict}: new/base {value} ({interval}), {row.judgement.passes} passes",
    ]  # fmt: skip
    return "<br>".join(lines)


def _ratio_axis(estimates: Sequence[tuple[float, float, float]], delta: float) -> dict[str, Any]:
    """Axis for all ratios and the band; intervals far wider than the range of the ratios are cut."""
    reach = FARTHEST * max(2 * math.log1p(delta), *(abs(math.log(value)) for _, value, _ in estimates))
    ends = [math.log(end) for low, _, high in estimates for end in (low, high)]
    least = max(-reach, min(-1.5 * math.log1p(delta), *ends))
    most = min(reach, max(1.5 * math.log1p(delta), *ends))
    margin = 0.04 * (most - least)
    if most - least < WIDE:
        return {"range": [math.exp(least - margin), math.exp(most + margin)], "tickformat": ".3~f", "nticks": 9}
    decades = [end / math.log(10) for end in (least - margin, most + margin)]
    many = decades[1] - decades[0] > CROWDED
    ticks = [tick for tick in WIDE_TICKS if not many or f"{tick:e}".startswith("1.")]
    return {"type": "log", "range": decades, "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _names(rows: Sequence[Row]) -> list[str]:
    """Labels of the rows; the problem line if a label is ambiguous."""
    labels = [row.new.label for row in rows]
    names = [label if labels.count(label) == 1 else row.new.problem for row, label in zip(rows, labels, strict=True)]
    return [f"{plot_text(shorten(name, LONGEST_NAME))} " for name in names]


def make_strip(row: Row, delta: float) -> Strip | None:
    """Return the strip of the passes of a cell; None if no pass timed both sides."""
    ratios = row_ratios(row)
    if not ratios:
        return None
    bound = math.log1p(delta)
    top, bottom = max(2 * bound, *ratios.values()), min(-2 * bound, *ratios.values())
    height, step = STRIP_H - 2 * STRIP_PAD, (STRIP_W - 2 * STRIP_PAD) / max(1, len(ratios) - 1)

    def place(value: float) -> float:
        return round(STRIP_PAD + height * (top - value) / (top - bottom), 1)

    return Strip(
        dots=tuple(
            (round(STRIP_PAD + step * n, 1), place(value), f"pass {number + 1}: {math.exp(value):.4f}")
            for n, (number, value) in enumerate(ratios.items())
        ),
        band=(place(bound), round(place(-bound) - place(bound), 1)), one=place(0.0),
        ends=(f"{math.exp(top):.3f}", f"{math.exp(bottom):.3f}"),
    )  # fmt: skip
