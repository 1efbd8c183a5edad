"""The gate: what counts as a change, how often is looked, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass

LOOKS = (6, 9, 13, 19, 28, 40, 60)  # passes; each about half as many again as the last
DELTA, LEVEL = 0.01, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How an interleaved comparison decides.

    delta: relative change that counts; level: share of false verdicts among all that are given.
    looks: numbers of passes after which is decided; budget_s: wall time for all passes.
    blocks, block_s: visits to a cell in a pass, and the time of the samples in each.
    armed: whether the verdicts make the exit code.
    apart: whether each suite is a comparison of its own, with its own share of false verdicts.
    whole: whether the budget is that of the whole run, and not of its passes alone.
    untimed: why no times were compared though they were asked for; empty where they were.
    resolve: what an armed gate lets pass undecided: cells in which a slow-down of this share is ruled out; 0 for none.
    """

    delta: float = DELTA
    level: float = LEVEL
    looks: tuple[int, ...] = LOOKS
    budget_s: float = 300.0
    blocks: int = 4
    block_s: float = 0.025
    armed: bool = False
    apart: bool = False
    whole: bool = False
    resolve: float = 0.0
    untimed: str = ""
