"""Groups of wrong results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.record.run import WRONG, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Wrong results of one arm and one law.

    law: empty for timed cells. more: number of results that were left out.
    """

    arm: str
    law: str
    formula: str
    results: tuple[Result, ...]
    more: int


def group_failures(results: Iterable[Result], most: int, each: int) -> list[FailureGroup]:
    """Group wrong results by arm and law.

    results: results of a run; only wrong ones are taken.
    most: approximate limit of all results; every group keeps at least one. each: limit of one group.
    """
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.outcome in WRONG:
            groups.setdefault((result.arm, result.law), []).append(result)
    share = max(1, min(each, most // max(1, len(groups))))
    return [
        FailureGroup(
            arm=arm, law=law, formula=found[0].formula, results=tuple(found[:share]),
            more=max(0, len(found) - share),
        )
        for (arm, law), found in groups.items()
    ]  # fmt: skip
