"""Claims of a run in words, shared by the terminal and all reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.analysis.claims.judge import ClaimsReport, FaultRow, PromiseRow, PromiseState
from harness.analysis.claims.observe import group_support
from harness.exit_codes import ExitCode
from harness.record.run import Result

Kind = Literal[
    "CLAIM BROKEN", "FAULT GONE", "EXPIRED", "NOT CHECKED", "NOT EXCUSED", "EXCUSES ALL", "KNOWN FAULT",
    "UNCLAIMED", "NOT ASKED", "KEPT",
]  # fmt: skip
JOINED = 6  # numbers of rows that are named in one line
LOUD_CLAIMS: frozenset[Kind] = frozenset(
    {"CLAIM BROKEN", "FAULT GONE", "EXPIRED", "NOT CHECKED", "NOT EXCUSED", "EXCUSES ALL"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimLine:
    """One statement about claims.

    kind: what it says. row: such as "promise 2"; empty for support that no row claims. backend: of the row.
    what: the scope of the row. said: the statement. problem: of the first cell that shows it; empty without one.
    fails: True if the statement alone makes the run no success. cells: number of cells that it is about.
    why: reason, report and last day of a known fault, which many rows may share; None for other statements.
    """

    kind: Kind
    row: str
    backend: str
    what: str
    said: str
    problem: str = ""
    fails: bool = False
    cells: int = 0
    why: str | None = None


def describe_claims(report: ClaimsReport) -> list[ClaimLine]:
    """Return all statements about the claims of a run: what fails first, what was kept last."""
    lines = [
        *(line for row in report.promises for line in _describe_promise(row)),
        *(line for row in report.faults for line in _describe_fault(row)),
        *_describe_unclaimed(report),
    ]
    kinds: tuple[Kind, ...] = (
        "CLAIM BROKEN", "FAULT GONE", "EXPIRED", "NOT EXCUSED", "NOT CHECKED", "EXCUSES ALL", "KNOWN FAULT",
        "UNCLAIMED", "NOT ASKED", "KEPT",
    )  # fmt: skip
    return sorted(lines, key=lambda line: (not line.fails, kinds.index(line.kind)))


def _describe_promise(row: PromiseRow) -> Iterator[ClaimLine]:
    scope, cells = row.promise.scope, row.kept + len(row.broken) + len(row.unchecked)

    def line(kind: Kind, said: str, problem: str = "", *, fails: bool = False) -> ClaimLine:
        return ClaimLine(
            kind=kind, row=f"promise {row.number}", backend=scope.backend, what=scope.describe(), said=said,
            problem=problem, fails=fails,
        )  # fmt: skip

    match row.state:
        case "broken":
            result, why = row.broken[0]
            law = f" {result.law}" if result.law else ""
            said = f"{len(row.broken)} of {count(cells, 'cell')}; the first,{law or ' time'}: {why}"
            yield line("CLAIM BROKEN", said, result.problem, fails=True)
        case "not checked":
            yield line(
                "NOT CHECKED", f"{count(cells, 'cell')}, of which none shows it: {_most(row.unchecked)}", fails=True
            )
        case "not asked":
            yield line("NOT ASKED", "it matches no cell of this run")
        case "kept":
            rest = f", {len(row.unchecked)} show nothing: {_most(row.unchecked)}" if row.unchecked else ""
            yield line("KEPT", f"{count(row.kept, 'cell')} pass{'es' if row.kept == 1 else ''}{rest}")


def _describe_fault(row: FaultRow) -> Iterator[ClaimLine]:
    fault = row.fault

    def line(kind: Kind, said: str, of: Sequence[Result] = (), *, fails: bool = False) -> ClaimLine:
        return ClaimLine(
            kind=kind, row=f"fault {row.number}", backend=fault.scope.backend,
            what=f"{fault.law}: {fault.scope.describe()}", said=said, problem=of[0].problem if of else "", fails=fails,
            cells=len(of), why=f"{fault.reason}; {fault.link}; until {fault.expires}",
        )  # fmt: skip

    if row.state == "not asked":
        yield line("NOT ASKED", "it matches no cell of this run")
        return
    if row.gone_wholly:
        part = "some of its problems are right now" if row.state == "partly gone" else "its problems are right now"
        next_ = "remove them" if row.state == "partly gone" else "remove the row"
        strict = "; it is strict, so the run fails" if fault.strict else ""
        yield line(
            "FAULT GONE", f"{part} ({count(len(row.gone), 'cell')}): {next_}{strict}", row.gone, fails=fault.strict
        )
    if row.expired and row.others:
        wrong = count(len(row.others), "wrong cell")
        yield line(
            "EXPIRED", f"{fault.expires} was its last day, it excuses none of its {wrong} any more: {fault.reason}; "
            f"{fault.link}", [result for result, _ in row.others],
        )  # fmt: skip
    elif row.others:
        result, why = row.others[0]
        yield line("NOT EXCUSED", f"{count(len(row.others), 'wrong cell')} of another kind: {why}", [result])
    if row.excused:
        until = f"until {fault.expires}"
        yield line(
            "KNOWN FAULT", f"{count(len(row.excused), 'cell')} wrong as known, {until}: {fault.reason}; {fault.link}",
            row.excused,
        )  # fmt: skip
    if row.is_broad:
        yield line("EXCUSES ALL", f"it excuses every cell of {fault.law} that ran ({len(row.excused)}): nothing else "
                   "can be found by this law", row.excused)  # fmt: skip
    if row.state == "not checked" and not row.others:
        yield line("NOT ASKED", f"{count(row.cells, 'cell')}, of which none shows it")


def join_rows(lines: Sequence[ClaimLine]) -> list[ClaimLine]:
    """Join statements about known faults that differ in nothing but law and problems: one cause may have many rows."""
    groups: dict[tuple[object, ...], list[ClaimLine]] = {}
    for number, line in enumerate(lines):
        joins = line.why is not None and line.kind in ("KNOWN FAULT", "FAULT GONE", "EXPIRED")
        groups.setdefault((line.kind, line.backend, line.why, line.fails) if joins else (number,), []).append(line)
    return [_join(group) for group in groups.values()]


def _join(lines: Sequence[ClaimLine]) -> ClaimLine:
    first = lines[0]
    if len(lines) == 1:
        return first
    numbers = ", ".join(line.row.removeprefix("fault ") for line in lines[:JOINED])
    more = f" and {len(lines) - JOINED} more" if len(lines) > JOINED else ""
    cells = sum(line.cells for line in lines)
    return replace(
        first, row=f"faults {numbers}{more}", what=f"{first.what}, and {len(lines) - 1} more rows",
        said=f"{count(cells, 'cell')}: {first.why}", cells=cells,
    )  # fmt: skip


def _describe_unclaimed(report: ClaimsReport) -> Iterator[ClaimLine]:
    for group in group_support(report.unclaimed):
        yield ClaimLine(
            kind="UNCLAIMED", row="", backend=group.scope.backend, what=group.scope.describe(),
            said=f"{count(group.cells, 'cell')} pass{'es' if group.cells == 1 else ''}, and no promise covers them",
            problem=group.example,
        )  # fmt: skip


def conclude_claims(report: ClaimsReport) -> str:
    """Return the counts of claims, and what they mean for the run, in one line."""
    states = Counter(row.state for row in report.promises)
    known = sum(bool(row.excused) for row in report.faults)
    shown: dict[PromiseState, str] = {
        "broken": "CLAIM BROKEN", "kept": "kept", "not checked": "not checked", "not asked": "not asked",
    }  # fmt: skip
    parts = [f"{states[state]} {word}" for state, word in shown.items() if states[state]]
    gone = sum(row.gone_wholly for row in report.faults)
    expired = sum(row.expired for row in report.faults)
    parts += [f"{count(known, 'known fault')} present"] if known else []
    parts += [f"{gone} gone"] if gone else []
    parts += [f"{expired} expired"] if expired else []
    parts += [f"{len(report.unclaimed)} cells that nobody claims"] if report.unclaimed else []
    return f"{report.claims.file}: {', '.join(parts) or 'no promise'}{_say_open(report)}"


def _say_open(report: ClaimsReport) -> str:
    if report.exit_code != ExitCode.INCOMPLETE:
        return ""
    if report.given_up:
        return (
            f"; no success: {count(len(report.given_up), 'cell')} not tried, as known faults ended the worker; "
            "keep those out of the run, or mend them"
        )
    if report.checked:
        return "; no success: a promise has cells in this run, and none of them shows it"
    if not report.claims.promises:
        return "; no success: the file has no [[promise]], so that nothing has to hold; add what is supported"
    return "; no success: no promise could be checked in this run"


def count(number: int, what: str) -> str:
    """Return a number with its noun."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _most(unchecked: Sequence[tuple[Result, str]]) -> str:
    """The most frequent reason why cells show nothing."""
    reasons = Counter(why for _, why in unchecked)
    why, number = reasons.most_common(1)[0]
    return f"{why}{f' (and {len(reasons) - 1} more reasons)' if number < len(unchecked) else ''}"
