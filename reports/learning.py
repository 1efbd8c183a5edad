"""Learning: how well and how fast each backend learns the digits, and the curves of their losses over each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.record.run import WRONG
from reports.figures import COLOURS, DASHES, NEUTRAL, Figure, make_figure
from reports.text import format_duration, format_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.checking.exhibit import Exhibit
    from harness.record.run import Result, Run

LEARNT, CURVE = "digits-are-learnt", "loss-curve-is-the-reference-curve"
HEADS = ("accuracy on held-out digits", "seconds", "steps", "last loss", "curve against float64")


@dataclass(slots=True, kw_only=True)
class Learner:
    """One backend on one problem: what became of both laws."""

    backend: str
    problem: str
    results: dict[str, Result] = field(default_factory=dict)

    def curve(self, law: str, name: str) -> tuple[float, ...]:
        """A curve that a law shows; empty where there is none."""
        exhibit = self._exhibit(law)
        return exhibit.curves.get(name, ()) if exhibit is not None else ()

    def figure(self, name: str) -> float | None:
        """A figure of the training."""
        exhibit = self._exhibit(LEARNT)
        return exhibit.figures.get(name) if exhibit is not None else None

    def _exhibit(self, law: str) -> Exhibit | None:
        found = self.results.get(law)
        return found.deviation.exhibit if found is not None and found.deviation is not None else None

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a value and a note, under HEADS."""
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
        """Whether nothing is wrong."""
        return not any(result.outcome in WRONG for result in self.results.values())

    def _why(self, law: str) -> str:
        found = self.results.get(law)
        return "" if found is None or found.outcome == "passed" else f"{found.outcome}: {found.reason}"


def find_learners(run: Run) -> list[Learner]:
    """One for every backend and problem; backends that are unavailable are named where the outcomes are."""
    found: dict[tuple[str, str], Learner] = {}
    for result in run.results:
        if result.law in (LEARNT, CURVE) and result.outcome != "unavailable":
            key = (result.problem, result.backend)
            found.setdefault(key, Learner(backend=result.backend, problem=result.problem)).results[result.law] = result
    return list(found.values())


def draw_curves(learners: list[Learner]) -> Figure | None:
    """The losses of all trainings; None where there is none. The reference's first steps in float64 lie beneath."""
    import html

    data: list[Mapping[str, object]] = []
    reference = next((curve for one in learners if (curve := one.curve(CURVE, "wanted"))), ())
    if reference:
        data.append({
            "type": "scatter", "mode": "lines", "name": "float64 reference, first steps",
            "x": list(range(len(reference))), "y": [_short(y) for y in reference],
            "line": {"color": NEUTRAL, "width": 5}, "opacity": 0.35,
        })  # fmt: skip
    for number, one in enumerate(one for one in learners if one.curve(LEARNT, "loss")):
        losses, steps = one.curve(LEARNT, "loss"), one.figure("steps") or 0.0
        each = steps / len(losses)  # neighbours are averaged: a point stands in the middle of its steps
        data.append({
            "type": "scatter", "mode": "lines", "name": html.escape(one.backend),
            "x": [round(each * (n + 0.5), 1) for n in range(len(losses))], "y": [_short(y) for y in losses],
            "line": {"color": COLOURS[number % len(COLOURS)], "width": 1.3, "dash": DASHES[number % len(DASHES)]},
        })  # fmt: skip
    if not data:
        return None
    layout = {
        "xaxis": {"title": {"text": "step"}},
        "yaxis": {"type": "log", "title": {"text": "loss"}, "exponentformat": "none"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"t": 40, "b": 45, "l": 65, "r": 15},
    }  # fmt: skip
    return make_figure("learning-curves", "loss over the steps", 420, data, layout)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
