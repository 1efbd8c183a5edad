"""Exact binomial intervals: how often something happens, from how often it happened."""

from __future__ import annotations


def clopper_pearson(failures: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided interval of the rate behind `failures` in `trials` (Clopper and Pearson 1934); (0, 1) for no trials."""
    return (
        1 - bound_rate(trials - failures, trials, (1 + confidence) / 2),
        bound_rate(failures, trials, (1 + confidence) / 2),
    )


def bound_rate(failures: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper bound: the largest rate at which so few failures are no rarer than 1 - confidence.

    Without a failure that is about 3 / trials at 95 %.
    """
    from scipy.special import betaincinv

    if not 0 <= failures <= trials:
        raise ValueError(f"failures: got {failures} of {trials}, wanted 0 to {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: got {confidence}, wanted between 0 and 1")
    return float(betaincinv(failures + 1, trials - failures, confidence)) if failures < trials else 1.0
