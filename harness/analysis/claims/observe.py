"""Claims as a run shows them: support as promises, and wrong results as known faults."""

from __future__ import annotations

import datetime
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.analysis.claims.judge import is_derived, is_unsupported, list_judged, list_supported, read_day
from harness.plan.claims.facts import AXES, WINDOWS, Facts, matches, read_facts
from harness.plan.claims.read import LEAST_DIAGNOSIS
from harness.plan.claims.rows import TIMED, KnownFault, Outcome, Promise, Scope
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Layout
from harness.record.run import WRONG, Result, Run

MORE_WORSE = 2.0  # an error up to this many times the one that was seen is the same fault: processors round differently
# Numbers that stand alone, which another problem or processor changes, and addresses.
_NUMBER = re.compile(r"0x[0-9a-f]+|(?<![\w.])[-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|inf|nan)(?!\w)(?!\.\d)", re.IGNORECASE)
_PLACE = re.compile(r"\[\*(?:, ?\*)*\]")
_STARS = re.compile(r"\*{2,}")
Place = tuple[Dtype, Layout, int]  # dtype, layout, axes
Words = frozenset[str]
Box = tuple[frozenset[Dtype], frozenset[Layout], frozenset[int]]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Support of one kind: a scope, the number of cells that show it, and a problem of them."""

    scope: Scope
    cells: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenFault:
    """A known fault as a run shows it, with the number of its cells; kept: from an earlier file."""

    fault: KnownFault
    cells: int
    kept: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Claims that a run shows.

    groups: support. faults: wrong results. outside: numbers of supported cells, by backend and operator, that no group
    holds, as problems with the same words are unsupported.
    """

    groups: tuple[Group, ...]
    faults: tuple[SeenFault, ...]
    outside: Mapping[str, int]

    @property
    def promises(self) -> tuple[Promise, ...]:
        """The groups as promises."""
        return tuple(Promise(scope=group.scope) for group in self.groups)


def observe(
    run: Run, known: Sequence[KnownFault], reason: str, link: str, expires: datetime.date, backends: Sequence[str] = ()
) -> Observed:  # fmt: skip
    """Return the claims that a run shows.

    known: faults of an earlier file, whose rows are kept until their last day where they still excuse something.
    reason, link, expires: of the other faults. backends: only these; empty for all of the run.
    """
    results = [one for one in list_judged(run) if not backends or one.backend in backends]
    supported = list_supported(results)
    unsupported = [one for one in results if is_unsupported(one) or is_derived(one)]
    groups = group_support(supported, unsupported)
    held: dict[str, list[Scope]] = defaultdict(list)
    for group in groups:
        held[group.scope.backend].append(group.scope)
    outside: dict[str, int] = defaultdict(int)
    for one in supported:
        facts = read_facts(one.problem)
        if facts is not None and not any(scope.covers(one.problem) for scope in held[one.backend]):
            outside[f"{one.backend} {facts.operator}"] += 1
    day = read_day(run.header)
    valid = [fault for fault in known if not fault.is_expired(day)]
    faults = observe_faults([one for one in results if one.outcome in WRONG], valid, reason, link, expires)
    return Observed(groups=tuple(groups), faults=tuple(faults), outside=dict(sorted(outside.items())))


def group_support(supported: Iterable[Result], unsupported: Iterable[Result] = ()) -> list[Group]:
    """Group results of operators into scopes, in a fixed order: all of the first kind, and none of the second.

    Values of dtypes, layouts and axes are joined only where every combination was seen. Words of windows are joined
    beyond what was seen together, unless an unsupported problem has no others. Networks belong to no group.
    """
    seen, refused = _by_place(supported), _by_place(unsupported)
    words: dict[tuple[str, str], Words] = defaultdict(frozenset)
    for (backend, operator, _), found in seen.items():
        words[backend, operator] |= frozenset().union(*(facts.windows for facts, _ in found))
    boxes: dict[tuple[str, str, Words], set[Place]] = defaultdict(set)
    for key in seen:
        backend, operator, place = key
        barred = [facts.windows for facts, _ in refused.get(key, ())]
        for windows in _choose_windows([facts.windows for facts, _ in seen[key]], barred, words[backend, operator]):
            boxes[backend, operator, windows].add(place)
    rows: dict[tuple[str, Words, Box], list[str]] = defaultdict(list)
    for (backend, operator, windows), places in boxes.items():
        for box in _join(places):
            rows[backend, windows, box].append(operator)
    made = [_make_group(backend, operators, box, windows, seen) for (backend, windows, box), operators in rows.items()]
    return sorted(made, key=_order)


def _by_place(results: Iterable[Result]) -> dict[tuple[str, str, Place], list[tuple[Facts, str]]]:
    """Facts and lines by backend, operator and place."""
    found: dict[tuple[str, str, Place], list[tuple[Facts, str]]] = defaultdict(list)
    for result in results:
        facts = read_facts(result.problem)
        if facts is not None:
            place = (facts.dtype, facts.layout, facts.axes)
            found[result.backend, facts.operator, place].append((facts, result.problem))
    return found


def _choose_windows(seen: Sequence[Words], barred: Sequence[Words], known: Words) -> Iterator[Words]:
    """Yield sets of words that hold all words seen together, and no barred set; as few and as large as possible."""
    left = {words for words in seen if not any(bar <= words for bar in barred)}
    while left:
        first = min(left, key=lambda words: (-len(words), sorted(words)))
        chosen = set(first)
        for word in WINDOWS:
            if word in known and not any(bar <= chosen | {word} for bar in barred):
                chosen.add(word)
        yield frozenset(chosen)
        left = {words for words in left if not words <= chosen}


def _join(places: Iterable[Place]) -> Iterator[Box]:
    """Yield products of dtypes, layouts and axes that hold each place once."""
    layouts = _gather(((dtype, axes), layout) for dtype, layout, axes in places)
    axes = _gather(((dtype, held), axis) for (dtype, axis), held in layouts.items())
    for (held, numbers), dtypes in _gather(((held, found), dtype) for (dtype, held), found in axes.items()).items():
        yield dtypes, held, numbers


def _gather(pairs: Iterable[tuple[K, V]]) -> dict[K, frozenset[V]]:
    found: dict[K, set[V]] = defaultdict(set)
    for key, value in pairs:
        found[key].add(value)
    return {key: frozenset(values) for key, values in found.items()}


def _make_group(
    backend: str, operators: Sequence[str], box: Box, windows: Words,
    seen: Mapping[tuple[str, str, Place], Sequence[tuple[Facts, str]]],
) -> Group:  # fmt: skip
    dtypes, layouts, axes = box
    scope = Scope(
        backend=backend,
        operators=tuple(one.value for one in Operator if one.value in operators),
        dtypes=tuple(one for one in DTYPES if one in dtypes),
        layouts=tuple(one for one in LAYOUTS if one in layouts),
        axes=tuple(one for one in AXES if one in axes),
        windows=tuple(one for one in WINDOWS if one in windows),
    )
    lines = [
        line for operator in scope.operators for dtype in scope.dtypes for layout in scope.layouts
        for number in scope.axes for facts, line in seen.get((backend, operator, (dtype, layout, number)), ())
        if facts.windows <= windows
    ]  # fmt: skip
    return Group(scope=scope, cells=len(lines), example=min(lines))


def _order(group: Group) -> tuple[object, ...]:
    scope, operators = group.scope, list(Operator)
    return (
        scope.backend, [operators.index(Operator[one]) for one in scope.operators],
        [DTYPES.index(one) for one in DTYPES if one in scope.dtypes], scope.layouts, scope.axes, scope.windows,
    )  # fmt: skip


def observe_faults(
    wrong: Sequence[Result], known: Sequence[KnownFault], reason: str, link: str, expires: datetime.date
) -> list[SeenFault]:
    """Return a row for each kind of wrong result, in a fixed order, with its lines.

    Results of one backend, law, outcome and reason without its numbers are of one kind. Rows that are known already
    are kept as they are where they match a result.
    wrong: the results. known: rows of an earlier file. reason, link, expires: of new rows.
    """
    rows, left = [], list(wrong)
    for fault in known:
        mine = [one for one in left if _is_known(fault, one)]
        if mine:
            rows.append(SeenFault(fault=fault, cells=len(mine), kept=True))
            taken = {one.cell for one in mine}
            left = [one for one in left if one.cell not in taken]
    kinds: dict[tuple[str, str, Outcome, str], list[Result]] = defaultdict(list)
    plain = {(one.backend, _kind(one), one.problem) for one in left if one.arm == one.backend}
    for one in left:  # arms with settings have rows of their own where the backend without them is right
        name = one.backend if (one.backend, _kind(one), one.problem) in plain else one.arm
        kinds[(name, *_kind(one))].append(one)
    for (backend, law, outcome, diagnosis), found in kinds.items():
        fault = KnownFault(
            scope=Scope(backend=backend, problems=tuple(sorted({one.problem for one in found}))), law=law,
            outcome=outcome, diagnosis=diagnosis, worst=_bound_error(found), reason=reason, link=link, expires=expires,
        )  # fmt: skip
        rows.append(SeenFault(fault=fault, cells=len(found)))
    return sorted(rows, key=lambda row: (
        row.fault.scope.backend, row.fault.law, row.fault.outcome, row.fault.diagnosis, row.fault.scope.problems,
    ))  # fmt: skip


def _kind(result: Result) -> tuple[str, Outcome, str]:
    outcome: Outcome = result.outcome  # type: ignore[assignment]  # only wrong results come here
    return result.law or TIMED, outcome, generalise(result.reason or "")


def _is_known(fault: KnownFault, result: Result) -> bool:
    worst = result.deviation.worst if result.deviation is not None else None
    return (
        fault.law == (result.law or TIMED)
        and fault.outcome == result.outcome
        and fault.scope.is_about(result.backend, result.arm)
        and fault.scope.covers(result.problem)
        and matches(fault.diagnosis, result.reason or "")
        and (fault.worst is None or worst is None or worst <= fault.worst)
    )


def _bound_error(results: Iterable[Result]) -> float | None:
    """Return the largest error that the same fault may show; None if it has no bound."""
    found = [one.deviation.worst for one in results if one.deviation is not None]
    if not found or not all(math.isfinite(one) for one in found):
        return None
    return float(f"{max(1.0, MORE_WORSE * max(found)):.2g}")


def generalise(reason: str) -> str:
    """Return a reason as a pattern in which `*` stands for each number and place.

    A reason that would be too short for a row of its own stays as it is.
    """
    made = _STARS.sub("*", _PLACE.sub("[*]", _NUMBER.sub("*", reason)))
    return made if len(made.replace("*", "").strip()) >= LEAST_DIAGNOSIS else reason
