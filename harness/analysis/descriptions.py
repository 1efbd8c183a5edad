"""Sentences about a run, shared by all reports and the terminal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from harness.record.run import RAN, VACUOUS_QUOTA, Outcome, Result, Resumption, Run

MOST_ULPS = 1e6  # a larger error is no error of rounding, and its size in ulp says nothing
MOST_DAMAGE = 20  # places of a damaged journal that are described one by one


def describe_overdrawn(overdrawn: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return a line for each backend with too large a share of passed results that prove nothing."""
    return [
        f"{backend}: {vacuous} of {passed} passed results prove nothing ({100 * vacuous / passed:.1f} %), "
        f"above the quota of {100 * VACUOUS_QUOTA:g} %: the run does not count as a success"
        for backend, (vacuous, passed) in overdrawn.items()
    ]


def describe_parties(parties: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a line for each plugin that is judge and party.

    parties: names of the plugins, with the kinds of what they bring in addition to backends.
    """
    return [
        f"{name} is judge and party: it brings backends and {', '.join(kinds)}, so its code also ran where they are "
        "judged or recorded"
        for name, kinds in parties.items()
    ]


def describe_refused(results: Sequence[Result]) -> list[str]:
    """Return a line for each backend that refused in a call what it supports: cells, operators, and an example."""
    found: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.refused:
            found[result.arm].append(result)
    cells = Counter(result.arm for result in results) if found else Counter[str]()
    return [_describe_refused(arm, refused, cells[arm]) for arm, refused in found.items()]


def _describe_refused(arm: str, refused: Sequence[Result], cells: int) -> str:
    operators = Counter(result.problem.partition(" ")[0] for result in refused)
    named = ", ".join(f"{operator} {number}" for operator, number in operators.most_common())
    return (
        f"{arm} refused {len(refused)} of {cells} cells in a call that it supports ({named}), such as "
        f"{refused[0].problem}: {refused[0].reason}; nothing is known of these"
    )


def describe_idle(run: Run) -> list[str]:
    """Return a line for each backend and law that had nothing to check in some cells, with the first reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in run.results:
        if result.idle:
            found.setdefault((result.arm, result.law), []).append(result.idle)
    return [
        f"{backend}: {law} proves nothing in {len(why)} cells: {why[0]}{f' (and {more} more reasons)' if more else ''}"
        for (backend, law), why in found.items()
        for more in (len(set(why)) - 1,)
    ]


def describe_failure(result: Result, only: str = "") -> list[tuple[str, str]]:
    """Describe a wrong result as named lines: reason with the worst error in ulp, and position of the wrong elements.

    The position appears once, in its own line, even if the reason ends with it.
    only: settings of the backend in which the result is wrong, if known.
    """
    settings = [("only", only)] if only else []
    return [*_describe_answer(result), *settings]


def _describe_answer(result: Result) -> list[tuple[str, str]]:
    found = result.deviation
    if found is None:
        return [("reason", result.reason or "")]
    reason = result.reason or ""
    if found.note:
        reason = reason.removesuffix(f"; {found.note}")
    worst = "" if found.ulps is None or found.ulps > MOST_ULPS else f"worst error {found.ulps:.3g} ulp"
    lines = [("reason", "; ".join(part for part in (reason, worst) if part))]
    return [*lines, ("where", found.note)] if found.note and found.note not in reason else lines


def describe_outcome(run: Run, outcome: Outcome) -> list[str]:
    """Return a line for every backend with results of an outcome: the most frequent reason, and the other cells."""
    found: dict[str, list[str]] = defaultdict(list)
    for result in run.results:
        if result.outcome == outcome:
            found[result.arm].append(result.reason or "")
    told = []
    for backend in run.header.arm_names:
        if reasons := found.get(backend):
            more = f" (and {len(reasons) - 1} more cells)" if len(reasons) > 1 else ""
            told.append(f"{backend} {outcome}: {Counter(reasons).most_common(1)[0][0]}{more}")
    return told


def describe_incomplete(run: Run) -> str | None:
    """Return why a run is no success although nothing is wrong; None if it is complete.

    It stopped, its journal is damaged, or a backend has answered nothing of an operator because of its own declarations
    or because its calls refused.
    """
    if run.complete:
        return _describe_unasked(run)
    why = run.ending.reason if run.ending and run.ending.reason else "stopped"
    cells = f"{len(run.results)} of {run.header.cells} cell{'' if run.header.cells == 1 else 's'}"
    damage = describe_damage(run)
    if run.ending and run.ending.complete and damage:
        return f"INCOMPLETE: {cells} can be read; {damage}"
    return f"INCOMPLETE: {why} after {cells}{'; ' if damage else ''}{damage}"


def find_unasked(results: Sequence[Result]) -> dict[tuple[str, str, str], str]:
    """Return of what nothing is known because of a backend itself: arm, suite and operator, each with a reason.

    It was not asked because of what it declares, or each call was refused although it supports the problem.
    A backend that cannot run here was not asked for another reason, which the summary tells.
    """
    declined = {_group(one): one.reason or "" for one in reversed(results) if one.declined or one.refused}
    if not declined:
        return {}
    refused = {(one.arm, one.problem) for one in results if one.refused_itself}  # laws may ask for others only
    ran = {_group(one) for one in results if one.outcome in RAN and (one.arm, one.problem) not in refused}
    away = {one.arm for one in results if one.outcome == "unavailable"} - {arm for arm, _, _ in ran}
    return {group: reason for group, reason in declined.items() if group not in ran and group[0] not in away}


def _group(result: Result) -> tuple[str, str, str]:
    return result.arm, result.suite, result.problem.partition(" ")[0]


def _describe_unasked(run: Run) -> str | None:
    """Return which backends have answered nothing of an operator because of themselves; None if none."""
    found = find_unasked(run.results)
    if not found:
        return None
    told = [f"{arm} in suite {suite}, {operator} ({reason})" for (arm, suite, operator), reason in found.items()]
    more = f", and {len(told) - MOST_DAMAGE} more" if len(told) > MOST_DAMAGE else ""
    return f"INCOMPLETE: not one problem was answered by {'; '.join(told[:MOST_DAMAGE])}{more}"


def describe_damage(run: Run) -> str:
    """Return what is damaged in the journal of a run, and which cells that concerns; empty if nothing is."""
    torn = ("the last line of its journal was torn and is left out",) if run.torn else ()
    more = f", and {len(run.damage) - MOST_DAMAGE} more" if len(run.damage) > MOST_DAMAGE else ""
    damaged = (f"its journal is damaged: {', '.join(run.damage[:MOST_DAMAGE])}{more}",) if run.damage else ()
    return "; ".join((*damaged, *torn))


def describe_resumed(run: Run) -> str:
    """Return how often a run was interrupted, and what is known of each time; empty for a run in one piece."""
    times = [_describe_resumption(one) for one in run.resumptions]
    often = f"{len(times)} times" if len(times) > 1 else "once"
    return f"interrupted {often} and resumed: {'; '.join(times)}" if times else ""


def _describe_resumption(one: Resumption) -> str:
    cells = f"{one.results} cell{'' if one.results == 1 else 's'}"
    unsealed = "" if one.sealed else ", records compared by their checksums only, as there was no seal"
    changed = [f"{name} was {before}, is {now}" for name, (before, now) in one.changed.items()]
    machine = f", machine changed: {', '.join(changed)}" if changed else ""
    return f"{one.reason or 'killed'} after {cells} at {one.stopped}, resumed at {one.at}{unsealed}{machine}"
