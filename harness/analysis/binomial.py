"""Exact binomial intervals of a rate, from the number of failures in a number of trials."""

from __future__ import annotations


def clopper_pearson(failures: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact two-sided interval of a rate (Clopper and Pearson 1934).

    failures: number of events. trials: number of independent trials; 0 makes the interval (0, 1).
    confidence: probability that the interval covers the rate, between 0 and 1.
    Raises ValueError for failures outside 0 to trials, and for any other confidence.
    """
    return (
        1 - bound_rate(trials - failures, trials, (1 + confidence) / 2),
        bound_rate(failures, trials, (1 + confidence) / 2),
    )


def bound_rate(failures: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound of a rate (Clopper and Pearson 1934).

    failures: number of events. trials: number of independent trials.
    confidence: probability that the bound is not exceeded, between 0 and 1.
    The bound is the largest rate at which that few failures have at least the probability 1 - confidence; without a
    failure it is about 3 / trials at 95 %.
    Raises ValueError for failures outside 0 to trials, and for any other confidence.
    """
    from scipy.special import betaincinv

    if not 0 <= failures <= trials:
        raise ValueError(f"failures: got {failures} of {trials}, wanted 0 to {trials}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: got {confidence}, wanted between 0 and 1")
    return float(betaincinv(failures + 1, trials - failures, confidence)) if failures < trials else 1.0
