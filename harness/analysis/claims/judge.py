"""Claims held against a run: promises kept and broken, known faults present and gone, and unclaimed support.

A known fault excuses a wrong result only by its law, problem, outcome, reason and error together, and until its last
day. An unexpected pass is reported, and fails the run only if the row is strict, as in pytest and in the expectations
of large conformance suites: a change that mends a fault in passing is not stopped by an outdated row.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from harness.exit_codes import ExitCode
from harness.plan.claims.facts import matches
from harness.plan.claims.rows import TIMED, Claims, KnownFault, Promise
from harness.problems.operator import Operator
from harness.record.acceptance import Acceptance
from harness.record.run import GAVE_UP, RAN, WRONG, Header, Result, Run

PromiseState = Literal["broken", "not checked", "kept", "not asked"]
FaultState = Literal["expired", "gone", "partly gone", "present", "not checked", "not asked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseRow:
    """A promise in a run.

    number: in the file, from 1. kept: number of cells that show it. broken: results that contradict it, with reasons.
    unchecked: results that show nothing, with reasons.
    """

    number: int
    promise: Promise
    kept: int = 0
    broken: tuple[tuple[Result, str], ...] = ()
    unchecked: tuple[tuple[Result, str], ...] = ()

    @property
    def state(self) -> PromiseState:
        """State in one or two words."""
        if self.broken:
            return "broken"
        return "kept" if self.kept else "not checked" if self.unchecked else "not asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """A known fault in a run.

    number: in the file, from 1. expired: True if it excuses nothing any more. excused: wrong results that it accepts.
    gone: right results where it expects wrong ones. others: wrong results of its cells that it does not accept, with
    reasons. cells: number of results of its law and problems. of_law: number of those of its law that ran.
    gone_wholly: True if a line, or a whole pattern, of the row has right results only.
    """

    number: int
    fault: KnownFault
    expired: bool = False
    excused: tuple[Result, ...] = ()
    gone: tuple[Result, ...] = ()
    others: tuple[tuple[Result, str], ...] = ()
    cells: int = 0
    of_law: int = 0
    gone_wholly: bool = False

    @property
    def state(self) -> FaultState:
        """State in one or two words."""
        if not self.cells:
            return "not asked"
        if self.gone_wholly:
            return "partly gone" if self.excused or self.others else "gone"
        if self.expired:
            return "expired"
        return "present" if self.excused else "not checked"

    @property
    def is_broad(self) -> bool:
        """True if the row excuses every result of its law that ran, and these are many enough to say so."""
        return 1 < self.of_law == len(self.excused)


@dataclass(frozen=True, kw_only=True, eq=False)
class ClaimsReport:
    """All claims of a run.

    promises, faults: rows in the order of the file. unclaimed: passed results that no promise covers.
    refused: by cell number, why a row about a wrong result does not excuse it. given_up: results that were not tried
    because excused ones ended the worker.
    """

    claims: Claims
    promises: tuple[PromiseRow, ...]
    faults: tuple[FaultRow, ...]
    unclaimed: tuple[Result, ...]
    refused: dict[int, str]
    given_up: tuple[Result, ...]

    @cached_property
    def excused(self) -> dict[int, str]:
        """Wrong results that are known, by cell number, with the row in words."""
        return {result.cell: name_fault(row) for row in reversed(self.faults) for result in row.excused}

    @cached_property
    def broken(self) -> dict[int, str]:
        """Results that break a promise, by cell number, with the reason."""
        return {
            result.cell: f"promise {row.number}: {why}"
            for row in reversed(self.promises) for result, why in row.broken
        }  # fmt: skip

    @property
    def checked(self) -> bool:
        """True if a cell shows of a promise whether it is kept."""
        return any(row.kept or row.broken for row in self.promises)

    @property
    def exit_code(self) -> ExitCode:
        """WRONG for a broken promise or a strict row whose fault is gone, INCOMPLETE if promises are open, or OK.

        A promise is open if none of its cells shows anything. So is a run that asks for no promise.
        """
        if self.broken or any(row.fault.strict and row.gone_wholly for row in self.faults):
            return ExitCode.WRONG
        if not self.checked or self.given_up or any(row.state == "not checked" for row in self.promises):
            return ExitCode.INCOMPLETE
        return ExitCode.OK

    def accept(self, acceptance: Acceptance) -> Acceptance:
        """Return the acceptance of a comparison, to which known faults are added."""
        return replace(
            acceptance, accepted=self.excused | acceptance.accepted, refused=self.refused | acceptance.refused
        )


def name_fault(row: FaultRow) -> str:
    """Return a known fault in words: its row, its reason, its report and its last day."""
    fault = row.fault
    return f"known fault {row.number} ({fault.reason}; {fault.link}; until {fault.expires})"


def judge_claims(run: Run) -> ClaimsReport | None:
    """Hold the claims of a run against its results; None without claims.

    In a comparison of two versions, only the new version is judged.
    """
    claims = run.header.claims
    if claims is None:
        return None
    results = list_judged(run)
    today = read_day(run.header)
    faults, refused = _judge_faults(claims, results, today)
    excused = {result.cell for row in faults for result in row.excused}
    elsewhere = {arm.name for arm in run.header.arms if arm.revision or arm.interpreter}
    ran = {(result.arm, result.problem) for result in results if result.outcome in RAN}
    promises, covered = [], set[int]()
    for number, promise in enumerate(claims.promises, 1):
        mine = [r for r in results if promise.scope.is_about(r.backend, r.arm) and promise.scope.covers(r.problem)]
        covered |= {result.cell for result in mine if promise.derived or not is_derived(result)}
        promises.append(_judge_promise(number, promise, mine, excused, elsewhere, ran))
    told = {scope.backend for _, scope in claims.scopes}
    unclaimed = tuple(
        result for result in list_supported(results)
        if result.cell not in covered and told & {result.backend, result.arm}
    )  # fmt: skip
    given_up = tuple(r for r in results if excused and r.outcome == "skipped" and (r.reason or "").endswith(GAVE_UP))
    return ClaimsReport(
        claims=claims, promises=tuple(promises), faults=faults, unclaimed=unclaimed, refused=refused, given_up=given_up
    )


def list_judged(run: Run) -> list[Result]:
    """Return the results that claims are about: without those of bases in a comparison of versions."""
    if run.header.gate is None or not run.header.gate.whole:
        return list(run.results)
    bases = run.header.base_of
    return [result for result in run.results if bases.get(result.arm) != result.arm]


def read_day(header: Header) -> datetime.date | None:
    """Return the day on which a run began; None if the header has none."""
    try:
        return datetime.date.fromisoformat(header.created[:10])
    except ValueError:
        return None


def is_derived(result: Result) -> bool:
    """Return True if the harness derives the problem's own operator from others of the backend.

    A law may be derived because it needs another operator; its route then names that one.
    """
    if result.route.kind != "derived":
        return False
    operator = result.problem.partition(" ")[0]
    if result.kind != "correctness" or operator not in Operator.__members__:
        return True
    return any(part.startswith(f"{operator} via ") for part in result.route.via.split("; "))


def is_unsupported(result: Result) -> bool:
    """Return True if the backend has no way to the problem's own operator, or refuses it in the call.

    A law may lack, or be refused, another one instead.
    """
    if result.refused_itself:
        return True
    own = result.route.lacks in ("", result.problem.partition(" ")[0])
    return result.outcome == "unsupported" and result.route.kind == "unsupported" and own


def list_supported(results: Sequence[Result]) -> list[Result]:
    """Return the results which show that the backend's own method computes the problem, and rightly.

    A law may ask for other operators only, so none of the results of a problem may say that it is derived or
    unsupported.
    """
    others = {(one.arm, one.problem) for one in results if is_derived(one) or is_unsupported(one)}
    return [
        one for one in results
        if one.outcome == "passed" and not one.vacuous and (one.arm, one.problem) not in others
    ]  # fmt: skip


def _judge_promise(
    number: int, promise: Promise, results: Sequence[Result], excused: set[int], elsewhere: set[str],
    ran: set[tuple[str, str]],
) -> PromiseRow:  # fmt: skip
    kept, broken, unchecked = 0, [], []
    for result in results:
        if why := _contradicts(result, promise, result.cell in excused, result.arm in elsewhere, ran):
            broken.append((result, why))
        elif result.outcome == "passed" and not result.vacuous:
            kept += 1
        else:
            unchecked.append((result, _say_open(result, result.cell in excused)))
    return PromiseRow(
        number=number, promise=promise, kept=kept, broken=tuple(broken), unchecked=tuple(unchecked)
    )  # fmt: skip


def _say_open(result: Result, known: bool) -> str:
    return "a known fault" if known else "proves nothing" if result.vacuous else result.told


def _contradicts(
    result: Result, promise: Promise, known: bool, elsewhere: bool, ran: set[tuple[str, str]]
) -> str | None:
    """Return why a result contradicts a promise about its problem; None if it does not."""
    if result.outcome in WRONG and not known:
        return result.told
    if not promise.derived and is_derived(result):
        return f"{result.backend} has no own method: derived via {result.route.via.partition(' via ')[2] or 'others'}"
    if result.outcome != "unsupported":
        return None
    # Of another version, which the plan has not asked, a law is told nothing but that it is unsupported.
    if is_unsupported(result) or (elsewhere and (result.arm, result.problem) not in ran):
        return result.told
    return None


def _judge_faults(
    claims: Claims, results: Iterable[Result], today: datetime.date | None
) -> tuple[tuple[FaultRow, ...], dict[int, str]]:
    by_law: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_law[result.law or TIMED].append(result)
    rows = tuple(
        _judge_fault(number, fault, by_law.get(fault.law, ()), fault.is_expired(today))
        for number, fault in enumerate(claims.faults, 1)
    )
    excused = {result.cell for row in rows for result in row.excused}
    refused: dict[int, str] = {}
    for row in rows:
        for result, why in row.others:
            if result.cell not in excused:
                refused.setdefault(result.cell, f"fault {row.number} of {claims.file} does not excuse it: {why}")
    return rows, refused


def _judge_fault(number: int, fault: KnownFault, of_law: Sequence[Result], expired: bool) -> FaultRow:
    about = [one for one in of_law if fault.scope.is_about(one.backend, one.arm)]
    mine = [one for one in about if fault.scope.covers(one.problem)]
    excused: list[Result] = []
    others: list[tuple[Result, str]] = []
    for result in mine:
        if result.outcome in WRONG:
            if why := _refuses(fault, result, expired):
                others.append((result, why))
            else:
                excused.append(result)
    gone = tuple(result for result in mine if result.outcome == "passed" and not result.vacuous)
    wrong = [result for result in mine if result.outcome in WRONG]
    return FaultRow(
        number=number, fault=fault, expired=expired, excused=tuple(excused), others=tuple(others), gone=gone,
        cells=len(mine), of_law=sum(one.outcome in RAN for one in about),
        gone_wholly=any(_is_gone(part, gone, wrong) for part in _list_parts(fault)),
    )  # fmt: skip


def _list_parts(fault: KnownFault) -> Iterator[str]:
    """Parts of a row that may be gone by themselves: each of its lines and patterns, or the whole."""
    yield from fault.scope.problems or ("*",)


def _is_gone(part: str, gone: Iterable[Result], wrong: Iterable[Result]) -> bool:
    return any(matches(part, one.problem) for one in gone) and not any(matches(part, one.problem) for one in wrong)


def _refuses(fault: KnownFault, result: Result, expired: bool) -> str | None:
    """Return why a known fault does not excuse a wrong result of its law and problems; None if it does."""
    if result.outcome != fault.outcome:
        return f"it knows {fault.outcome}, and the cell is {result.outcome}"
    if not matches(fault.diagnosis, result.reason or ""):
        return f"it knows another reason, '{fault.diagnosis}'"
    worst = result.deviation.worst if result.deviation is not None else None
    if fault.worst is not None and worst is not None and not worst <= fault.worst:
        return f"the error is {worst:.3g} times its bound, and it knows at most {fault.worst:.3g}"
    if expired:
        return f"it expired, {fault.expires} was its last day ({fault.reason}; {fault.link})"
    return None
