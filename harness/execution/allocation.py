"""Allocation of the passes that a budget allows to the contests in which they are expected to decide.

A contest stops or goes on only at the looks of the design. There each test has its own share of the error, for a number
of passes that was fixed beforehand, so that a choice by the results so far does not add false verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.forecast import Forecast

if TYPE_CHECKING:
    from harness.problems.arrays import Reals

LIKELY = 0.5  # chance of a decision from which on a contest is expected to need no more passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """Prospect of an undecided contest.

    passes: so far. more: expected further passes to a decision; None if no number in sight decides.
    pass_s: seconds of a pass, without the start of workers.
    forecasts: of each undecided cell, one for every change whose exclusion decides it.
    """

    passes: int
    more: int | None
    pass_s: float
    forecasts: tuple[tuple[Forecast, ...], ...] = ()

    def count_decisions(self, further: Sequence[int]) -> Reals:
        """Return the number of decisions to be expected with each of these numbers of further passes."""
        import numpy as np

        numbers = [self.passes + one for one in further]
        found: Reals = np.zeros(len(numbers))
        for cell in self.forecasts:
            found += np.max([forecast.find_chances(numbers) for forecast in cell], axis=0)
        return found


def choose_prospects(waiting: Sequence[Prospect], left_s: float, start_s: float, looks: Sequence[int]) -> list[int]:
    """Return the places of the contests that get passes up to their next look.

    They are those with which most decisions are expected in what is left of the budget. Few contests have many passes
    in that time, and many have few, as every pass starts workers. Empty if no pass fits.

    waiting: contests, each at a look that is not the last. left_s: of the budget.
    start_s: seconds of a pass in which workers start. looks: numbers of passes after which a contest is judged.
    """
    import numpy as np

    further = range(1, _count_passes(waiting, left_s, start_s, looks[-1]) + 1)
    if not waiting or not further:
        return []
    decisions = np.array([one.count_decisions(further) for one in waiting])
    enough = LIKELY * np.array([[max(1, len(one.forecasts))] for one in waiting])
    numbers = np.array([[one.passes + more for more in further] for one in waiting])
    likely = (decisions >= enough) & np.isin(numbers, looks)
    ends = np.where(likely.any(1), likely.argmax(1) + 1, len(further))
    pass_s = np.array([one.pass_s for one in waiting])
    best, most = list[int](), 0.0
    for number in further:
        passes = np.minimum(number, ends)
        chosen, value = _fill(
            decisions[np.arange(len(waiting)), passes - 1], passes * pass_s, left_s - number * start_s
        )
        if value > most:
            best, most = chosen, value
    return best


def expect_seconds(undecided: Iterable[Prospect], start_s: float) -> float:
    """Return the expected seconds until all contests are decided, infinite if one has no decision in sight.

    start_s: seconds of a pass in which workers start.
    """
    found = list(undecided)
    if any(one.more is None for one in found):
        return math.inf
    return sum((one.more or 0) * one.pass_s for one in found) + start_s * max(
        (one.more or 0 for one in found), default=0
    )


def _count_passes(waiting: Sequence[Prospect], left_s: float, start_s: float, farthest: int) -> int:
    """Return the number of passes that the cheapest contest alone could have, at most up to the last look."""
    least_s = start_s + min((one.pass_s for one in waiting), default=0.0)
    most = farthest - min((one.passes for one in waiting), default=farthest)
    return max(0, min(most, int(left_s / least_s))) if least_s > 0 else most


def _fill(decisions: Reals, costs_s: Reals, left_s: float) -> tuple[list[int], float]:
    """Return the places of contests that fit into a time, most decisions a second first, and how many they decide."""
    chosen, spent_s, value = list[int](), 0.0, 0.0
    for place in (-decisions / (costs_s + 1e-9)).argsort(kind="stable").tolist():
        if spent_s + costs_s[place] <= left_s:
            chosen.append(place)
            spent_s, value = spent_s + float(costs_s[place]), value + float(decisions[place])
    return chosen, value
