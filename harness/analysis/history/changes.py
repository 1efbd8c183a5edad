"""Change points of a series of times: steps, distinguished from outliers, correlated noise and slow drift.

1. Outliers: a point far from the median of its neighbours is moved to 3 spreads from it, so that fewer outliers than a
   segment has points cannot form a level (`_winsorise`).
2. Places: the step that explains most is added repeatedly, and all levels are fitted again each time. The cheapest of
   these models is taken, with the residuals as an AR(1) process: correlated noise is cheaper as such than as many
   levels (`_search`). The same on a slope, so that slow drift is a slope and not a staircase; it is never reported.
3. Steps below the least change that counts are dropped, and the other places are fitted again (`_settle`).
4. p: Student's t against half the least change (against all of it, a step of +3 % with ten points behind it would
   remain unproven), its error widened for the correlation; then corrected for the search of the place (`_weigh`).

Series of 100 points with a spread of 1 %, 2 000 of each kind, each judged alone, flagged without a change: Gaussian 0,
3 % outliers 0.2 %, AR(1) 0.7 0 (0.2 % with innovations of 1 %), t3 tails 0.1 %; Apache Otava flags 7 % of Gaussian ones
(of 2 %), 21 % with outliers, 90 % of AR(1). A step of +3 % at point 20, 40, 60, 90 is found within five points in 99.8,
99.2, 99.4, 97.5 %, at 60 with outliers in 97.6 %, with only five points behind it in 75 %; drift of +3 to +20 % is
taken for a step in at most 0.1 %. The range of the place covers 95 to 99.9 %. Weaknesses: AR(1) 0.7 hides a third of
the steps of +3 % (+5 %: 2 %); series of 30 points with that correlation and a spread of 3 % are flagged in 9 %; noise
that grows fourfold half-way in 6 % (python -m pytest tests/benchmarks/bench_changes.py -s).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from harness.analysis.statistics import CONFIDENCE, Estimate
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.problems.arrays import Reals


LEAST = 0.02
SEGMENT = 3
LEVEL = 0.05
CLIP = 3.0  # spreads; points farther from the median of their neighbours are moved there
PENALTY = 3.0  # times log(points): required gain of one more change, which has a place and a level as parameters
PATIENCE = 4  # changes, plus one for every 50 points, tried beyond the best number: a short bump needs two to gain
MOST_CORRELATED = 0.95
NO_SPREAD = 1e-3  # logarithm of a time; series with less spread have been rounded
REACH = -2 * math.log(1 - math.sqrt(CONFIDENCE))  # twice the loss of log likelihood of a place that is still possible

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One step of a series, from one level to the next.

    at: index of the first point of the new level.
    earliest, latest: the step lies after point `earliest` and at or before point `latest`, with 95 % confidence.
    ratio: new level / old level with its 95 % interval over points, widened for their correlation.
    p: p-value of the hypothesis that the levels differ by no more than half of the least change that counts; adjusted
    for the choice of the place, but not for the number of series.
    """

    at: int
    earliest: int
    latest: int
    ratio: Estimate
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """Levels between cuts (first points of new levels), on one slope.

    cost: penalised log likelihood (see `_cost`).
    """

    cuts: tuple[int, ...]
    slope: float = 0.0
    sloped: bool = False
    cost: float = math.inf


def find_changes(
    series: Mapping[K, Sequence[float] | Reals], *, least: float = LEAST, segment: int = SEGMENT, level: float = LEVEL
) -> dict[K, tuple[Change, ...]]:
    """Return the changes of every series of log times, in order of the points; () for fewer than two segments.

    series: log times by key. least: smallest relative change that counts. segment: least number of points of a level.
    level: false discovery rate over the candidates of all series (Benjamini and Hochberg); a series without a candidate
    counts as one of p = 1.
    Raises UsageError for parameters out of range, ValueError for times that are not finite.
    """
    from scipy.stats import false_discovery_control

    _check(least, segment, level)
    judged = {key: _judge(_finite(key, points), math.log1p(least), segment) for key, points in series.items()}
    p = [change.p for found in judged.values() for change in found]
    p += [1.0] * sum(not judged[key] and len(points) >= 2 * segment for key, points in series.items())
    accepted = iter(false_discovery_control(p) <= level) if p else iter(())
    return {key: tuple(change for change in found if next(accepted)) for key, found in judged.items()}


def _check(least: float, segment: int, level: float) -> None:
    if not 0 < least < 1:
        raise UsageError(f"least: got {least:g}, wanted a relative change between 0 and 1, as {LEAST} for 2 %")
    if segment < 2:
        raise UsageError(f"segment: got {segment}, wanted at least 2 points of one level, as {SEGMENT}")
    if not 0 < level < 0.5:
        raise UsageError(f"level: got {level:g}, wanted a rate of errors between 0 and 0.5, as {LEVEL}")


def _finite(key: object, points: Sequence[float] | Reals) -> Reals:
    import numpy as np

    found = np.asarray(points, dtype=float)
    if not np.isfinite(found).all():
        raise ValueError(f"log times of {key}: got {points}, wanted finite numbers")
    return found


def _judge(points: Reals, bound: float, segment: int) -> list[Change]:
    """Candidates of one series: steps whose best estimate counts, with p-values."""
    if len(points) < 2 * segment:
        return []
    calm = _winsorise(points, segment)
    model = _search(calm, segment, sloped=False)
    if model.cuts and len(points) >= 4 * segment:
        model = min(model, _search(calm, segment, sloped=True), key=lambda one: one.cost)
    model = _settle(calm, model, bound, segment)
    return _weigh(calm, model, bound, segment) if model.cuts else []


def _winsorise(points: Reals, segment: int) -> Reals:
    """Points, limited to a distance of `CLIP` spreads from the median of the 2 segment - 1 points around them.

    The window is the longest whose median follows a level of `segment` points; fewer outliers cannot move it. Windows
    do not extend beyond the ends. The spread is computed from the differences of neighbours, which steps hardly affect.
    """
    import numpy as np

    width = 2 * segment - 1
    middles = np.median(np.lib.stride_tricks.sliding_window_view(points, width), axis=-1)
    middles = np.pad(middles, segment - 1, mode="edge")
    spread = max(float(np.median(np.abs(np.diff(points)))) * 1.4826 / math.sqrt(2), NO_SPREAD)
    return np.clip(points, middles - CLIP * spread, middles + CLIP * spread)


def _search(points: Reals, segment: int, *, sloped: bool) -> _Model:
    """The cheapest model of the sequence in which the best step is added repeatedly.

    Each step is chosen with all levels (and the slope) fitted again: `basis` holds the orthonormal columns so far, and
    sums from a place to the end yield the gain of a step at every place at once.
    """
    import numpy as np

    n = len(points)
    basis = [np.full(n, n**-0.5)]
    if sloped:
        ramp = np.arange(n) - (n - 1) / 2
        basis.append(ramp / np.linalg.norm(ramp))
    left = points - sum(column * (column @ points) for column in basis)
    room = n - np.arange(n) - sum(_tails(column) ** 2 for column in basis)
    free = np.zeros(n, dtype=bool)
    free[segment : n - segment + 1] = True
    cuts: list[int] = []
    best = _Model(cuts=(), sloped=sloped, cost=_cost(left, 0, sloped))
    while free.any() and len(cuts) < len(best.cuts) + PATIENCE + n // 50:
        gains = np.where(free & (room > 1e-9), _tails(left) ** 2 / np.maximum(room, 1e-9), -1.0)
        at = int(gains.argmax())
        column = (np.arange(n) >= at).astype(float)
        for _ in range(2):  # twice is enough to stay orthogonal
            column -= sum(other * (other @ column) for other in basis)
        column /= np.linalg.norm(column)
        basis.append(column)
        left = left - column * (column @ left)
        room = room - _tails(column) ** 2
        free[max(0, at - segment + 1) : at + segment] = False
        cuts.append(at)
        cost = _cost(left, len(cuts), sloped)
        if cost < best.cost:
            best = _Model(cuts=tuple(sorted(cuts)), sloped=sloped, cost=cost)
    return best


def _tails(values: Reals) -> Reals:
    """Sums from every place to the end."""
    found: Reals = values[::-1].cumsum()[::-1]
    return found


def _cost(left: Reals, changes: int, sloped: bool) -> float:
    """Minus twice the log likelihood of the residuals as an AR(1) process, plus the penalty of the parameters."""
    n = len(left)
    square = float(left @ left)
    rho = _correlation(left)
    return n * math.log(square * (1 - rho**2) / n + NO_SPREAD**2) + (PENALTY * changes + sloped) * math.log(n)


def _correlation(left: Reals) -> float:
    """Correlation of neighbours, at least 0: alternating noise needs no allowance."""
    square = float(left @ left)
    return min(max(float(left[1:] @ left[:-1]) / square, 0.0), MOST_CORRELATED) if square else 0.0


def _settle(points: Reals, model: _Model, bound: float, segment: int) -> _Model:
    """Move every cut to its best place between its neighbours, and drop cuts whose step is too small to count."""
    while model.cuts:
        for _ in range(10):
            level = points - _slope(points, model) * _places(points)
            moved = model.cuts
            for number in range(len(moved)):
                edges = (0, *moved, len(points))
                start, stop = edges[number], edges[number + 2]
                at = start + segment + int(_profile(level[start:stop], segment).argmax())
                moved = (*moved[:number], at, *moved[number + 1 :])
            model, before = replace(model, cuts=moved), model
            if model == before:
                break
        model = replace(model, slope=_slope(points, model))
        sizes = [abs(step) for step in _steps(points, model)]
        if min(sizes) >= bound:
            break
        weakest = sizes.index(min(sizes))
        model = replace(model, cuts=model.cuts[:weakest] + model.cuts[weakest + 1 :])
    return model


def _places(points: Reals) -> Reals:
    import numpy as np

    return np.arange(len(points), dtype=float)


def _profile(points: Reals, segment: int) -> Reals:
    """Sum of squares explained by a step at each allowed place, from place `segment` to len - segment."""
    import numpy as np

    n = len(points)
    before = np.arange(segment, n - segment + 1)
    sums = (points - points.mean()).cumsum()[before - 1]
    found: Reals = sums**2 * n / (before * (n - before))
    return found


def _means(values: Reals, cuts: Sequence[int]) -> tuple[Reals, Reals]:
    """Mean and number of the values between cuts."""
    import numpy as np

    starts = np.array((0, *cuts))
    sizes = np.diff(starts, append=len(values)).astype(float)
    return np.add.reduceat(values, starts) / sizes, sizes


def _slope(points: Reals, model: _Model) -> float:
    if not model.sloped:
        return 0.0
    ramp = _within(_places(points), model.cuts)
    return float(ramp @ points) / float(ramp @ ramp)


def _within(values: Reals, cuts: Sequence[int]) -> Reals:
    """Values minus the mean of their segment."""
    import numpy as np

    means, sizes = _means(values, cuts)
    return values - np.repeat(means, sizes.astype(int))


def _steps(points: Reals, model: _Model) -> list[float]:
    import numpy as np

    means, _ = _means(points - model.slope * _places(points), model.cuts)
    return [float(step) for step in np.diff(means)]


def _weigh(points: Reals, model: _Model, bound: float, segment: int) -> list[Change]:
    """Every step of a model with its error, place and p-value."""
    from scipy.special import ndtri, stdtr, stdtrit

    n, level = len(points), points - model.slope * _places(points)
    left = _within(level, model.cuts)
    taken = 1 + len(model.cuts) + model.sloped
    freedom = max(1, n - taken)
    rho = min((_correlation(left) + taken / n) / max(1 - (2 + taken) / n, 0.2), MOST_CORRELATED)
    widening = (1 + rho) / (1 - rho)
    noise = max(float(left @ left) / freedom, NO_SPREAD**2) * widening
    ramp = _within(_places(points), model.cuts)
    found = []
    for (start, at, stop), step in zip(_triples((0, *model.cuts, n)), _steps(points, model), strict=True):
        lever = ((stop - start) / 2) ** 2 / float(ramp @ ramp) if model.sloped else 0.0
        local = sum(float(left[a:b] @ left[a:b]) / max(1, b - a - 1) / (b - a) for a, b in ((start, at), (at, stop)))
        error = math.sqrt(max(noise * (1 / (at - start) + 1 / (stop - at) + lever), local * widening))
        alone = 2 * float(stdtr(freedom, -max(0.0, abs(step) - bound / 2) / error))
        half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
        gains = _profile(level[start:stop], segment)
        doubtful = (gains >= gains.max() - REACH * noise).nonzero()[0] + start + segment
        low, value, high = (math.exp(step + end) for end in (-half, 0.0, half))
        found.append(Change(
            at=at, earliest=int(doubtful[0]) - 1, latest=int(doubtful[-1]),
            ratio=Estimate(value=value, low=low, high=high, over="processes"),
            p=chance_of_height(-float(ndtri(alone / 2)), stop - start, segment) * n / (stop - start),
        ))  # fmt: skip
    return [replace(change, p=min(1.0, change.p)) for change in found]


def _triples(edges: Sequence[int]) -> list[tuple[int, int, int]]:
    return list(zip(edges[:-2], edges[1:-1], edges[2:], strict=True))


def chance_of_height(height: float, n: int, segment: int) -> float:
    """Return the probability that the maximum of the standardised steps at all places in pure noise exceeds a height.

    height: in standard deviations. n: number of points. segment: least number of points of a level.
    Siegmund's approximation (Sequential Analysis, 1985, chapters 10 and 11): neighbouring places have a correlation of
    about 1 - near, and exp(-0.583 x) corrects for the places being discrete.
    """
    import numpy as np

    height = min(height, 37.0)  # beyond, a double underflows
    before = np.arange(segment, n - segment + 1)
    near = n / (2 * before * (n - before))
    crossings = float((near * np.exp(-0.583 * height * np.sqrt(2 * near))).sum())
    density = math.exp(-(height**2) / 2) / math.sqrt(2 * math.pi)
    return 2 * max(0.0, height) * density * crossings + math.erfc(height / math.sqrt(2))
