"""Decisions from pairs of measurements, whose two sides are taken right after each other, in alternating order.

Each pair has one sign. If a backend is honest, the load of the machine affects both sides alike, so that a pair
speaks against it with a probability of at most one half, however busy the machine is. No margin has to be guessed, and
the probability of a false accusation is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable

INNOCENT = 0.5  # largest probability that a pair speaks against an honest backend, as both sides are then alike
LEVEL = 1e-4  # largest probability of a false accusation by one decision
ACCUSED, ACQUITTED = -math.log(LEVEL), math.log(1 / 20)
MOST_PAIRS = 120
LEAST_SIGNS = math.ceil(math.log(LEVEL) / math.log(INNOCENT))  # equal signs that occur by chance with LEVEL at most


def decide(speaks_against: Callable[[], bool], guilty: float) -> bool | None:
    """Decide from repeated pairs: True guilty, False innocent, None if the evidence does not suffice after MOST_PAIRS.

    speaks_against: measures one pair; returns True if it speaks against the backend.
    guilty: probability that a pair speaks against a guilty backend.
    Wald's sequential probability ratio test (1945). With a true probability of at most INNOCENT, it returns True at
    most once in 10 000 times, however uneven the times are; with `guilty` or more, it returns False about once in 20
    times.
    """
    against, favour = math.log(guilty / INNOCENT), math.log((1 - guilty) / (1 - INNOCENT))
    evidence = 0.0
    for _ in range(MOST_PAIRS):
        evidence += against if speaks_against() else favour
        if evidence >= ACCUSED:
            return True
        if evidence <= ACQUITTED:
            return False
    return None
