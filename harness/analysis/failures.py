"""Wrong results in groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.record.run import WRONG, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Wrong results of one backend under one law (none for timed cells); `more` were left out."""

    backend: str
    law: str
    formula: str
    results: tuple[Result, ...]
    more: int


def group_failures(results: Iterable[Result], most: int, each: int) -> list[FailureGroup]:
    """Wrong results by backend and law, at most `each` of a group and about `most` in all, but one of every group."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.outcome in WRONG:
            groups.setdefault((result.backend, result.law), []).append(result)
    share = max(1, min(each, most // max(1, len(groups))))
    return [
        FailureGroup(
            backend=backend, law=law, formula=found[0].formula, results=tuple(found[:share]),
            more=max(0, len(found) - share),
        )
        for (backend, law), found in groups.items()
    ]  # fmt: skip
