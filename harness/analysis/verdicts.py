"""Verdicts over the cells of an interleaved comparison: SLOWER, FASTER, SAME, INCONCLUSIVE or MISSING, and why.

A claim must hold for more than the change that counts: SLOWER needs evidence that the ratio lies beyond +delta, FASTER
beyond -delta, and SAME needs evidence that it lies between; what has no evidence is INCONCLUSIVE, never SAME.
Benjamini and Hochberg's procedure keeps the share of wrong claims at the level, over all cells of the comparison.
Cells that have too few passes count too, so that the number of hypotheses does not grow during a run.

The centre is a trimmed mean: with 5 % of passes disturbed by +5 to +50 % in either arm it finds 100 % of the changes of
+3 %, the mean 53 % and signed ranks 99.6 %, which need half as many passes again for +5 %. Its price is calm noise:
61 % to 70 % for +1 % against a bound of 0.3 %. False alarms of identical pairs: at most 0.3 % in every noise tried, and
at the bound itself 1.9 % of an allowed 2.5 %; passes that are correlated (0.3) make that 6 %, or 7 % otherwise
(python -m pytest tests/benchmarks/bench_verdicts.py -s).

Everything is replayed from the passes, and nothing is remembered. With more passes the p-values can only fall
(`replay`), so the procedure can only reject more, and a verdict that was given while the run went on stays; only where
a cell is measured on after it, or others are, may a stronger claim that contradicts it take its place.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from harness.analysis.sequential import NO_SPREAD, TRIMMED, Design, Statistic, replay
from harness.analysis.statistics import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from harness.analysis.sequential import Array

Verdict = Literal["SLOWER", "FASTER", "SAME", "INCONCLUSIVE", "MISSING"]
CLAIMS: tuple[Verdict, ...] = ("SLOWER", "FASTER", "SAME")
POWER = 0.8  # chance of a decision that a forecast of passes aims at
FARTHEST = 10_000  # passes; a forecast beyond means that nobody will wait for it

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the passes of a cell say.

    ratio: new / base with its 95 % interval over processes, not widened for looks and cells; None below two passes.
    p_slower, p_faster, p_same: adjusted for the looks, not yet for the number of cells.
    more_passes: for INCONCLUSIVE, how many more it may take from the centre and spread so far; None where unknowable.
    """

    verdict: Verdict
    ratio: Estimate | None = None
    passes: int = 0
    p_slower: float = 1.0
    p_faster: float = 1.0
    p_same: float = 1.0
    more_passes: int | None = None
    reason: str = ""


def judge(
    log_ratios: Mapping[K, Sequence[float]], design: Design, statistic: Statistic = TRIMMED, *, ended: bool = False
) -> dict[K, Judgement]:
    """Judge all cells together from log(new / base) of their passes, in order.

    ended: no more passes will come, so that those since the last look are looked at too (see `Design.looks_at`); a run
    that goes on after all is judged as if it had not ended.
    Slower and faster are one family of two hypotheses a cell, which is the procedure on two-sided p-values: at least
    one of the two is true, and Benjamini and Yekutieli (2005) show that wrong directions are then counted as false.
    Two claims about one cell need looks that contradict each other; the one with the smaller p-value is taken.
    """
    import numpy as np

    samples = [_finite(key, sample) for key, sample in log_ratios.items()]
    if not samples:
        return {}
    p = replay(samples, design, statistic, ended=ended)
    changed, next_change = control_discoveries(p[:2].ravel(), design.level)
    same, next_same = control_discoveries(p[2], design.level)
    claimed = np.vstack([changed.reshape(2, -1), same])
    return {
        key: _judge_cell(sample, p[:, i], claimed[:, i], design, statistic, (next_change, next_same))
        for i, (key, sample) in enumerate(zip(log_ratios, samples, strict=True))
    }


def control_discoveries(p: Array, level: float) -> tuple[Array, float]:
    """Benjamini and Hochberg's rejections at a level, and the p-value that would be enough for one more."""
    from scipy.stats import false_discovery_control

    rejected = false_discovery_control(p) <= level
    return rejected, level * min(1.0, (int(rejected.sum()) + 1) / p.size)


def overall(log_ratios: Mapping[K, Sequence[float]], statistic: Statistic = TRIMMED) -> Estimate:
    """Geometric mean of new / base over cells, with its 95 % interval over passes.

    Each pass gives the mean over cells, so that a change that all cells share is seen though none shows it. Only the
    first passes, which all cells have, are taken: cells that were decided early would leave the others to speak.
    """
    import numpy as np

    common = min(map(len, log_ratios.values()), default=0)
    if common < 2:
        raise ValueError(f"overall: got {common} passes that all {len(log_ratios)} cells have, wanted at least 2")
    cells = np.array([_finite(key, sample)[:common] for key, sample in log_ratios.items()])
    return estimate_centre(cells.mean(0), statistic)


def estimate_centre(sample: Sequence[float] | Array, statistic: Statistic = TRIMMED) -> Estimate:
    """Ratio at the centre of log ratios, with its 95 % interval over passes; needs two."""
    import numpy as np
    from scipy.special import stdtrit

    centre, error, freedom = statistic.summarise(np.asarray(sample, dtype=float))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2) * error)
    low, value, high = (math.exp(float(centre) + step) for step in (-half, 0.0, half))
    return Estimate(value=value, low=low, high=high, over="processes")


def needed_passes(
    sample: Sequence[float], design: Design, statistic: Statistic, thresholds: tuple[float, float]
) -> int | None:
    """Passes, beyond those of the sample, after which the nearest claim would be made with 80 % probability.

    Takes the centre and spread found for the true ones. thresholds: p-values that would do for a change and for SAME.
    Beyond the planned looks it goes on as if there were more with the last one's share.
    """
    import numpy as np
    from scipy.special import stdtrit

    if len(sample) < 2:
        return None
    centre, error, freedom = statistic.summarise(np.asarray(sample))
    distance, spread = abs(abs(float(centre)) - design.bound), float(error) * math.sqrt(len(sample))
    inside = abs(float(centre)) < design.bound
    power = (1 + POWER) / 2 if inside else POWER  # for SAME both of two tests must succeed
    for passes, share in _looks_ahead(len(sample), design):
        enough = thresholds[inside] * share
        if spread < NO_SPREAD:
            found = distance > 0 and 0.5**passes <= enough
        else:
            df = freedom * (passes - 1) / (len(sample) - 1)
            found = distance * math.sqrt(passes) >= (stdtrit(df, 1 - enough) + stdtrit(df, power)) * spread
        if found:
            return passes - len(sample)
    return None


def _looks_ahead(passes: int, design: Design) -> list[tuple[int, float]]:
    """The planned looks after `passes`, then further ones, each half as many again, as far as anybody would wait."""
    looks = [(look, share) for look, share in zip(design.looks, design.shares, strict=True) if look > passes]
    further = max(passes, design.looks[-1])
    while (further := math.ceil(1.5 * further)) <= FARTHEST:
        looks.append((further, design.shares[-1]))
    return looks


def _finite(key: object, sample: Sequence[float]) -> tuple[float, ...]:
    found = tuple(map(float, sample))
    if not all(map(math.isfinite, found)):
        raise ValueError(f"log ratios of {key}: got {found}, wanted finite numbers")
    return found


def _judge_cell(
    sample: Sequence[float], p: Array, claimed: Array, design: Design, statistic: Statistic,
    thresholds: tuple[float, float],
) -> Judgement:  # fmt: skip
    if not sample:
        return Judgement(verdict="MISSING", reason="no pass timed both sides")
    claims = [(float(p[i]), verdict) for i, verdict in enumerate(CLAIMS) if claimed[i]]
    verdict: Verdict = min(claims)[1] if claims else "INCONCLUSIVE"
    ratio = estimate_centre(sample, statistic) if len(sample) > 1 else None
    more = None if claims else needed_passes(sample, design, statistic, thresholds)
    return Judgement(
        verdict=verdict, ratio=ratio, passes=len(sample), more_passes=more,
        p_slower=float(p[0]), p_faster=float(p[1]), p_same=float(p[2]),
        reason="" if claims else _explain(len(sample), ratio, design, more),
    )  # fmt: skip


def _explain(passes: int, ratio: Estimate | None, design: Design, more: int | None) -> str:
    """Why there is no verdict yet, and what would bring one."""
    if passes < design.looks[0] or ratio is None:
        return f"{passes} of the {design.looks[0]} passes before the first look"
    ends = (ratio.low, ratio.high)
    crosses = any(ends[0] <= bound <= ends[1] for bound in (1 + design.delta, 1 / (1 + design.delta)))
    bounds = f"±{100 * design.delta:g} %"
    where = f"lies across {bounds}" if crosses else f"clears {bounds}, but not for so many looks and cells"
    value, low, high = (f"{100 * (end - 1):+.2f} %" for end in (ratio.value, *ends))
    forecast = f"about {more} more passes may decide" if more else "no number of passes in sight would decide"
    if passes >= design.looks[-1]:
        forecast += f", beyond the {design.looks[-1]} of the design"
    return f"{value} ({low} to {high}) after {passes} passes {where}; {forecast}"
