"""What the passes of one cell say each time they are looked at: three p-values, for slower, faster and the same.

A sample is the log(new / base) of every pass, in order; functions take samples along the last axis of an array.
Looking after 6, 9, 13 ... passes and stopping at the first good one would be wrong far more often than once in twenty.
So the error is spent over the looks: the p-value of a look is divided by the share of that look, and the smallest so
far counts (weighted Bonferroni, which holds however the looks depend on each other).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.errors import UsageError
from harness.plan.gate import DELTA, LEVEL, LOOKS, Gate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[np.float64]

FEWEST = 3  # passes of a first look: fewer say nothing about their spread
TRIM = 0.2  # share of the passes left out at either end
NO_SPREAD = 1e-9  # logarithm of a ratio; no clock tells times apart that are this close


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What counts as a change, after how many passes is looked, and how much error that may cost.

    delta: relative change that counts; a cell is the same inside ±log1p(delta).
    level: false discovery rate over all cells, once for SLOWER and FASTER together and once for SAME.
    """

    delta: float = DELTA
    level: float = LEVEL
    looks: tuple[int, ...] = LOOKS

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise UsageError(f"delta: got {self.delta:g}, wanted a relative change between 0 and 1, as 0.01 for 1 %")
        if not 0 < self.level < 0.5:
            raise UsageError(f"level: got {self.level:g}, wanted a rate of errors between 0 and 0.5, as 0.05")
        rising = all(a < b for a, b in itertools.pairwise(self.looks))
        if not self.looks or self.looks[0] < FEWEST or not rising:
            raise UsageError(f"looks: got {self.looks}, wanted rising numbers of passes from {FEWEST} on, as {LOOKS}")

    @classmethod
    def of(cls, gate: Gate) -> Design:
        """The design of a gate."""
        return cls(delta=gate.delta, level=gate.level, looks=gate.looks)

    @property
    def bound(self) -> float:
        """The change that counts, as the logarithm of a ratio."""
        return log1p(self.delta)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the error of each look, in proportion to its passes.

        A late look turns the same error into more power, because its interval is narrower and its t has more degrees
        of freedom; an early one saves time where a change is plain. With a spread of 1.5 % and the level of a large
        suite, equal shares find 47 % of the changes of +2 % and take 10.3 passes for +5 %; these 56 % and 11.3;
        shares by the square 61 % and 12.6 (python -m pytest tests/benchmarks/bench_verdicts.py -s).
        """
        return tuple(look / sum(self.looks) for look in self.looks)

    def looks_at(self, passes: int, ended: bool = False) -> tuple[tuple[int, float], ...]:
        """The looks that `passes` passes allow, each with its share.

        Where the run has ended between two looks, all passes are looked at with the share of the look that never
        came. That is fair because the wall clock ended the run, and not what the passes said.
        """
        looks, shares = self.looks, self.shares
        done = sum(look <= passes for look in looks)
        found = tuple(zip(looks[:done], shares[:done], strict=True))
        if ended and 0 < done < len(looks) and passes > looks[done - 1]:
            found += ((passes, shares[done]),)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A way to test where the centre of a sample lies.

    p_above: one-sided p-values of the hypothesis that the centre is at most a bound.
    summarise: centre, standard error and degrees of freedom, from which an interval is made.
    """

    name: str
    p_above: Callable[[Array, float], Array]
    summarise: Callable[[Array], tuple[Array, Array, float]]


def summarise_mean(samples: Array) -> tuple[Array, Array, float]:
    """Mean, its standard error, and degrees of freedom."""
    n = samples.shape[-1]
    return samples.mean(-1), samples.std(-1, ddof=1) / n**0.5, n - 1.0


def summarise_trimmed(samples: Array) -> tuple[Array, Array, float]:
    """Mean without the outer fifths, with the error from the winsorised variance (Tukey and McLaughlin 1963)."""
    import numpy as np

    n = samples.shape[-1]
    cut = int(TRIM * n)
    kept = n - 2 * cut
    ordered = np.sort(samples, axis=-1)
    winsorised = np.clip(ordered, ordered[..., cut, None], ordered[..., n - cut - 1, None])
    error = winsorised.std(-1, ddof=1) * ((n - 1) / (kept * (kept - 1))) ** 0.5
    return ordered[..., cut : n - cut].mean(-1), error, kept - 1.0


def summarise_walsh(samples: Array) -> tuple[Array, Array, float]:
    """Median of the means of all pairs (Hodges and Lehmann 1963), and the error from their order statistics."""
    import numpy as np

    n = samples.shape[-1]
    first, second = np.triu_indices(n)
    means = np.sort((samples[..., first] + samples[..., second]) / 2, axis=-1)
    reach = (n * (n + 1) * (2 * n + 1) / 24) ** 0.5
    low = max(0, round(len(first) / 2 - 1.96 * reach))
    return np.median(means, axis=-1), (means[..., -1 - low] - means[..., low]) / (2 * 1.96), n - 1.0


def weigh_signs(samples: Array, bound: float) -> Array:
    """Sign test: it needs no spread, and from n passes claims at most 2**-n."""
    from scipy.special import bdtrc

    above: Array = bdtrc((samples > bound).sum(-1) - 1.0, samples.shape[-1], 0.5)
    return above


def weigh_ranks(samples: Array, bound: float) -> Array:
    """Wilcoxon's signed ranks, exact up to 50 passes and normal beyond."""
    import numpy as np
    from scipy.stats import wilcoxon

    method = "exact" if samples.shape[-1] <= 50 else "asymptotic"
    with np.errstate(invalid="ignore"):  # where every pass is on the bound there are no ranks
        found = wilcoxon(samples - bound, alternative="greater", method=method, axis=-1).pvalue
    return np.where(np.isnan(found), 1.0, found)


def _weigh_student(summarise: Callable[[Array], tuple[Array, Array, float]]) -> Callable[[Array, float], Array]:
    """Student's t of a summary; the sign test where the sample shows no spread, which is no evidence of none."""

    def p_above(samples: Array, bound: float) -> Array:
        import numpy as np
        from scipy.special import stdtr

        centre, error, freedom = summarise(samples)
        flat = error * samples.shape[-1] ** 0.5 < NO_SPREAD
        found: Array = stdtr(freedom, (bound - centre) / np.where(flat, 1.0, error))
        return np.where(flat, weigh_signs(samples, bound), found)

    return p_above


STUDENT = Statistic(name="student", p_above=_weigh_student(summarise_mean), summarise=summarise_mean)
TRIMMED = Statistic(name="trimmed", p_above=_weigh_student(summarise_trimmed), summarise=summarise_trimmed)
WILCOXON = Statistic(name="wilcoxon", p_above=weigh_ranks, summarise=summarise_walsh)
STATISTICS = (STUDENT, TRIMMED, WILCOXON)


def weigh_claims(samples: Array, bound: float, statistic: Statistic) -> Array:
    """p-values of the three claims at one look, shape (3, cells) for samples (cells, passes).

    Slower: centre > bound. Faster: centre < -bound. The same: between the two, by two one-sided tests, the larger p.
    """
    import numpy as np

    slower, faster = statistic.p_above(samples, bound), statistic.p_above(-samples, bound)
    inside = np.maximum(statistic.p_above(samples, -bound), statistic.p_above(-samples, -bound))
    return np.stack([slower, faster, inside])


def replay(samples: Sequence[Sequence[float]], design: Design, statistic: Statistic, *, ended: bool = False) -> Array:
    """Sequentially adjusted p-values of slower, faster and the same, shape (3, cells); 1 before the first look.

    They depend on the looks that the passes allow and on nothing else, so that more passes can only lower them.
    """
    import numpy as np

    groups: dict[tuple[int, float], list[int]] = defaultdict(list)
    for row, sample in enumerate(samples):
        for look in design.looks_at(len(sample), ended):
            groups[look].append(row)
    smallest: Any = np.ones((3, len(samples)))
    for (passes, share), rows in groups.items():
        seen = np.array([samples[row][:passes] for row in rows])
        smallest[:, rows] = np.minimum(smallest[:, rows], weigh_claims(seen, design.bound, statistic) / share)
    found: Array = smallest
    return found
