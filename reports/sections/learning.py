"""Learning: accuracy and time of each backend on the digits, and the curves of their losses.

Names of backends are untrusted, and Plotly interprets some HTML: they are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Any

from harness.record import WRONG
from reports.figures import COLOURS, DASHES, NEUTRAL, Figure, make_figure, specs
from reports.html import plot_text
from reports.markdown_syntax import cell, section, table
from reports.number_format import format_duration, format_number
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis, Attachments, Result, Run

LEARNT, CURVE = "digits-are-learnt", "loss-curve-is-the-reference-curve"
HEADS = ("accuracy on held-out digits", "seconds", "steps", "last loss", "curve against float64")


@dataclass(slots=True, kw_only=True)
class Learner:
    """One backend on one problem: the results of both laws.

    backend: its name, with the problem if a run has several.
    """

    backend: str
    problem: str
    results: dict[str, Result] = field(default_factory=dict)

    def curve(self, law: str, name: str) -> tuple[float, ...]:
        """Return an attached curve of a law; empty if there is none."""
        attachments = self._attachments(law)
        return attachments.curves.get(name, ()) if attachments is not None else ()

    def figure(self, name: str) -> float | None:
        """Return a figure of the training; None if there is none."""
        attachments = self._attachments(LEARNT)
        return attachments.figures.get(name) if attachments is not None else None

    def _attachments(self, law: str) -> Attachments | None:
        found = self.results.get(law)
        return None if found is None else found.attachments

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a value and a note, in the order of HEADS."""
        accuracy, seconds, steps, last = map(self.figure, ("accuracy", "seconds", "steps", "last loss"))
        curve = self.results.get(CURVE)
        worst = curve.deviation.worst if curve is not None and curve.deviation is not None else None
        return (
            (f"{100 * accuracy:.2f} %" if accuracy is not None else "", self._why(LEARNT)),
            (format_duration(seconds) if seconds is not None else "", ""),
            (f"{steps:.0f}" if steps is not None else "", ""),
            (format_number(last) if last is not None else "", ""),
            (f"{format_number(worst)} of its bound" if worst is not None else "", self._why(CURVE)),
        )

    @property
    def well(self) -> bool:
        """True if no result is wrong."""
        return not any(result.outcome in WRONG for result in self.results.values())

    def _why(self, law: str) -> str:
        found = self.results.get(law)
        return "" if found is None or found.outcome == "passed" else found.told


def find_learners(run: Run) -> list[Learner]:
    """Return one learner for every backend and problem; unavailable backends are listed with the outcomes."""
    asked = [one for one in run.results if one.law in (LEARNT, CURVE) and one.outcome != "unavailable"]
    several = len({one.problem for one in asked}) > 1
    found: dict[tuple[str, str], Learner] = {}
    for result in asked:
        title = f"{result.arm}: {result.problem}" if several else result.arm
        key = (result.problem, result.arm)
        found.setdefault(key, Learner(backend=title, problem=result.problem)).results[result.law] = result
    return list(found.values())


def draw_curves(learners: Sequence[Learner]) -> list[Figure]:
    """Return figures of the losses, and of the deviations of the first steps from the reference, if there is data."""
    return [figure for figure in (_draw_losses(learners), _draw_deviations(learners)) if figure is not None]


def _draw_losses(learners: Sequence[Learner]) -> Figure | None:
    """A point for each mean loss, in the middle of its steps, over the reference."""
    shown = [(number, one) for number, one in enumerate(learners) if one.curve(LEARNT, "loss")]
    if not shown:
        return None
    each = round((shown[0][1].figure("steps") or 0.0) / len(shown[0][1].curve(LEARNT, "loss"))) or 1
    reference = next((curve for one in learners if (curve := one.curve(CURVE, "wanted"))), ())
    means = [sum(reference[n : n + each]) / each for n in range(0, len(reference) - each + 1, each)]
    data = [_line("float64 reference, first steps", means, each, width=5, color=NEUTRAL, opacity=0.35)] if means else []
    data += [_backend_line(number, one, one.curve(LEARNT, "loss"), each) for number, one in shown]
    return _figure("learning-curves", "Loss", "loss", data)


def _draw_deviations(learners: Sequence[Learner]) -> Figure | None:
    """|L - L64| of the first steps, and each distinct bound on it; the most common bound has no names of backends."""
    shown = [(number, one) for number, one in enumerate(learners) if one.curve(CURVE, "got")]
    if not shown:
        return None
    bounds: dict[tuple[float, ...], list[str]] = {}
    for _, one in shown:
        bounds.setdefault(one.curve(CURVE, "bound"), []).append(one.backend)
    common = max(bounds.values(), key=len)
    data = [
        _line("bound" if names is common else f"bound of {', '.join(names)}", bound, 1, dash=dash, color=NEUTRAL)
        for dash, (bound, names) in zip(cycle(DASHES[1:]), bounds.items(), strict=False)
    ]
    for number, one in shown:
        pairs = zip(one.curve(CURVE, "got"), one.curve(CURVE, "wanted"), strict=True)
        data.append(_backend_line(number, one, [abs(got - wanted) for got, wanted in pairs], 1))
    return _figure("learning-deviations", "Distance of the first losses from float64", "|L − L64|", data)


def _backend_line(number: int, one: Learner, ys: Sequence[float], each: int) -> dict[str, Any]:
    return _line(one.backend, ys, each, color=COLOURS[number % len(COLOURS)], dash=DASHES[number % len(DASHES)])


def _line(name: str, ys: Sequence[float], each: int, *, opacity: float = 1.0, **line: object) -> dict[str, Any]:
    """One curve; values without a place on a logarithmic axis are left out."""
    return {
        "type": "scatter", "mode": "lines", "name": plot_text(name), "opacity": opacity,
        "x": [each * n + (each - 1) / 2 for n in range(len(ys))],
        "y": [float(f"{y:.4g}") if 0 < y < math.inf else None for y in ys], "line": {"width": 1.3, **line},
    }  # fmt: skip


def _figure(id: str, title: str, axis: str, data: list[dict[str, Any]]) -> Figure:
    layout = {
        "xaxis": {"title": {"text": "step"}},
        "yaxis": {"type": "log", "dtick": 1, "exponentformat": "power", "automargin": True,
                  "title": {"text": axis, "standoff": 8}},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"t": 40, "b": 45, "l": 65, "r": 15},
    }  # fmt: skip
    return make_figure(id, title, 420, data, layout)


def page(analysis: Analysis) -> dict[str, Any]:
    """Return learners, and the curves of their losses."""
    learners = find_learners(analysis.run)
    curves = draw_curves(learners)
    return {"learners": learners, "learning_heads": HEADS, "curves": curves, "figures": specs(curves)}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield accuracy and losses by backend; nothing if nothing was learnt."""
    found = find_learners(analysis.run)
    if not found:
        return
    yield from section(
        "Learning",
        "LeNet-5 on handwritten digits by plain gradient descent; the HTML report draws the curves. Bold: wrong.",
    )
    rows = [[cell(one.backend, wrong=not one.well), *(cell(main, note) for main, note in one.words)] for one in found]
    yield from table(["backend", *HEADS], rows, numbers=0)


LEARNING = Section(page=page, markdown=markdown)
