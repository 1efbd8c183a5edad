"""Transition of a cell from its outcome in a base to that in a new version: one table for `compare` and `gate`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from harness.exit_codes import ExitCode
from harness.record.run import GAVE_UP, NO_PASS, NOT_OFFERED, OUTCOMES, WRONG, Result

State = Literal[
    "passed", "failed", "error", "crashed", "timeout", "unsupported", "unavailable", "skipped", "silent", "absent",
    "not reached", "cannot tell",
]  # fmt: skip
Word = Literal["BROKEN", "MISSING", "INCONCLUSIVE", "WRONG BEFORE", "MENDED", "NEW", "UNCHANGED"]
STATES: tuple[State, ...] = get_args(State)
WORDS: tuple[Word, ...] = get_args(Word)
BEYOND = ("MORE MEMORY", "LESS PRECISE")  # words of a gate's limits, for cells that are UNCHANGED in the table
Silent = frozenset[tuple[str, bool]]  # arm, and True for its times or False for its laws

CODE: Mapping[str, ExitCode] = {
    "BROKEN": ExitCode.WRONG,
    "MISSING": ExitCode.SLOWER,
    "MORE MEMORY": ExitCode.SLOWER,
    "LESS PRECISE": ExitCode.SLOWER,
    "INCONCLUSIVE": ExitCode.CANNOT_TELL,
    "WRONG BEFORE": ExitCode.OK,
    "MENDED": ExitCode.OK,
    "NEW": ExitCode.OK,
    "UNCHANGED": ExitCode.OK,
}

# A row for each state of the base, a column for each of the new version. "wrong" stands for the four outcomes in WRONG.
# silent: the base gave no answer for any cell: each raised, or its worker died. Nothing is known of its abilities, as a
# file or library may be missing, and an error in the new version was not seen in the base.
# not reached: the budget ended before the first pass; also stands for "cannot tell": the machine cannot tell whether
# its times are true.
_NOW = ("passed", "wrong", "unsupported", "unavailable", "skipped", "absent", "not reached")
_TABLE: dict[str, tuple[Word, ...]] = {
    "passed":      ("UNCHANGED", "BROKEN", "MISSING", "MISSING", "MISSING", "MISSING", "INCONCLUSIVE"),
    "wrong":       ("MENDED", "WRONG BEFORE", "MENDED", "UNCHANGED", "UNCHANGED", "MISSING", "INCONCLUSIVE"),
    "silent":      ("INCONCLUSIVE", "BROKEN", "UNCHANGED", "UNCHANGED", "UNCHANGED", "MISSING", "INCONCLUSIVE"),
    "unsupported": ("NEW", "BROKEN", "UNCHANGED", "UNCHANGED", "UNCHANGED", "UNCHANGED", "INCONCLUSIVE"),
    "unavailable": ("INCONCLUSIVE", "BROKEN", "UNCHANGED", "UNCHANGED", "UNCHANGED", "UNCHANGED", "INCONCLUSIVE"),
    "skipped":     ("NEW", "BROKEN", "UNCHANGED", "UNCHANGED", "UNCHANGED", "UNCHANGED", "INCONCLUSIVE"),
    "absent":      ("NEW", "BROKEN", "UNCHANGED", "UNCHANGED", "UNCHANGED", "UNCHANGED", "INCONCLUSIVE"),
    "not reached": ("INCONCLUSIVE", "BROKEN", *("INCONCLUSIVE",) * 5),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The states of a cell on both sides, the word for the transition, and its reason.

    by_time: True if the word is preliminary until the times of both sides are judged. by_count: the same for counts.
    """

    was: State
    now: State
    word: Word
    reason: str | None = None
    by_time: bool = False
    by_count: bool = False

    @property
    def baseless(self) -> bool:
        """True if the base could not run the cell although it may support it; more time cannot decide such a cell."""
        return self.was in ("unavailable", "silent")


def look_up(was: State, now: State) -> Word:
    """Look up the word for a transition; `now` is never "silent", which only a base can be."""
    row, column = ("wrong" if one in WRONG else "not reached" if one == "cannot tell" else one for one in (was, now))
    return _TABLE[row][_NOW.index(column)]


def find_transition(base: Result | None, new: Result | None, silent: Silent = frozenset()) -> Transition:
    """Judge one cell by its outcomes.

    base, new: results of both sides, None if a side has no such cell. silent: result of `find_silent` for the base.
    """
    was, now = _state_of_base(base, silent), _state_of(new)
    one = new or base
    word, kind = look_up(was, now), one.kind if one is not None and was == now == "passed" else None
    return Transition(
        was=was, now=now, word=word, reason=_explain(word, was, now, base, new),
        by_time=kind == "speed", by_count=kind == "count",
    )  # fmt: skip


def judge_one_sided(
    base: Result | None, new: Result, silent: Silent = frozenset()
) -> tuple[Literal["MISSING", "NEW", "INCONCLUSIVE"], str]:
    """Judge a cell that only one side has timed or counted, as a gate does: (verdict, reason).

    MISSING also stands for sides that are wrong, which the outcomes of a run tell. base, new, silent: as of
    `find_transition`.
    """
    found = find_transition(base, new, silent)
    if found.word == "INCONCLUSIVE":
        return "INCONCLUSIVE", found.reason or NO_PASS
    sides = (("base", base), ("new", new))
    lost = [f"{name}: {one.told if one else 'no such cell'}" for name, one in sides if not _is_measured(one)]
    return "NEW" if found.word == "NEW" else "MISSING", "; ".join(lost)


def _is_measured(result: Result | None) -> bool:
    return result is not None and (result.measurement is not None or result.counts is not None)


def find_silent(results: Iterable[Result]) -> Silent:
    """Return the arms in which a cell was wrong and none gave an answer, right or wrong: separately for laws and times.

    A version that raises in every call may lack a file as well as one that says so, whatever the exception is.
    """
    cells: dict[tuple[str, bool], list[Result]] = defaultdict(list)
    for result in results:
        cells[result.arm, _is_timed(result)].append(result)
    return frozenset(
        key
        for key, seen in cells.items()
        if any(one.outcome in WRONG for one in seen) and not any(map(is_answer, seen))
    )


def find_new(verdicts: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the arms of which every cell is NEW, so that nothing of them was compared.

    verdicts: the arm and the verdict of each cell.
    """
    words: dict[str, set[str]] = defaultdict(set)
    for arm, word in verdicts:
        words[arm].add(word)
    return tuple(arm for arm, found in words.items() if found == {"NEW"})


def describe_new(arms: Iterable[str]) -> str:
    """Return in one line that nothing was compared of some arms, and what to do."""
    return (
        f"cannot tell: all cells of {', '.join(arms)} are NEW, so that nothing was compared; name a base first that "
        "can do one of them, or other problems (--suite, --problem)"
    )


def is_answer(result: Result) -> bool:
    """Return True if the result is of an answer, right or wrong."""
    return result.outcome in ("passed", "failed")


def _is_timed(result: Result | None) -> bool:
    return result is not None and result.kind in ("speed", "count")


def _state_of(result: Result | None) -> State:
    if result is None:
        return "absent"
    assert result.outcome in OUTCOMES
    if result.untold:
        return "cannot tell"
    return "not reached" if result.unreached else result.outcome


def _state_of_base(base: Result | None, silent: Silent) -> State:
    """State of a base, separating a base that does not support the cell from one of which nothing is known."""
    if base is None or (base.outcome == "unavailable" and (base.reason or "").startswith(NOT_OFFERED)):
        return "absent"
    if base.outcome == "skipped" and (base.reason or "").endswith(GAVE_UP):
        return "unavailable"
    if base.outcome in WRONG and (base.arm, _is_timed(base)) in silent:
        return "silent"
    return _state_of(base)


def _explain(word: Word, was: State, now: State, base: Result | None, new: Result | None) -> str | None:
    """Reason for the word; None if the outcomes suffice."""
    before, after = (_describe(state, result) for state, result in ((was, base), (now, new)))
    reason = new.reason if new is not None else None
    match word:
        case "BROKEN":
            return reason if was == "passed" else f"{reason or ''}; in the base it was {before}".removeprefix("; ")
        case "WRONG BEFORE":
            return reason
        case "MISSING":
            return "the new run has no such cell" if now == "absent" else after
        case "MENDED":
            return f"offered no more: {reason or ''}" if now == "unsupported" else f"it was {before}"
        case "NEW":
            return f"it was {before}"
        case "INCONCLUSIVE" if "cannot tell" in (was, now):
            return after if now == "cannot tell" else f"in the base, {before}"
        case "INCONCLUSIVE" if was in ("unavailable", "silent"):  # also where the new version was not reached
            return f"the base cannot run here: {(base and base.reason) or ''}"
        case "INCONCLUSIVE":
            return NO_PASS
        case "UNCHANGED" if was in ("unavailable", "silent"):
            return f"the base cannot run here: {(base and base.reason) or ''}"
        case "UNCHANGED" if was in WRONG:
            return f"it was {before}; now {after}"
    return None


def _describe(state: State, result: Result | None) -> str:
    return f"{state}: {result.reason}" if result is not None and result.reason and state != "absent" else state
