"""Forecasts of further passes of an undecided cell: how many decide it, and the chance that a number of them does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.sequential import NO_SPREAD, Design, Statistic

if TYPE_CHECKING:
    from harness.problems.arrays import Reals

POWER = 0.8  # probability of a decision, for the number of passes that is expected
FARTHEST = 10_000  # passes; no forecast goes beyond
# Gauss and Hermite's rule of three points: the true centre in errors from the one seen, with its weight
NODES = ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6))


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Forecast from the passes of an undecided cell.

    centre, error, freedom: of the log ratios so far (`Statistic.summarise`). passes: so far, at least two.
    design: looks, shares and bound. enough: p-values that suffice for a change and for SAME.
    """

    centre: float
    error: float
    freedom: float
    passes: int
    design: Design
    enough: tuple[float, float]

    @classmethod
    def of(cls, sample: Sequence[float], design: Design, statistic: Statistic, enough: tuple[float, float]) -> Forecast:
        """Return the forecast of a sample.

        sample: log ratios, at least two. design: looks, shares and bound. statistic: the test.
        enough: p-values that suffice for a change and for SAME.
        """
        import numpy as np

        centre, error, freedom = statistic.summarise(np.asarray(sample, dtype=float))
        return cls(
            centre=float(centre), error=float(error), freedom=freedom, passes=len(sample), design=design, enough=enough
        )

    def count_needed(self) -> int | None:
        """Return how many further passes the nearest claim needs, with a probability of 80 %.

        The centre and the spread so far are taken as the true ones. Beyond the planned looks, further ones with the
        share of the last are assumed. None if no number up to FARTHEST suffices.
        """
        from scipy.special import stdtrit

        distance, spread = abs(abs(self.centre) - self.design.bound), self.error * math.sqrt(self.passes)
        inside = abs(self.centre) < self.design.bound
        power = (1 + POWER) / 2 if inside else POWER  # for SAME both of two tests must succeed
        for passes, share in _looks_ahead(self.passes, self.design):
            enough = self.enough[inside] * share
            if spread < NO_SPREAD:
                found = distance > 0 and 0.5**passes <= enough
            else:
                df = self.freedom * (passes - 1) / (self.passes - 1)
                found = distance * math.sqrt(passes) >= (stdtrit(df, 1 - enough) + stdtrit(df, power)) * spread
            if found:
                return passes - self.passes
        return None

    def find_chances(self, passes: Sequence[int]) -> Reals:
        """Return the probability of a decision with each of these numbers of passes altogether.

        passes: more than so far. The claim that is nearest has the power of a normal test, at a true centre that is
        drawn around the one seen; of numbers between two looks the share of the next one counts. That other cells
        make each decision easier, and that SAME takes two tests, is left out: the two weigh against each other.
        """
        import numpy as np
        from scipy.special import ndtr, stdtrit

        numbers = np.asarray(passes, dtype=float)
        looks, shares = np.array(self.design.looks), np.array(self.design.shares)
        share = shares[np.minimum(np.searchsorted(looks, numbers), len(looks) - 1)]
        freedom = self.freedom * (numbers - 1) / (self.passes - 1)
        spread = max(self.error * math.sqrt(self.passes), NO_SPREAD)
        chances: Reals = np.zeros(len(numbers))
        for node, weight in NODES:
            distance = abs(self.centre + node * self.error) - self.design.bound
            wanted = stdtrit(freedom, 1 - self.enough[distance < 0] * share)
            chances += weight * ndtr(abs(distance) * np.sqrt(numbers) / spread - wanted)
        return chances


def _looks_ahead(passes: int, design: Design) -> list[tuple[int, float]]:
    """The planned looks after `passes`, then further ones, each 1.5 times as large, up to FARTHEST."""
    looks = [(look, share) for look, share in zip(design.looks, design.shares, strict=True) if look > passes]
    further = max(passes, design.looks[-1])
    while (further := math.ceil(1.5 * further)) <= FARTHEST:
        looks.append((further, design.shares[-1]))
    return looks
