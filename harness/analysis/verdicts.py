"""Verdicts on the cells of an interleaved comparison: SLOWER, FASTER, SAME, INCONCLUSIVE, MISSING or NEW.

A claim must hold for more than the change that counts: SLOWER needs evidence that the ratio lies beyond +delta, FASTER
beyond -delta, and SAME evidence that it lies between; a cell without evidence is INCONCLUSIVE, never SAME. Benjamini
and Hochberg's procedure limits the share of wrong claims to the level, over all cells of the comparison. Cells with too
few passes count too, so that the number of hypotheses does not grow during a run.

The centre is a trimmed mean: with 5 % of passes disturbed by +5 to +50 % in either arm it finds 100 % of the changes of
+3 %, the mean 53 % and signed ranks 99.6 %, which need half as many passes again for +5 %. Its cost shows in
undisturbed noise: 61 % to 70 % for +1 % against a bound of 0.3 %. False alarms of identical pairs: at most 0.3 % in
every noise tried, and at the bound itself 1.9 % of an allowed 2.5 %; correlated passes (0.3) make that 6 %, or 7 %
otherwise (python -m pytest tests/benchmarks/bench_verdicts.py -s).

Verdicts are recomputed from the passes; there is no other state. With more passes the p-values can only fall
(`replay`), so the procedure can only reject more, and a verdict given during the run remains. Only if its cell, or
others, are measured further can a stronger contradicting claim replace it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from harness.analysis.forecast import Forecast
from harness.analysis.sequential import TRIMMED, Design, Statistic, replay
from harness.analysis.statistics import CONFIDENCE, Estimate

if TYPE_CHECKING:
    from harness.problems.arrays import Reals

Verdict = Literal["SLOWER", "MISSING", "INCONCLUSIVE", "FASTER", "NEW", "SAME"]
WORST_FIRST: tuple[Verdict, ...] = get_args(Verdict)  # worst first
CLAIMS: tuple[Verdict, ...] = ("SLOWER", "FASTER", "SAME")

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Judgement of the passes of a cell.

    ratio: new / base with its 95 % interval over processes, not widened for looks and cells; None below two passes.
    p_slower, p_faster, p_same: adjusted for the looks, but not for the number of cells.
    more_passes: for INCONCLUSIVE, expected number of further passes, from the centre and spread so far; None if
    unknown. forecast: for INCONCLUSIVE, chances of a decision by numbers of passes; None below two passes.
    """

    verdict: Verdict
    ratio: Estimate | None = None
    passes: int = 0
    p_slower: float = 1.0
    p_faster: float = 1.0
    p_same: float = 1.0
    more_passes: int | None = None
    forecast: Forecast | None = None
    reason: str | None = None


def judge(
    log_ratios: Mapping[K, Sequence[float]], design: Design, statistic: Statistic = TRIMMED, *, ended: bool = False,
    deltas: Mapping[K, float] | None = None,
) -> dict[K, Judgement]:  # fmt: skip
    """Judge all cells together.

    log_ratios: log(new / base) of the passes of each cell, in order. design: looks, bound and level.
    statistic: the test.
    ended: True if no more passes will follow, so that the passes since the last look are tested too (see
    `Design.looks_at`); a run that is continued is judged as if it had not ended.
    deltas: relative change that counts, for cells in which it is not that of the design.
    Slower and faster form one family of two hypotheses per cell, equivalent to the procedure on two-sided p-values: at
    least one of the two null hypotheses is true, and Benjamini and Yekutieli (2005) show that wrong directions then
    count as false discoveries. Two claims about one cell require contradicting looks; the one with the smaller p-value
    is taken.
    Raises ValueError for ratios that are not finite.
    """
    import numpy as np

    samples = [_finite(key, sample) for key, sample in log_ratios.items()]
    if not samples:
        return {}
    designs = {key: replace(design, delta=(deltas or {}).get(key, design.delta)) for key in log_ratios}
    p = replay(samples, design, statistic, ended=ended, deltas=[one.delta for one in designs.values()])
    changed, next_change = control_discoveries(p[:2].ravel(), design.level)
    same, next_same = control_discoveries(p[2], design.level)
    claimed = np.vstack([changed.reshape(2, -1), same])
    return {
        key: _judge_cell(sample, p[:, i], claimed[:, i], designs[key], statistic, (next_change, next_same))
        for i, (key, sample) in enumerate(zip(log_ratios, samples, strict=True))
    }


def control_discoveries(p: Reals, level: float) -> tuple[Reals, float]:
    """Return Benjamini and Hochberg's rejections at a level, and the p-value that suffices for one more rejection."""
    from scipy.stats import false_discovery_control

    rejected = false_discovery_control(p) <= level
    return rejected, level * min(1.0, (int(rejected.sum()) + 1) / p.size)


def overall(log_ratios: Mapping[K, Sequence[float]], statistic: Statistic = TRIMMED) -> Estimate:
    """Return the geometric mean of new / base over cells, with its 95 % interval over passes.

    log_ratios: log(new / base) of the passes of each cell. Each pass contributes its mean over cells, so that a small
    change common to all cells becomes visible. Only the first passes, which all cells have, are used; otherwise the
    cells that were decided late would dominate.
    Raises ValueError for fewer than two passes that all cells have.
    """
    import numpy as np

    common = min(map(len, log_ratios.values()), default=0)
    if common < 2:
        raise ValueError(f"overall: got {common} passes that all {len(log_ratios)} cells have, wanted at least 2")
    cells = np.array([_finite(key, sample)[:common] for key, sample in log_ratios.items()])
    return estimate_centre(cells.mean(0), statistic)


def estimate_centre(sample: Sequence[float] | Reals, statistic: Statistic = TRIMMED) -> Estimate:
    """Return the ratio at the centre of log ratios, with its 95 % interval over passes; needs two passes."""
    import numpy as np
    from scipy.special import stdtrit

    centre, error, freedom = statistic.summarise(np.asarray(sample, dtype=float))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2) * error)
    low, value, high = (math.exp(float(centre) + step) for step in (-half, 0.0, half))
    return Estimate(value=value, low=low, high=high, over="processes")


def _finite(key: object, sample: Sequence[float]) -> tuple[float, ...]:
    found = tuple(map(float, sample))
    if not all(map(math.isfinite, found)):
        raise ValueError(f"log ratios of {key}: got {found}, wanted finite numbers")
    return found


def _judge_cell(
    sample: Sequence[float], p: Reals, claimed: Reals, design: Design, statistic: Statistic,
    thresholds: tuple[float, float],
) -> Judgement:  # fmt: skip
    if not sample:
        return Judgement(verdict="MISSING", reason="no pass timed both sides")
    claims = [(float(p[i]), verdict) for i, verdict in enumerate(CLAIMS) if claimed[i]]
    verdict: Verdict = min(claims)[1] if claims else "INCONCLUSIVE"
    ratio = estimate_centre(sample, statistic) if len(sample) > 1 else None
    forecast = None if claims or len(sample) < 2 else Forecast.of(sample, design, statistic, thresholds)
    more = None if forecast is None else forecast.count_needed()
    return Judgement(
        verdict=verdict, ratio=ratio, passes=len(sample), more_passes=more, forecast=forecast,
        p_slower=float(p[0]), p_faster=float(p[1]), p_same=float(p[2]),
        reason=None if claims else _explain(len(sample), ratio, design, more),
    )  # fmt: skip


def _explain(passes: int, ratio: Estimate | None, design: Design, more: int | None) -> str:
    """Reason why there is no verdict yet, and what would decide."""
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
