"""Promises and known faults held against results: what each excuses, what breaks it, and the exit code."""

import datetime
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.claims.judge import judge_claims
from harness.analysis.claims.words import conclude_claims, describe_claims, join_rows
from harness.analysis.exit_code import find_exit_code
from harness.backend.routing import Route
from harness.plan.claims.rows import TIMED, Promise, Scope
from harness.plan.gate import Gate
from harness.record.acceptance import Acceptance
from harness.record.run import GAVE_UP, REFUSED, ArmRecord
from tests.analysis.claims.made import FAULT, HALF, LINE, NO_ROUTE, NOTHING, PROMISE, WRONG, cell, judged
from tests.reports.made import make_run


def states(run):
    report = judge_claims(run)
    return [row.state for row in (*report.promises, *report.faults)]


def kinds(run):
    return [line.kind for line in describe_claims(judge_claims(run))]


def test_a_run_without_claims_is_judged_as_ever():
    assert judge_claims(make_run(cell())) is None
    assert find_exit_code(make_run(cell("failed"))) == 1


@pytest.mark.parametrize(
    ("results", "state", "code"),
    [
        ([cell()], "kept", 0),
        ([cell(), cell("skipped", reason="r")], "kept", 0),
        ([cell(), cell("unsupported")], "broken", 1),
        ([cell(), cell("unsupported", route=Route(kind="native"), reason=f"{REFUSED}: no")], "broken", 1),
        ([cell(), cell("unsupported", route=Route(kind="native"), reason=f"{REFUSED}, another: no")], "kept", 0),
        ([cell(), cell("failed")], "broken", 1),
        ([cell(), cell("crashed", reason="r")], "broken", 1),
        ([cell(), cell("timeout", reason="r")], "broken", 1),
        ([cell(), cell("unavailable", reason="r")], "kept", 0),
        ([cell("unavailable", reason="r")], "not checked", 4),
        ([cell("skipped", reason="r")], "not checked", 4),
        ([cell(deviation=NOTHING)], "not checked", 1),  # 1: all that passed proves nothing
        ([cell(line="max_pool x=1x2x9 kernel=3")], "not asked", 4),
        ([cell(backend="other")], "not asked", 4),
        ([cell(law="")], "kept", 0),
        ([cell(route=Route(kind="derived", via="conv via conv_transpose"))], "broken", 1),
        ([cell(law="", route=Route(kind="derived", via="conv_transpose"))], "broken", 1),
        ([cell(route=Route(kind="derived", via="conv_input_grad via conv"))], "kept", 0),
        # a law that needs another operator, or asks what no backend must take, breaks no promise
        ([cell(), cell("unsupported", route=replace(NO_ROUTE, lacks="conv_input_grad"))], "kept", 0),
        ([cell(), cell("unsupported", route=replace(NO_ROUTE, lacks="conv"))], "broken", 1),
        ([cell(), cell("unsupported", route=Route(kind="native"), reason="takes no complex arrays")], "kept", 0),
    ],
)
def test_a_promise_is_kept_broken_or_open(results, state, code):
    run = judged(*results)
    assert states(run) == [state]
    assert find_exit_code(run) == analyse(run, Acceptance()).exit_code == code


def test_a_derived_operator_keeps_a_promise_that_says_so():
    run = judged(
        cell(route=Route(kind="derived", via="conv via conv_transpose")), promises=[replace(PROMISE, derived=True)]
    )
    assert states(run) == ["kept"]
    assert find_exit_code(run) == 0


def test_a_promise_of_which_no_cell_shows_anything_leaves_the_run_open_beside_one_that_is_kept():
    halves = Promise(scope=Scope(backend="mine", operators=("conv",), dtypes=("float16",)))
    run = judged(cell(), cell("skipped", HALF, reason="no memory"), promises=[PROMISE, halves])
    assert states(run) == ["kept", "not checked"]
    assert find_exit_code(run) == 4
    assert "no success" in conclude_claims(judge_claims(run))
    assert states(judged(cell(), promises=[PROMISE, halves])) == ["kept", "not asked"]
    assert find_exit_code(judged(cell(), promises=[PROMISE, halves])) == 0


def test_a_file_without_promises_is_never_a_success():
    run = judged(cell(), cell("failed", HALF), promises=(), faults=[FAULT])
    assert find_exit_code(run) == 4
    assert "the file has no [[promise]]" in conclude_claims(judge_claims(run))


def test_another_version_that_the_plan_has_not_asked_breaks_a_promise_where_no_law_ran():
    arms = (ArmRecord(name="mine@v1", backend="mine", revision="v1"),)

    def elsewhere(*results):
        run = judged(*(replace(one, arm="mine@v1") for one in results))
        return replace(run, header=replace(run.header, arms=arms))

    told = cell("unsupported", HALF, route=Route(kind="native"), reason="no float16")
    assert states(elsewhere(cell(), told)) == ["broken"]
    assert states(elsewhere(cell(), told, cell(line=HALF, law="other"))) == ["kept"]


@pytest.mark.parametrize(
    ("changes", "fault", "why"),
    [
        ({}, {}, None),
        ({"line": LINE}, {}, ""),
        ({"law": "other"}, {}, ""),
        ({"backend": "other"}, {}, ""),
        ({"outcome": "crashed", "reason": WRONG}, {}, "it knows failed, and the cell is crashed"),
        ({"reason": "y[0]: got 0, wanted 1 exactly"}, {}, "it knows another reason"),
        ({"worst": 9.0}, {"worst": 10.0}, None),
        ({"worst": 11.0}, {"worst": 10.0}, "the error is 11 times its bound, and it knows at most 10"),
        ({"worst": float("nan")}, {"worst": 10.0}, "the error is nan times its bound"),
        ({}, {"expires": datetime.date(2026, 12, 31)}, "it expired, 2026-12-31 was its last day (sign; https://"),
        ({}, {"expires": datetime.date(2027, 1, 1)}, None),
        ({"law": ""}, {"law": TIMED}, None),
    ],
)
def test_a_known_fault_excuses_that_fault_and_no_other(changes, fault, why):
    given = {"outcome": "failed", "line": HALF} | changes
    run = judged(cell(), cell(**given), faults=[replace(FAULT, **fault)])
    report = judge_claims(run)
    assert set(report.excused) == (set() if why is not None else {1})
    assert find_exit_code(run) == (0 if why is None else 1)
    if why:
        assert why in report.refused[1]
        assert "fault 1 of claims.toml does not excuse it" in report.refused[1]
    else:
        assert not report.refused


def test_a_day_that_is_unknown_excuses_nothing():
    run = judged(cell(), cell("failed", HALF), faults=[FAULT], created="")
    assert find_exit_code(run) == 1


def test_another_row_may_excuse_what_one_refuses():
    others = [replace(FAULT, diagnosis="another reason"), FAULT]
    report = judge_claims(judged(cell(), cell("failed", HALF), faults=others))
    assert set(report.excused) == {1}
    assert not report.refused


def test_an_unexpected_pass_is_said_and_fails_by_a_strict_row_alone():
    mended = judged(cell(), cell(line=HALF), faults=[FAULT])
    assert states(mended) == ["kept", "gone"]
    assert find_exit_code(mended) == 0
    (line,) = [line for line in describe_claims(judge_claims(mended)) if line.kind == "FAULT GONE"]
    assert "remove the row" in line.said and not line.fails
    strict = judged(cell(), cell(line=HALF), faults=[replace(FAULT, strict=True)])
    assert find_exit_code(strict) == 1
    assert describe_claims(judge_claims(strict))[0].fails


def test_each_line_of_a_row_may_be_gone_by_itself():
    other = HALF + " data=integer"
    listed = replace(FAULT, scope=Scope(backend="mine", problems=(HALF, other)))
    run = judged(cell(), cell("failed", HALF), cell(line=other), faults=[listed])
    assert states(run) == ["kept", "partly gone"]
    assert set(judge_claims(run).excused) == {1}
    assert states(judged(cell(), cell("failed", HALF), cell(line=other), faults=[FAULT])) == ["kept", "present"]
    assert states(judged(cell(), cell(line=HALF, deviation=NOTHING), faults=[FAULT])) == ["kept", "not checked"]


def test_a_row_that_excuses_every_cell_of_its_law_is_said_loudly():
    wide = replace(FAULT, scope=Scope(backend="mine", problems=("conv *",)))
    wrong = [cell("failed", HALF), cell("failed", LINE)]
    assert "EXCUSES ALL" in kinds(judged(cell(law="other"), *wrong, faults=[wide]))
    assert "EXCUSES ALL" not in kinds(judged(cell(law="other"), *wrong, cell(), faults=[wide]))


def test_cells_that_were_given_up_after_known_crashes_leave_the_run_open():
    crash = replace(FAULT, outcome="crashed", diagnosis="the worker died")
    rest = cell("skipped", reason=f"3 cells in a row ended the worker; {GAVE_UP}")
    run = judged(cell(), cell("crashed", HALF, reason="the worker died"), rest, faults=[crash])
    assert set(judge_claims(run).excused) == {1}
    assert find_exit_code(run) == 4
    assert "not tried, as known faults ended the worker" in conclude_claims(judge_claims(run))


def test_support_that_no_promise_covers_is_listed_for_the_backends_of_the_file():
    pool = "max_pool x=1x2x9 kernel=3"
    run = judged(cell(), cell(line=pool), cell(line=pool, backend="other"), cell(line="network lenet5 step"))
    (line,) = [line for line in describe_claims(judge_claims(run)) if line.kind == "UNCLAIMED"]
    assert (line.backend, line.problem) == ("mine", pool)
    assert line.what.startswith("max_pool; float32; channels-first; axes: 1")
    assert find_exit_code(run) == 0


def test_rows_with_one_cause_are_one_statement():
    rows = [replace(FAULT, law=name) for name in ("a", "b", "c")]
    run = judged(cell(), *(cell("failed", HALF, law=name) for name in ("a", "b", "c")), faults=rows)
    lines = join_rows(describe_claims(judge_claims(run)))
    (line,) = [line for line in lines if line.kind == "KNOWN FAULT"]
    assert line.row == "faults 1, 2, 3"
    assert line.said == "3 cells: sign; https://example.org/1; until 2027-03-31"


def gated(*pairs, faults=()):
    """A comparison of two versions: pairs of results of the base and of the new version."""
    results = [replace(one, arm=arm) for pair in pairs for one, arm in zip(pair, ("mine@v1", "mine"), strict=True)]
    run = judged(*results, faults=faults)
    arms = tuple(ArmRecord(name=name, backend="mine", family="mine") for name in ("mine@v1", "mine"))
    names = ("mine@v1", "mine")
    return replace(run, header=replace(run.header, arms=arms, arm_names=names, gate=Gate(delta=0.01, whole=True)))


def test_a_gate_accepts_known_faults_of_the_new_version_and_fails_for_broken_promises():
    right, wrong = cell(line=HALF), cell("failed", HALF)
    broken = analyse(gated((cell(), cell()), (right, wrong)), Acceptance())
    assert (broken.gate_report.exit_code, broken.exit_code) == (1, 1)
    known = analyse(gated((cell(), cell()), (right, wrong), faults=[FAULT]), Acceptance())
    assert known.exit_code == 0
    (accepted,) = [one for one in known.gate_report.cells if one.finding == "BLESSED"]
    assert "known fault 1 (sign; https://example.org/1; until 2027-03-31)" in accepted.reason
    both = analyse(gated((cell(), cell()), (wrong, wrong)), Acceptance())
    assert (both.gate_report.exit_code, both.exit_code) == (0, 1)  # wrong before, and promised
    base = analyse(gated((cell(), cell()), (wrong, right), faults=[FAULT]), Acceptance())
    assert base.exit_code == 0
    assert base.claims.faults[0].state == "gone"  # of the new version alone
