"""The headline of a report: the overall verdict on a run or a comparison, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness import ExitCode
from harness.analysis import conclude_gate, describe_incomplete
from harness.record import OUTCOMES, RAN, WRONG
from reports.number_format import count

if TYPE_CHECKING:
    from harness import Analysis
    from harness.analysis import ArmComparison, ClaimsReport, Comparison, Counted, CountVerdict

State = Literal["good", "bad", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Overall verdict on a run or a comparison, in words.

    incomplete: why and where it stopped; None if it is complete.
    overdrawn: a line for each backend with too large a share of passed results that prove nothing.
    """

    state: State
    text: str
    detail: str
    incomplete: str | None
    overdrawn: tuple[str, ...] = ()


def judge_run(analysis: Analysis) -> Verdict:
    """Return the verdict on a run: its wrong cells, or that all cells passed, and the cells that did not run."""
    run, overdrawn = analysis.run, analysis.overdrawn
    counts, vacuous = analysis.counts_by_outcome, analysis.number_vacuous
    claims = analysis.claims
    known = 0 if claims is None else len(claims.excused)
    wrong, ran = sum(counts[o] for o in WRONG) - known, sum(counts[o] for o in RAN)
    idle = _list_counts({o: counts[o] for o in OUTCOMES if o not in RAN})
    notes = [f"Did not run: {idle}."] if idle else []
    if vacuous and not overdrawn:
        notes.append(f"{vacuous} of those that passed prove nothing.")
    state: State = "good" if run.complete else "open"
    if wrong:
        state, text = "bad", f"{count(wrong, 'cell is', 'cells are')} wrong, of {ran} that ran"
        notes.insert(0, f"{_list_counts({o: counts[o] for o in OUTCOMES if o in WRONG})}.".capitalize())
        if known:
            notes.insert(1, f"{known} of these {'is' if known == 1 else 'are'} known.")
    elif not ran:
        state, text = "open", "Nothing ran"
    else:
        text = "The only cell that ran passed" if ran == 1 else f"All {ran} cells that ran passed"
        text = (
            f"{count(ran - known, 'cell')} passed, {known} {'is' if known == 1 else 'are'} wrong as known"
            if known
            else text
        )
    untold = sum(result.untold for result in run.results)
    if untold and state != "bad":
        state, text = "open", f"{text}, but the machine cannot tell of {count(untold, 'cell')}"
    refused = sum(result.refused for result in run.results)
    if refused and state != "bad":
        state, text = "open", f"{text}, but {count(refused, 'cell was', 'cells were')} refused in a call"
    if overdrawn and state != "bad":
        state, text = "bad", f"{text}, but too many prove nothing"
    if claims is not None:
        state, text = _judge_claims(claims, state, text)
    return Verdict(state=state, text=text, detail=" ".join(notes), incomplete=analysis.incomplete, overdrawn=overdrawn)


def _judge_claims(claims: ClaimsReport, state: State, text: str) -> tuple[State, str]:
    """Return the verdict on a run, changed by what its claims say."""
    if claims.broken:
        return "bad", f"{text}; CLAIM BROKEN"
    if claims.exit_code == ExitCode.WRONG:
        return "bad", f"{text}; a known fault is gone, and its row is strict"
    if claims.exit_code == ExitCode.INCOMPLETE:
        return "open" if state == "good" else state, f"{text}; promises are not checked"
    return state, text


def judge_comparison(comparison: Comparison) -> Verdict:
    """Return the verdict on a comparison of runs: broken, slower or missing cells first."""
    counts = comparison.counts
    named = {name: counts[name] for name in ("BROKEN", "SLOWER", "MISSING") if counts[name]}
    state: State
    if named:
        state, text = "bad", ", ".join(f"{n} {name.lower()}" for name, n in named.items())
    elif not comparison.told:
        state, text = "open", "Nothing could be compared"
    else:
        state, text = "good", "Nothing is broken, slower or missing"
        if counts["INCONCLUSIVE"]:
            state, text = "open", f"{text}, but {count(counts['INCONCLUSIVE'], 'cell is', 'cells are')} inconclusive"
    parts = [(which, describe_incomplete(run)) for which, run in (("base", comparison.base), ("new", comparison.new))]
    incomplete = "; ".join(f"the {which} run is {why}" for which, why in parts if why) or None
    detail = _list_counts({name.lower(): n for name, n in counts.items() if name not in named})
    return Verdict(
        state="open" if incomplete and state == "good" else state,
        text=text,
        detail=f"Of {count(len(comparison.changes), 'cell')}: {detail}." if detail else "",
        incomplete=incomplete,
    )


def _list_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number)


SAID = {
    "SLOWER": "slower",
    "MISSING": "missing",
    "FASTER": "faster",
    "SAME": "the same",
    "INCONCLUSIVE": "inconclusive",
    "NEW": "new",
}


COUNTED: dict[CountVerdict, str] = {
    "MORE": "with more instructions", "MISSING": "missing", "FEWER": "with fewer instructions", "SAME": "the same",
    "INCONCLUSIVE": "inconclusive", "NEW": "new",
}  # fmt: skip
VERSIONS: dict[ExitCode, State] = {ExitCode.OK: "good", ExitCode.CANNOT_TELL: "open"}  # of a gate; all others are bad


def judge_analysis(analysis: Analysis) -> Verdict:
    """Return the verdict on a run: of its gate, of its comparison of arms, or of its outcomes."""
    if analysis.verdicts is None:
        found = judge_run(analysis)
        if analysis.counted is not None and analysis.counted.compared:
            found = _judge_counted(analysis.counted, found)
    else:
        found = _judge_versions(analysis) if analysis.verdicts.gate.whole else judge_arms(analysis)
    notes = [f"{line}." for line in (*analysis.refused, *analysis.parties)]
    return replace(found, detail=" ".join(filter(None, [found.detail, *notes]))) if notes else found


def _judge_counted(counted: Counted, found: Verdict) -> Verdict:
    """Return the verdict on a run, with that of the comparison of its instructions."""
    counts = counted.counts
    text = ", ".join(f"{number} {words}" for name, words in COUNTED.items() if (number := counts[name]))
    state: State = "bad" if counts["MORE"] or counts["MISSING"] else "open" if counts["INCONCLUSIVE"] else "good"
    said = f"A change of {format_percents(counted.counting.delta)} of the instructions counts."
    if found.state == "bad" or (found.state == "open" and state == "good"):
        state = found.state
    text = f"Of the counted cells, {text}"
    return replace(
        found, state=state, text=text if found.state == "good" else f"{found.text}; {text}",
        detail=" ".join(filter(None, [said, found.detail])),
    )  # fmt: skip


def judge_arms(analysis: Analysis) -> Verdict:
    """Return the verdict on a comparison of arms: wrong cells, then numbers of slower, faster and unchanged cells."""
    wrong, shown = judge_run(analysis), analysis.verdicts
    assert shown is not None
    state, text, notes = _judge_cells(shown) if analysis.qualification is None else _judge_qualification(analysis)
    if wrong.state == "bad":
        state, text = "bad", f"{wrong.text}; {text}"
        notes.append(wrong.detail)
    elif wrong.state == "open" and state == "good":
        state = "open"
        notes.append(f"{wrong.text}.")
    if state == "good" and (analysis.incomplete or not shown.can_tell):
        state = "open"
    return Verdict(
        state=state, text=text, detail=" ".join([*notes, *_tell(shown)]), incomplete=analysis.incomplete,
        overdrawn=wrong.overdrawn,
    )  # fmt: skip


def _judge_versions(analysis: Analysis) -> Verdict:
    """Conclusion of a gate, in agreement with its exit code."""
    report = analysis.gate_report
    assert report is not None
    counts = ", ".join(f"{number} {name}" for name, number in report.counts.items() if number)
    notes = [
        f"{count(len(report.cells), 'cell')}: {counts}.",
        f"A change of {format_percents(report.arm_comparison.gate.delta)} counts.",
        *(f"Limit {limit}." for limit in report.idle_limits),
    ]
    state, text = VERSIONS.get(report.exit_code, "bad"), f"The gate {conclude_gate(report)}"
    if analysis.claims is not None:
        state, text = _judge_claims(analysis.claims, state, text)
    return Verdict(
        state=state, text=text,
        detail=" ".join([*notes, *_tell(report.arm_comparison)]), incomplete=analysis.incomplete, overdrawn=(),
    )  # fmt: skip


def _judge_cells(arm_comparison: ArmComparison) -> tuple[State, str, list[str]]:
    counts = arm_comparison.counts
    named = [(counts[verdict], words) for verdict, words in SAID.items() if counts[verdict]]
    if not named:
        return "open", "Nothing was compared", []
    first, *others = named
    parts = [f"{count(first[0], 'cell')} {first[1]}", *(f"{number} {words}" for number, words in others)]
    state: State = "bad" if counts["SLOWER"] or counts["MISSING"] else "open" if counts["INCONCLUSIVE"] else "good"
    return (
        state,
        ", ".join(parts),
        [
            f"A change of {format_percents(arm_comparison.gate.delta)} counts.",
            *(f"Limit {limit}." for limit in arm_comparison.idle_limits),
        ],
    )


def _judge_qualification(analysis: Analysis) -> tuple[State, str, list[str]]:
    """Verdict on a qualification: identical arms called different, and known slow-downs found."""
    found, arm_comparison = analysis.qualification, analysis.verdicts
    assert found is not None
    assert arm_comparison is not None
    alarms = f"{found.alarms} of {count(found.cells, 'identical pair')} called different"
    seen = [f"{format_percents(float(share))} in {hits} of {of}" for share, (hits, of) in found.powers.items()]
    failures = found.failures if found.powers else ()
    open_ = sum(r.judgement.verdict == "INCONCLUSIVE" and not r.new.slowdown for r in arm_comparison.rows)
    if open_:
        alarms += f", {open_} inconclusive"
    state: State = "bad" if failures else "good" if found.powers and not found.alarms else "open"
    notes = [f"Slow-downs found: {', '.join(seen)} cells."] if seen else []
    notes += [f"A change of {format_percents(arm_comparison.gate.delta)} counts."]
    if found.cells:
        notes.append(f"19 of 20 identical pairs lie within ±{format_percents(found.floor)}.")
    return state, alarms, [*notes, *(f"Not fit for a gate by this run alone: {why}." for why in failures)]


def _tell(arm_comparison: ArmComparison) -> Iterator[str]:
    """A sentence on whether the machine was quiet enough."""
    can = "can" if arm_comparison.can_tell else "cannot"
    share, most = format_percents(arm_comparison.dropped), format_percents(arm_comparison.most_dropped)
    yield f"The machine {can} tell: {share} of the blocks were left out, at most {most} may be."


def format_percents(share: float) -> str:
    """Format a share in percent with as few digits as it needs, at most three."""
    return f"{100 * share:.3g} %"
