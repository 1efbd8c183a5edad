"""Decisions from pairs of measurements, whose two sides are taken right after each other, in alternating order.

Each pair has one sign. If a backend is honest, the load of the machine affects both sides alike, so that a pair
speaks against it with a probability of at most one half, however busy the machine is. No margin has to be guessed, and
the probability of a false accusation is known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

INNOCENT = 0.5  # largest probability that a pair speaks against an honest backend, as both sides are then alike
LEVEL = 1e-4  # largest probability of a false accusation by one decision
ACCUSED, ACQUITTED = -math.log(LEVEL), math.log(1 / 20)
MOST_PAIRS = 120
SHOWN = 0.9  # probability that a pair with a sign speaks against a guilty backend
RARE = 0.1  # share of pairs with a sign that is to be found
QUIET = math.ceil(math.log(0.01) / math.log(1 - RARE))  # pairs without a sign that leave RARE a chance of 1 in 100
PATIENCE = 4.0  # times the usual limit that is waited while more pairs speak against the backend than for it
MOST_SIGNS = 480  # pairs: RARE of them are more than LEAST_SIGNS
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


def decide_signs(
    ask: Callable[[], int], quiet: int = QUIET, most_s: float = math.inf, until: float = math.inf
) -> bool | None:
    """Decide from pairs of which few may have a sign: True guilty, False innocent, None if the evidence is not enough.

    ask: measures one pair; returns 1 if one side stands out and speaks against the backend, -1 if the other side stands
        out, 0 if neither does.
    quiet: pairs without any that speaks against the backend, which acquit it.
    most_s: time after which no other pair is measured, PATIENCE times as long while the evidence is against the
        backend. until: reading of the monotonic clock after which none is measured in any case.
    What makes a side stand out by chance favours neither, so that the same test holds for pairs with a sign as in
    `decide`. Nothing is accused more often than once in 10 000 times; what shows in RARE of the pairs is acquitted
    about once in 20 times at most.
    """
    against, favour = math.log(SHOWN / INNOCENT), math.log((1 - SHOWN) / (1 - INNOCENT))
    weights = {-1: favour, 0: 0.0, 1: against}
    evidence, shown, begun = 0.0, 0, time.monotonic()
    for number in range(1, MOST_SIGNS + 1):
        sign = ask()
        evidence += weights[sign]
        shown += sign > 0
        if evidence >= ACCUSED:
            return True
        if evidence <= ACQUITTED or (number >= quiet and not shown):
            return False
        waited_s = time.monotonic() - begun
        if waited_s > (most_s if evidence <= 0 else PATIENCE * most_s) or begun + waited_s > until:
            break
    return False if number >= quiet and shown < RARE / 3 * number else None
