"""Groups of wrong results, by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.analysis.causes import Cause, Key, find_cause, group_by_cause
from harness.record.run import WRONG, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Wrong results of one arm and one law, with one cause (see `harness.analysis.causes`).

    law: empty for timed cells. results: the smallest problem first. more: number of results that were left out.
    others: number of results of the arm and law, with other causes, that were left out; given with their last group.
    """

    arm: str
    law: str
    formula: str
    results: tuple[Result, ...]
    more: int
    others: int = 0


def group_failures(results: Iterable[Result], most: int, each: int) -> list[FailureGroup]:
    """Group wrong results by arm, law and cause.

    results: results of a run; only wrong ones are taken.
    most: approximate limit of all results; every arm and law keeps at least one. each: limit of one group.
    """
    laws: dict[tuple[str, str], list[Cause[Result]]] = defaultdict(list)
    for cause in group_by_cause((r for r in results if r.outcome in WRONG), _key, lambda result: result):
        laws[cause.first.arm, cause.first.law].append(cause)
    room = max(1, most // max(1, len(laws)))
    return [group for causes in laws.values() for group in _limit(causes, room, each)]


def _key(result: Result) -> Key:
    return result.arm, result.law, *find_cause(result)


def _limit(causes: Sequence[Cause[Result]], room: int, each: int) -> Iterator[FailureGroup]:
    """Yield groups of one arm and law with at most `room` results in all, one of each cause at least."""
    kept, left_out = causes[:room], sum(len(cause.cells) for cause in causes[room:])
    share = max(1, min(each, room // len(kept)))
    for cause in kept:
        yield FailureGroup(
            arm=cause.first.arm, law=cause.first.law, formula=cause.first.formula, results=cause.cells[:share],
            more=max(0, len(cause.cells) - share), others=left_out if cause is kept[-1] else 0,
        )  # fmt: skip
