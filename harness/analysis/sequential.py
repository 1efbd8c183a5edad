"""Sequential tests of the passes of one cell: p-values of slower, faster and the same, adjusted for repeated looks.

A sample holds log(new / base) of every pass, in order; functions take samples along the last axis of an array. Testing
after 6, 9, 13 ... passes and stopping at the first significant result would inflate the error far beyond the level. The
error is therefore spent over the looks: the p-value of a look is divided by the share of that look, and the smallest so
far counts (weighted Bonferroni, valid under any dependence between the looks).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.plan.gate import DELTA, LEVEL, LOOKS, Gate

if TYPE_CHECKING:
    from harness.problems.arrays import Reals


FEWEST = 3  # passes of a first look: fewer do not determine their spread
TRIM = 0.2  # share of the passes trimmed at either end
NO_SPREAD = 1e-9  # logarithm of a ratio; no clock resolves so small a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Design of the sequential test: the change that counts, the numbers of passes at which is tested, and the error.

    delta: relative change that counts; a cell is the same inside ±log1p(delta).
    level: false discovery rate over all cells, once for SLOWER and FASTER together and once for SAME.
    looks: increasing numbers of passes.
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
        """Return the design of a gate."""
        return cls(delta=gate.delta, level=gate.level, looks=gate.looks)

    @property
    def bound(self) -> float:
        """The change that counts, as the logarithm of a ratio."""
        return log1p(self.delta)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the error of each look, in proportion to its number of passes.

        A late look turns the same error into more power, because its interval is narrower and its t has more degrees of
        freedom; an early one saves time if a change is obvious. With a spread of 1.5 % and the level of a large suite,
        equal shares find 47 % of the changes of +2 % and take 10.3 passes for +5 %; these shares 56 % and 11.3;
        quadratic shares 61 % and 12.6 (python -m pytest tests/benchmarks/bench_verdicts.py -s).
        """
        return tuple(look / sum(self.looks) for look in self.looks)

    def looks_at(self, passes: int, ended: bool = False) -> tuple[tuple[int, float], ...]:
        """Return the looks that `passes` passes allow, each with its share.

        ended: True if the run has ended. If it ended between two looks, all passes are tested with the share of the
        look that was not reached. This is valid because the wall clock ended the run, not the results.
        """
        looks, shares = self.looks, self.shares
        done = sum(look <= passes for look in looks)
        found = tuple(zip(looks[:done], shares[:done], strict=True))
        if ended and 0 < done < len(looks) and passes > looks[done - 1]:
            found += ((passes, shares[done]),)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """A test of the centre of a sample.

    p_above: one-sided p-values of the hypothesis that the centre is at most a bound.
    summarise: centre, standard error and degrees of freedom, for an interval.
    """

    name: str
    p_above: Callable[[Reals, float], Reals]
    summarise: Callable[[Reals], tuple[Reals, Reals, float]]


def summarise_mean(samples: Reals) -> tuple[Reals, Reals, float]:
    """Return the mean, its standard error, and the degrees of freedom."""
    n = samples.shape[-1]
    return samples.mean(-1), samples.std(-1, ddof=1) / n**0.5, n - 1.0


def summarise_trimmed(samples: Reals) -> tuple[Reals, Reals, float]:
    """Return the 20 % trimmed mean, its standard error, and the degrees of freedom.

    The error follows from the winsorised variance (Tukey and McLaughlin 1963).
    """
    import numpy as np

    n = samples.shape[-1]
    cut = int(TRIM * n)
    kept = n - 2 * cut
    ordered = np.sort(samples, axis=-1)
    winsorised = np.clip(ordered, ordered[..., cut, None], ordered[..., n - cut - 1, None])
    error = winsorised.std(-1, ddof=1) * ((n - 1) / (kept * (kept - 1))) ** 0.5
    return ordered[..., cut : n - cut].mean(-1), error, kept - 1.0


def summarise_walsh(samples: Reals) -> tuple[Reals, Reals, float]:
    """Return the median of the means of all pairs, its standard error, and the degrees of freedom.

    Hodges and Lehmann 1963; the error follows from the order statistics of the means.
    """
    import numpy as np

    n = samples.shape[-1]
    first, second = np.triu_indices(n)
    means = np.sort((samples[..., first] + samples[..., second]) / 2, axis=-1)
    reach = (n * (n + 1) * (2 * n + 1) / 24) ** 0.5
    low = max(0, round(len(first) / 2 - 1.96 * reach))
    return np.median(means, axis=-1), (means[..., -1 - low] - means[..., low]) / (2 * 1.96), n - 1.0


def weigh_signs(samples: Reals, bound: float) -> Reals:
    """Return p-values of the sign test; it needs no spread, and its smallest value for n passes is 2**-n."""
    from scipy.special import bdtrc

    above: Reals = bdtrc((samples > bound).sum(-1) - 1.0, samples.shape[-1], 0.5)
    return above


def weigh_ranks(samples: Reals, bound: float) -> Reals:
    """Return p-values of Wilcoxon's signed-rank test, exact up to 50 passes and asymptotic beyond."""
    import numpy as np
    from scipy.stats import wilcoxon

    method = "exact" if samples.shape[-1] <= 50 else "asymptotic"
    with np.errstate(invalid="ignore"):  # if every pass is on the bound, there are no ranks
        found = wilcoxon(samples - bound, alternative="greater", method=method, axis=-1).pvalue
    return np.where(np.isnan(found), 1.0, found)


def _weigh_student(summarise: Callable[[Reals], tuple[Reals, Reals, float]]) -> Callable[[Reals, float], Reals]:
    """Student's t test of a summary; the sign test if the sample shows no spread, which proves nothing about it."""

    def p_above(samples: Reals, bound: float) -> Reals:
        import numpy as np
        from scipy.special import stdtr

        centre, error, freedom = summarise(samples)
        flat = error * samples.shape[-1] ** 0.5 < NO_SPREAD
        found: Reals = stdtr(freedom, (bound - centre) / np.where(flat, 1.0, error))
        return np.where(flat, weigh_signs(samples, bound), found)

    return p_above


STUDENT = Statistic(name="student", p_above=_weigh_student(summarise_mean), summarise=summarise_mean)
TRIMMED = Statistic(name="trimmed", p_above=_weigh_student(summarise_trimmed), summarise=summarise_trimmed)
WILCOXON = Statistic(name="wilcoxon", p_above=weigh_ranks, summarise=summarise_walsh)
STATISTICS = (STUDENT, TRIMMED, WILCOXON)


def weigh_claims(samples: Reals, bound: float, statistic: Statistic) -> Reals:
    """Return the p-values of the three claims at one look, shape (3, cells).

    samples: log ratios, shape (cells, passes). bound: change that counts, as the logarithm of a ratio.
    statistic: the test. Slower: centre > bound. Faster: centre < -bound. The same: between the two, by two one-sided
    tests, the larger p.
    """
    import numpy as np

    slower, faster = statistic.p_above(samples, bound), statistic.p_above(-samples, bound)
    inside = np.maximum(statistic.p_above(samples, -bound), statistic.p_above(-samples, -bound))
    return np.stack([slower, faster, inside])


def replay(
    samples: Sequence[Sequence[float]], design: Design, statistic: Statistic, *, ended: bool = False,
    deltas: Sequence[float] | None = None,
) -> Reals:  # fmt: skip
    """Return sequentially adjusted p-values of slower, faster and the same, shape (3, cells); 1 before the first look.

    samples: log(new / base) of the passes of each cell. design: looks, shares and bound. statistic: the test.
    ended: True if no more passes will follow (see `Design.looks_at`).
    deltas: relative change that counts in each cell; None for that of the design.
    The values depend only on the looks that the passes allow, so more passes can only lower them.
    """
    import numpy as np

    bounds = [design.bound] * len(samples) if deltas is None else [log1p(delta) for delta in deltas]
    groups: dict[tuple[int, float, float], list[int]] = defaultdict(list)
    for row, sample in enumerate(samples):
        for passes, share in design.looks_at(len(sample), ended):
            groups[passes, share, bounds[row]].append(row)
    smallest: Any = np.ones((3, len(samples)))
    for (passes, share, bound), rows in groups.items():
        seen = np.array([samples[row][:passes] for row in rows])
        smallest[:, rows] = np.minimum(smallest[:, rows], weigh_claims(seen, bound, statistic) / share)
    found: Reals = smallest
    return found
