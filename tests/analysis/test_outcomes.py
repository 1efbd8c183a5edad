"""Every pair of outcomes: what the table says, and that `compare` and `gate` say the same."""

from dataclasses import replace
from itertools import product

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.outcomes import BEYOND, CODE, STATES, WORDS, find_silent, find_transition, look_up
from harness.analysis.run_comparison import compare_runs
from harness.exit_codes import ExitCode
from harness.record.run import CANNOT_TELL, GAVE_UP, NO_PASS, NOT_OFFERED, OUTCOMES, WRONG
from tests.reports.made import compare_arms, make_run, result, spread, time_cell

LAW, LINE, OTHER = "agrees-with-reference", "conv x=1x2x9 w=3x2x3", "conv x=1x2x8 w=3x2x3"
NOW = tuple(state for state in STATES if state != "silent")
PAIRS = list(product(STATES, NOW))
UNKNOWN = ("unavailable", "silent", "not reached", "cannot tell")  # of the base: it may well be able to do the cell


def _results(arm, state, silent):
    """The results by which an arm comes into a state; times are answered all the same, so that something is compared.

    silent: whether the base answers no law at all.
    """
    answered = [time_cell(0, arm, spread(1000.0), OTHER)]
    answered += [] if silent else [result(arm, "other", LINE, "passed", None)]
    if state == "absent":
        return answered
    if state == "not reached":
        return [result(arm, LAW, LINE, "skipped", None, reason=NO_PASS), *answered]
    if state == "cannot tell":
        return [result(arm, LAW, LINE, "skipped", None, reason=f"{CANNOT_TELL} whether its times are true"), *answered]
    outcome = "crashed" if state == "silent" else state
    return [result(arm, LAW, LINE, outcome, None, reason=f"why it is {outcome}"), *answered]


def _compare(was, now):
    base, new = (make_run(*_results("mine", state, was == "silent")) for state in (was, now))
    comparison = compare_runs(base, new)
    return next(c for c in comparison.changes if c.law == LAW), comparison.exit_code


def _gate(was, now):
    results = [one for arm, state in (("base", was), ("new", now)) for one in _results(arm, state, was == "silent")]
    report = analyse(compare_arms(*(replace(one, cell=number) for number, one in enumerate(results)))).gate_report
    return next(c for c in report.cells if c.new.law == LAW), report.exit_code


@pytest.mark.parametrize(("was", "now"), PAIRS)
def test_what_is_wrong_gone_or_unknown_never_passes(was, now):
    word = look_up(was, now)
    assert word in WORDS
    code = CODE[word]
    if now in WRONG:
        assert word == ("WRONG BEFORE" if was in WRONG else "BROKEN")
        assert code == (ExitCode.OK if was in WRONG else ExitCode.WRONG)
    elif was == "passed" and now != "passed":
        assert code in (ExitCode.SLOWER, ExitCode.CANNOT_TELL)
    elif was in UNKNOWN and now == "passed":
        assert code == ExitCode.CANNOT_TELL
    elif (was in WRONG or was == "silent") and now == "absent":
        assert code == ExitCode.SLOWER
    elif {"not reached", "cannot tell"} & {was, now}:
        assert code == ExitCode.CANNOT_TELL
    else:
        assert code == ExitCode.OK
    assert (word == "MENDED") == (was in WRONG and now in ("passed", "unsupported"))
    assert (word == "NEW") == (was in ("unsupported", "skipped", "absent") and now == "passed")


@pytest.mark.parametrize(("was", "now"), PAIRS)
def test_compare_and_gate_say_what_the_table_says(was, now):
    if was == now == "absent":
        return
    word = look_up(was, now)
    change, code = _compare(was, now)
    assert (change.verdict, code) == (word, CODE[word])
    if now != "absent":  # a gate asks the same cells of both versions
        cell, code = _gate(was, now)
        assert (cell.finding, code) == (word, CODE[word])
    if word in ("BROKEN", "MISSING", "INCONCLUSIVE", "MENDED", "NEW", "WRONG BEFORE"):
        assert change.reason, "a change without a reason"


def test_every_outcome_is_a_state_and_every_word_has_a_code():
    assert set(OUTCOMES) | {"silent", "absent", "not reached", "cannot tell"} == set(STATES)
    assert set(CODE) == {*WORDS, *BEYOND}


def test_what_no_plugin_offered_is_absent_and_what_was_given_up_is_unavailable():
    new = result("mine", LAW, LINE, "passed", None)
    there = result("mine", LAW, LINE, "unavailable", None, reason=f"{NOT_OFFERED} there")
    dead = result("mine", LAW, LINE, "skipped", None, reason=f"12 cells in a row ended the worker; {GAVE_UP}")
    assert find_transition(there, new).word == "NEW"
    assert find_transition(dead, new).word == "INCONCLUSIVE" and find_transition(dead, new).baseless


def test_an_arm_is_silent_for_laws_and_times_apart():
    died = result("mine", LAW, LINE, "crashed", None)
    assert find_silent([died]) == {("mine", False)}
    assert find_silent([died, time_cell(0, "mine", spread(1.0))]) == {("mine", False)}
    for outcome in ("passed", "failed"):
        assert not find_silent([died, replace(died, law="other", outcome=outcome)])
    assert find_silent([replace(died, outcome="error", reason="ValueError: version https://git-lfs")]) == {
        ("mine", False)
    }
    assert not find_silent([replace(died, outcome="unavailable")])


@pytest.mark.parametrize("error", ["OSError: libfast.so: cannot open shared object file (mine.py:3)",
                                   "ModuleNotFoundError: No module named 'fast' (mine.py:3)"])  # fmt: skip
def test_a_base_without_its_library_was_not_wrong_before(error):
    lost = [result("mine", law, LINE, "error", None, reason=error) for law in (LAW, "other")]
    silent = find_silent(lost)
    assert silent == {("mine", False)}
    wrong, right = (result("mine", LAW, LINE, outcome, None, reason="why") for outcome in ("failed", "passed"))
    broken = find_transition(lost[0], wrong, silent)
    assert (broken.word, CODE[broken.word]) == ("BROKEN", ExitCode.WRONG) and error in broken.reason
    open_ = find_transition(lost[0], right, silent)
    assert open_.word == "INCONCLUSIVE" and open_.baseless and error in open_.reason
    assert not find_silent([*lost, result("mine", "third", LINE, "passed", None)])  # one call lacks it, not the base
