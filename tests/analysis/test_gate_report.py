"""Findings of a comparison of versions, each from the results that it stands for."""

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.gate_conclusion import conclude_gate, describe_silent
from harness.analysis.gate_report import FINDING_MEANINGS, FINDINGS
from harness.exit_codes import ExitCode
from harness.record.run import CANNOT_TELL, GAVE_UP, NO_PASS, NOT_OFFERED
from reports.ci_findings import judge_cells
from tests.reports.made import compare_arms, fail, measure, result, spread, time_cell

LAW = "agrees-with-reference"
SAME, SLOWER = spread(1000.0), spread(1050.0)


def _law(arm, outcome):
    return fail(arm) if outcome == "failed" else result(arm, LAW, "conv x=1x2x9 w=3x2x3", outcome, None)


def _judge(*results, resolve=0.0, base_broken="fail", **more):
    run = compare_arms(*(replace(one, cell=number) for number, one in enumerate(results)), **more)
    gate = replace(run.header.gate, armed=True, resolve=resolve, base_broken=base_broken)
    return analyse(replace(run, header=replace(run.header, gate=gate))).gate_report


@pytest.mark.parametrize(
    ("was", "now", "finding", "code"),
    [
        ("passed", "passed", "UNCHANGED", 0),
        ("passed", "failed", "BROKEN", 1),
        ("unsupported", "failed", "BROKEN", 1),
        ("failed", "failed", "WRONG BEFORE", 0),
        ("failed", "passed", "MENDED", 0),
        ("failed", "unsupported", "MENDED", 4),
        ("failed", "unavailable", "UNCHANGED", 4),
        ("passed", "unsupported", "MISSING", 3),
        ("passed", "unavailable", "MISSING", 3),
        ("unsupported", "passed", "NEW", 5),
        ("unsupported", "unsupported", "UNCHANGED", 4),
        ("unavailable", "passed", "INCONCLUSIVE", 4),
        ("unavailable", "unavailable", "UNCHANGED", 4),
        ("passed", "crashed", "BROKEN", 1),
    ],
)
def test_a_law_is_judged_by_both_outcomes(was, now, finding, code):
    report = _judge(_law("base", was), _law("new", now))
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == code
    beside = _judge(
        _law("base", was), _law("new", now), *(replace(_law(arm, "passed"), law="other") for arm in ("base", "new"))
    )
    assert beside.exit_code == {"BROKEN": 1, "MISSING": 3, "INCONCLUSIVE": 5}.get(finding, 0)


@pytest.mark.parametrize("death", ["crashed", "timeout"])
def test_a_crash_that_is_mended_passes_where_the_base_answers_other_cells(death):
    died = replace(_law("base", death), reason="killed by signal 11")
    other = [replace(_law(arm, "passed"), law="other") for arm in ("base", "new")]
    report = _judge(died, _law("new", "passed"), *other)
    assert [cell.finding for cell in report.cells] == ["MENDED", "UNCHANGED"]
    assert report.cells[0].reason == f"it was {death}: killed by signal 11" and report.exit_code == ExitCode.OK


@pytest.mark.parametrize("death", ["crashed", "timeout"])
def test_a_base_that_answers_nothing_is_no_base_and_more_time_is_no_advice(death):
    died = time_cell(0, "base", (), outcome=death, reason="killed by signal 11")
    report = _judge(
        died, time_cell(1, "new", SAME), replace(died, problem="conv x=1x2x8 w=3x2x3"),
        time_cell(1, "new", SAME, line="conv x=1x2x8 w=3x2x3"), _law("base", "passed"), _law("new", "passed"),
    )  # fmt: skip
    assert report.counts["INCONCLUSIVE"] == 2 and report.exit_code == ExitCode.CANNOT_TELL
    said = conclude_gate(report)
    assert "2 of 3 cells have nothing to be compared with, and more time does not help: the base cannot run" in said
    assert "killed by signal 11" in said and "--base-env" in said and "--budget" not in said


MISSING = "OSError: libkernels.so: cannot open shared object file (kernels.py:3)"


def _broken_base(*laws, time=SAME):
    """A base that misses a library in all cells, a timed cell of the new version, and laws of it, as outcomes."""
    found = [time_cell(0, "base", (), outcome="error", reason=MISSING), time_cell(1, "new", time)]
    for number, outcome in enumerate(laws):
        found += [replace(_law("base", "error"), reason=MISSING, problem=f"conv x=1x2x{9 + number} w=3x2x3")]
        found += [replace(_law("new", outcome), problem=f"conv x=1x2x{9 + number} w=3x2x3")]
    return found


@pytest.mark.parametrize(
    ("laws", "accepted", "finding", "code"),
    [
        (("passed", "passed"), "fail", "INCONCLUSIVE", 4),
        (("passed", "passed"), "ok", "MENDED", 0),
        (("passed", "unsupported"), "ok", "MENDED", 0),
        (("passed", "failed"), "fail", "BROKEN", 1),
        (("passed", "failed"), "ok", "BROKEN", 1),
        (("unsupported",), "ok", "INCONCLUSIVE", 4),
        ((), "ok", "INCONCLUSIVE", 4),
    ],
)
def test_a_broken_base_is_accepted_only_if_asked_for_and_where_laws_of_the_new_version_hold(
    laws, accepted, finding, code
):  # fmt: skip
    report = _judge(*_broken_base(*laws), base_broken=accepted)
    assert report.cells[0].finding == finding and report.exit_code == code
    if code == 4:
        assert MISSING in conclude_gate(report) and "--base-broken ok" in conclude_gate(report)
    if code == 0:
        said = conclude_gate(report)
        assert said.startswith("passed: laws of the new version hold; ") and MISSING in said
        assert f"{1 + laws.count('passed')} of {1 + len(laws)} cells compared with nothing" in said


@pytest.mark.parametrize(
    ("laws", "times", "accepted", "code", "said"),
    [
        (("unsupported", "passed"), ("unsupported", SAME), "fail", 5, "2 of 2 cells are NEW"),
        (("passed", "passed"), ("unsupported", SAME), "fail", 5, "1 of 2 cells are NEW"),
        (("unsupported", "passed"), (SAME, SAME), "fail", 5, "1 of 2 cells are NEW"),
        (("unsupported", "passed"), ("unsupported", SAME), "ok", 0, "2 of 2 cells compared with nothing"),
        ((), ("unsupported", SAME), "ok", 5, "ask a suite of laws too"),
        (("unsupported", "failed"), ("unsupported", SAME), "ok", 1, "1 BROKEN"),
        (("passed", "passed"), (SAME, SLOWER), "fail", 3, "1 SLOWER"),
    ],
)
def test_laws_or_times_that_are_all_new_were_compared_with_nothing(laws, times, accepted, code, said):
    cells = [_law(arm, outcome) for arm, outcome in zip(("base", "new"), laws, strict=False)]
    was, now = times
    idle = {"outcome": was} if isinstance(was, str) else {}
    cells += [time_cell(0, "base", () if idle else was, **idle), time_cell(1, "new", now)]
    report = _judge(*cells, base_broken=accepted)
    assert report.exit_code == code and said in conclude_gate(report), conclude_gate(report)
    if code == 5 and accepted == "fail":
        assert "--base-broken ok" in conclude_gate(report) and "it was unsupported" in conclude_gate(report)


@pytest.mark.parametrize(("accepted", "code"), [("fail", 5), ("ok", 0)])
def test_what_one_backend_answers_is_no_base_of_a_new_one(accepted, code):
    old = [time_cell(0, "base", SAME), time_cell(1, "new", SAME), _law("base", "passed"), _law("new", "passed")]
    added = [
        time_cell(0, "added@base", (), outcome="unavailable", reason=f"{NOT_OFFERED} there"),
        time_cell(1, "added", SAME), replace(_law("added@base", "unavailable"), reason=f"{NOT_OFFERED} there"),
        _law("added", "passed"),
    ]  # fmt: skip
    families = (("base", "f"), ("new", "f"), ("added@base", "g"), ("added", "g"))
    report = _judge(*old, *added, families=families, base_broken=accepted)
    assert report.counts["NEW"] == 2 and report.exit_code == code
    assert "2 of 4 cells" in conclude_gate(report) and conclude_gate(report).count("compared") == 1


def test_a_law_that_proves_nothing_vouches_for_no_version():
    vacuous = replace(measure("new", None, vacuous=10), problem="conv x=1x2x8 w=3x2x3")
    old = time_cell(0, "base", (), outcome="error", reason=MISSING)
    report = _judge(old, time_cell(1, "new", SAME), vacuous, base_broken="ok")
    assert not report.accepted_baseless


def test_a_broken_base_excuses_no_time_of_the_new_version_that_may_be_untrue():
    late = time_cell(9, "new", (), outcome="skipped", reason=f"{CANNOT_TELL} whether its times are true")
    report = _judge(*_broken_base("passed")[2:], time_cell(8, "base", (), outcome="error", reason=MISSING), late,
                    base_broken="ok")  # fmt: skip
    assert report.counts["INCONCLUSIVE"] == 1 and report.exit_code == ExitCode.CANNOT_TELL


def test_cells_that_the_base_gave_up_are_not_new():
    gave_up = time_cell(0, "base", (), outcome="skipped", reason=f"12 cells in a row ended the worker; {GAVE_UP}")
    other = "conv x=1x2x8 w=3x2x3"
    report = _judge(
        gave_up, time_cell(1, "new", SAME), time_cell(2, "base", SAME, other), time_cell(3, "new", SAME, other)
    )
    assert [cell.finding for cell in report.cells] == ["INCONCLUSIVE", "SAME"]
    assert report.exit_code == ExitCode.CANNOT_TELL and "--budget" not in conclude_gate(report)


@pytest.mark.parametrize(
    ("base", "new", "finding", "code"),
    [
        (SAME, SAME, "SAME", 0),
        (SAME, SLOWER, "SLOWER", 3),
        (SLOWER, SAME, "FASTER", 0),
        (SAME[:3], SLOWER[:3], "INCONCLUSIVE", 5),
    ],
)
def test_times_are_judged_as_the_engine_does(base, new, finding, code):
    report = _judge(time_cell(0, "base", base), time_cell(1, "new", new))
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == code
    assert report.cells[0].what == "time"
    assert report.cells[0].judgement.verdict == finding


def test_what_is_wrong_now_has_no_time_and_breaks_the_build():
    wrong = time_cell(1, "new", (), outcome="failed", reason="y is 0")
    report = _judge(time_cell(0, "base", SAME), wrong)
    assert [(cell.finding, cell.reason) for cell in report.cells] == [("BROKEN", "y is 0")]
    assert report.exit_code == 1


def test_a_cell_that_no_pass_reached_is_not_silent():
    late = [time_cell(n, arm, (), outcome="skipped", reason=NO_PASS) for n, arm in enumerate(("base", "new"))]
    report = _judge(*late, *(replace(_law(arm, "passed")) for arm in ("base", "new")))
    assert report.counts["INCONCLUSIVE"] == 1
    assert report.exit_code == 5


def test_a_cell_that_no_pass_reached_is_not_missing_where_the_base_could_not_run():
    late = time_cell(1, "new", (), outcome="skipped", reason=NO_PASS)
    report = _judge(time_cell(0, "base", (), outcome="error", reason=MISSING), late)
    assert [(cell.finding, cell.baseless) for cell in report.cells] == [("INCONCLUSIVE", True)]
    assert report.cells[0].reason == f"the base cannot run here: {MISSING}"
    assert report.exit_code == ExitCode.INCOMPLETE and MISSING in conclude_gate(report)
    assert [row.judgement.verdict for row in report.arm_comparison.rows] == ["INCONCLUSIVE"]


@pytest.mark.parametrize("was", ["passed", "failed", "unsupported", "absent"])
def test_a_timed_cell_that_no_pass_reached_is_never_missing(was):
    base = [] if was == "absent" else [time_cell(0, "base", SAME if was == "passed" else (), outcome=was)]
    report = _judge(*base, time_cell(1, "new", (), outcome="skipped", reason=NO_PASS))
    assert [(cell.finding, cell.reason) for cell in report.cells] == [("INCONCLUSIVE", NO_PASS)]


@pytest.mark.parametrize(("resolve", "code"), [(0.0, 5), (0.05, 0), (0.016, 5)])
def test_an_undecided_cell_passes_where_a_large_slow_down_is_ruled_out(resolve, code):
    report = _judge(time_cell(0, "base", SAME), time_cell(1, "new", spread(1010.0, share=0.004)), resolve=resolve)
    assert [cell.finding for cell in report.cells] == ["INCONCLUSIVE"]
    assert report.exit_code == code
    assert ("ruled out" in conclude_gate(report)) == (code == 0)


def test_a_slow_down_is_never_resolved_away():
    assert _judge(time_cell(0, "base", SAME), time_cell(1, "new", SLOWER), resolve=0.2).exit_code == 3


def test_the_worst_comes_first_and_every_finding_has_its_meaning():
    report = _judge(
        time_cell(0, "base", SAME), time_cell(1, "new", SAME), _law("base", "passed"), _law("new", "failed"),
        time_cell(4, "base", SAME, line="conv x=1x2x8 w=3x2x3"),
        time_cell(5, "new", SLOWER, line="conv x=1x2x8 w=3x2x3"),
    )  # fmt: skip
    assert [cell.finding for cell in report.cells] == ["BROKEN", "SLOWER", "SAME"]
    assert set(FINDING_MEANINGS) == set(FINDINGS)
    said = conclude_gate(report)
    assert said.startswith("failed: 1 BROKEN, 1 SLOWER; mine, agrees-with-reference, conv x=1x2x9 w=3x2x3: y[0, 2, 1]")
    assert said.endswith("; and 1 more cause")


def test_cells_that_are_missing_for_one_reason_are_one_cause_that_the_last_line_names():
    lines = [f"conv x=1x2x{size} w=3x2x3" for size in (30, 9, 20)]
    why = "only float32; got float16"
    report = _judge(*(
        replace(_law(arm, outcome), problem=line, law=law, reason=why if arm == "new" else None)
        for law in ("one", "two") for line in lines for arm, outcome in (("base", "passed"), ("new", "unsupported"))
    ))  # fmt: skip
    (cause,) = report.told
    assert (len(cause.cells), cause.laws, cause.first.new.problem) == (6, "2 laws", lines[1])
    assert conclude_gate(report) == f"failed: 6 MISSING; mine, 2 laws, {lines[1]} and 5 more: unsupported: {why}"


def test_times_are_causes_by_themselves():
    report = _judge(*(
        time_cell(0, arm, samples, line=f"conv x=1x2x{size} w=3x2x3")
        for size in (8, 9) for arm, samples in (("base", SAME), ("new", SLOWER))
    ))  # fmt: skip
    assert [len(cause.cells) for cause in report.told] == [1, 1]
    assert "times the base; and 1 more cause" in conclude_gate(report)


@pytest.mark.parametrize(("was", "said"), [("unsupported", "in either version"), ("failed", "in the new version")])
def test_what_the_new_version_supports_no_more_is_not_said_of_both(was, said):
    report = _judge(_law("base", was), _law("new", "unsupported"))
    assert report.exit_code == ExitCode.INCOMPLETE
    assert f"supports none of the 1 cells {said}" in conclude_gate(report)


def test_an_incomplete_run_passes_nothing():
    run = compare_arms(time_cell(0, "base", SAME), time_cell(1, "new", SAME))
    report = analyse(replace(run, ending=None)).gate_report
    assert report.exit_code == 4
    assert conclude_gate(report) == "failed: the run is incomplete"


def test_disturbed_blocks_are_no_missing_cell():
    busy = dict.fromkeys(range(26), "too busy")
    quiet = [time_cell(n, arm, SAME, line=f"conv x=1x2x{20 + n // 2} w=3x2x3") for n in range(2, 22)
             for arm in [("base", "new")[n % 2]]]  # fmt: skip
    report = _judge(time_cell(0, "base", SAME, dropped=busy), time_cell(1, "new", SAME, dropped=busy), *quiet)
    assert report.counts["INCONCLUSIVE"] == 1 and not report.counts["MISSING"]
    assert "blocks were disturbed" in next(c.reason for c in report.cells if c.finding == "INCONCLUSIVE")


def test_a_base_that_proves_nothing_does_not_fail_its_successor():
    vacuous = measure("base", None, vacuous=10)
    assert _judge(vacuous, replace(vacuous, arm="new")).exit_code == 0
    assert _judge(measure("base", 20.0), replace(vacuous, arm="new")).exit_code == 1
    assert _judge(vacuous, measure("new", 20.0)).exit_code == 0


def test_files_for_ci_say_what_the_exit_code_says(tmp_path):
    cases = {
        "NEW": (_law("base", "unsupported"), _law("new", "passed"), None),
        "MENDED": (_law("base", "failed"), _law("new", "passed"), None),
        "MISSING": (_law("base", "passed"), _law("new", "unsupported"), "failure"),
        "BROKEN": (_law("base", "passed"), _law("new", "failed"), "failure"),
        "WRONG BEFORE": (_law("base", "failed"), _law("new", "failed"), "idle"),
    }
    for finding, (base, new, level) in cases.items():
        report = _judge(base, new)
        run = replace(
            report.run, header=replace(report.run.header, gate=replace(report.arm_comparison.gate, whole=True))
        )
        assert [cell.finding for cell in report.cells] == [finding]
        (_, _, _), (_, _, found) = judge_cells(analyse(run))
        assert (found.level if found else None) == level, finding


def test_a_machine_that_was_too_busy_cannot_tell():
    busy = dict.fromkeys(range(20), "too busy")
    report = _judge(time_cell(0, "base", SAME, dropped=busy), time_cell(1, "new", SLOWER, dropped=busy))
    assert report.exit_code == 5
    assert "of the blocks were disturbed" in conclude_gate(report)


def test_cells_that_ran_in_neither_version_are_counted_with_their_reason():
    skipped = [
        result(arm, "other", "conv x=1x2x9 w=3x2x3", "skipped", None, reason="too large") for arm in ("base", "new")
    ]
    report = _judge(_law("base", "passed"), _law("new", "passed"), *skipped)
    assert report.counts["UNCHANGED"] == 2 and report.exit_code == 0
    assert describe_silent(report) == "run in neither version: 1 skipped (too large)"
