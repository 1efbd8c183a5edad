"""Cards: for each backend that ran, whether it is right, by what cause it is wrong, and how fast it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.analysis import PROVES_NOTHING, describe_failure, plain_records, repeat_command
from harness.record import RAN, WRONG
from reports.markdown_syntax import escape
from reports.number_format import count, format_number, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis, Result
    from harness.analysis import Cause, SpeedRow

LONGEST = 300  # characters of a reason
BITS_DTYPE = "float32"  # of the effective bits
State = Literal["good", "bad", "open"]
ORDER: tuple[State, ...] = ("bad", "open", "good")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The answer of a run about one backend.

    said: whether it is right. notes: further sentences: what did not run, speed, precision.
    cause: of the most wrong cells: law, reason, problem, and the command that repeats it; None if nothing is wrong.
    """

    arm: str
    state: State
    said: str
    notes: tuple[str, ...]
    cause: tuple[str, str, str, str] | None


def make_cards(analysis: Analysis) -> list[Card]:
    """Return a card for each backend that was asked and is available, wrong ones first."""
    speed, bits, results = _rank(analysis), _find_bits(analysis), analysis.run.results
    untold, refused = (Counter(one.arm for one in results if getattr(one, name)) for name in ("untold", "refused"))
    cards = []
    for name, row in analysis.outcomes.iterrows():
        arm, counts = str(name), {str(status): int(number) for status, number in row.items()}
        if sum(counts.values()) > counts["unavailable"]:
            doubts = list(_doubt(untold[arm], refused[arm]))
            cards.append(_make_card(analysis, arm, counts, doubts, [*speed.get(arm, ()), *bits.get(arm, ())]))
    return sorted(cards, key=lambda card: ORDER.index(card.state))


def _make_card(analysis: Analysis, arm: str, counts: dict[str, int], doubts: list[str], notes: list[str]) -> Card:
    causes = analysis.causes.get(arm, [])
    wrong, vacuous = sum(len(one.cells) for one in causes), counts[PROVES_NOTHING]
    ran = sum(counts[one] for one in RAN) + vacuous
    known = sum(counts[one] for one in WRONG) - wrong
    state: State
    if wrong:
        of = "for one cause" if len(causes) == 1 else f"for {len(causes)} causes"
        state, said = "bad", f"wrong in {count(wrong, 'cell')} of {ran}, {of}"
    elif not counts["passed"]:
        state, said = "open", "nothing is proven" if ran else "nothing ran"
    else:
        right = counts["passed"]
        every = "the only cell" if ran == 1 else f"all {ran} cells"
        said = f"right in {every if right == ran else f'{right} of {ran} cells'} that ran"
        state = "bad" if arm in analysis.run.overdrawn else "good"
    if state == "good" and (doubts or not analysis.run.complete):
        state = "open"
    excused = [f"wrong as known in {known}"] if known else []
    idle = [f"{counts[one]} {one}" for one in ("unsupported", "skipped", "unavailable") if counts[one]]
    proves = [f"{count(vacuous, 'cell proves', 'cells prove')} nothing"] if vacuous else []
    return Card(
        arm=arm, state=state, said="; ".join((said, *excused, *doubts)), notes=(*notes, *proves, *idle),
        cause=_describe(analysis, causes[0]) if causes else None,
    )  # fmt: skip


def _doubt(untold: int, refused: int) -> Iterator[str]:
    """Say what leaves it open whether an arm is right. untold, refused: numbers of its cells."""
    if untold:
        yield f"the machine cannot tell of {untold}"
    if refused:
        yield f"refused {refused} in a call that it supports"


def _describe(analysis: Analysis, cause: Cause[Result]) -> tuple[str, str, str, str]:
    """Return the laws of a cause, its reason with the diagnosis, its smallest problem, and the command for that."""
    first = cause.first
    said = dict(describe_failure(first, analysis.wrong_only_in.get(first.cell, "")))
    reason = "; ".join(said[name] for name in ("reason", "where") if said.get(name))
    laws = f"{cause.laws}, {count(len(cause.cells), 'cell')}"
    return laws, shorten(reason, LONGEST), first.problem, repeat_command(analysis.run.header, first)


def _rank(analysis: Analysis) -> dict[str, list[str]]:
    """Say of each timed arm where it is the fastest, and the geometric mean of its times over the fastest."""
    found: dict[str, list[tuple[SpeedRow, dict[str, Any]]]] = {}
    for row in analysis.speed:
        for arm, cell in row.cells.items():
            found.setdefault(arm, []).append((row, cell))
    return {arm: list(_say_speed(analysis, arm, cells)) for arm, cells in found.items()}


def _say_speed(analysis: Analysis, arm: str, cells: list[tuple[SpeedRow, dict[str, Any]]]) -> Iterator[str]:
    """Count only cells that were timed in turns with a native one of another backend."""
    ratios, halves, firsts = [], [], 0
    for row, cell in cells:
        if (ratio := analysis.to_fastest.get(cell["cell"])) is not None:
            ratios.append(math.log(ratio.value))
            halves.append(math.log(ratio.high / ratio.low) / 2 if ratio.low > 0 else math.inf)
        elif row.fastest == arm and any(one["cell"] in analysis.to_fastest for one in row.cells.values()):
            ratios.append(0.0)
            firsts += 1
    if not ratios:
        yield f"{count(len(cells), 'timed cell')}, compared with no other backend"
        return
    yield f"fastest in {firsts} of {count(len(ratios), 'timed cell')}"
    if halves:
        mean, half = sum(ratios) / len(ratios), math.hypot(*halves) / len(ratios)
        middle, low, high = (format_number(math.exp(one)) for one in (mean, mean - half, mean + half))
        mean_of = f", geometric mean of {len(ratios)} cells" if len(ratios) > 1 else ""
        yield f"{middle} times as long as the fastest ({low} to {high}){mean_of}"


def _find_bits(analysis: Analysis) -> dict[str, list[str]]:
    """Say of each arm how many bits of its sums in BITS_DTYPE are right at least."""
    least: dict[str, float] = {}
    for record in plain_records(analysis.arithmetic):
        bits = record["least_bits"]
        if record["dtype"] == BITS_DTYPE and record["math"] == "ieee" and bits is not None:
            least[record["arm"]] = min(bits, least.get(record["arm"], math.inf))
    return {arm: [f"at least {format_number(bits)} effective bits in {BITS_DTYPE}"] for arm, bits in least.items()}


def page(analysis: Analysis) -> dict[str, Any]:
    """Return the cards."""
    return {"cards": make_cards(analysis)}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a line for each backend; the causes of what is wrong are in the section of failures."""
    cards = make_cards(analysis)
    if cards:
        yield ""
    yield from (f"- **{escape(card.arm)}**: {'; '.join(map(escape, (card.said, *card.notes)))}" for card in cards)


CARDS = Section(page=page, markdown=markdown)
