"""Groups of wrong results, by cause."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.causes import Cause, group_results
from harness.record.run import WRONG, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureGroup:
    """Wrong results of one arm with one cause (see `harness.analysis.causes`).

    law: of the results, "time" for timed cells, or how many laws there are. formula: of the law of the first result.
    results: the smallest problem first. more: number of results that were left out.
    others: number of results of the arm, with other causes, that were left out; given with its last group.
    """

    arm: str
    law: str
    formula: str
    results: tuple[Result, ...]
    more: int
    others: int = 0


def find_causes(results: Iterable[Result]) -> dict[str, list[Cause[Result]]]:
    """Return the causes of wrong results by arm; within an arm, the causes of the most results come first.

    results: results of a run; only wrong ones are taken.
    """
    arms: dict[str, list[Cause[Result]]] = defaultdict(list)
    for cause in group_results(result for result in results if result.outcome in WRONG):
        arms[cause.first.arm].append(cause)
    return {arm: sorted(causes, key=lambda cause: -len(cause.cells)) for arm, causes in arms.items()}


def group_failures(arms: Mapping[str, Sequence[Cause[Result]]], most: int, each: int) -> list[FailureGroup]:
    """Return the causes of each arm as groups that are limited in number and size.

    arms: causes by arm. most: approximate limit of all results; every arm keeps at least one. each: limit of one group.
    """
    room = max(1, most // max(1, len(arms)))
    return [group for causes in arms.values() for group in _limit(causes, room, each)]


def _limit(causes: Sequence[Cause[Result]], room: int, each: int) -> Iterator[FailureGroup]:
    """Yield groups of one arm with at most `room` results in all, one of each cause at least."""
    kept, left_out = causes[:room], sum(len(cause.cells) for cause in causes[room:])
    share = max(1, min(each, room // len(kept)))
    for cause in kept:
        yield FailureGroup(
            arm=cause.first.arm, law=cause.laws, formula=cause.first.formula, results=cause.cells[:share],
            more=max(0, len(cause.cells) - share), others=left_out if cause is kept[-1] else 0,
        )  # fmt: skip
