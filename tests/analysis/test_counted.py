"""Verdicts on counted instructions, and what follows from them."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.counted import find_ratio
from harness.analysis.gate_report import FAILING
from harness.backend.routing import Route
from harness.exit_codes import ExitCode
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plan.limits_reading import read_limits
from harness.record.counts import Counts, check_counts
from harness.record.run import CANNOT_TELL, FORMAT, ArmRecord, Ending, Header, Result, Run
from reports.ci_findings import judge_cells, judge_whole

LINE = "conv x=1x2x9 w=3x2x3"
BASE = (1_000_000, 1_000_200, 999_900)


def count_cell(number, arm, instructions, line=LINE, **more):
    """A counted cell; without instructions it has no counts."""
    counts = Counts(counter="valgrind", instructions=tuple(instructions)) if instructions else None
    return Result(**{
        "cell": number, "suite": "speed-short", "kind": "count", "arm": arm, "backend": "mine", "label": "row",
        "problem": line, "law": "", "outcome": "passed", "route": Route(kind="native"), "counts": counts, **more,
    })  # fmt: skip


def compare(*results, armed=True, gate=None, remark=None, delta=0.005):
    """A complete run that counted the instructions of two arms."""
    arms = tuple(ArmRecord(name=name, backend="mine", text=name, family="f") for name in ("base", "new"))
    header = Header(
        format=FORMAT, created="2026-01-01T00:00:00", command="harness versus", suites=("speed-short",),
        cells=len(results), arm_names=("base", "new"), environment={}, arms=arms, gate=gate,
        counting=Counting(counter="valgrind", compares=True, armed=armed, remark=remark, delta=delta),
    )  # fmt: skip
    return Run(path=Path("made"), header=header, results=results, ending=Ending(complete=True))


def compare_counts(instructions, **more):
    return compare(count_cell(0, "base", BASE), count_cell(1, "new", instructions), **more)


def times(factor, counts=BASE):
    return [round(factor * one) for one in counts]


@pytest.mark.parametrize(
    ("instructions", "verdict", "code"),
    [
        (times(1.01), "MORE", ExitCode.SLOWER),
        (times(1.0055), "MORE", ExitCode.SLOWER),
        (times(0.99), "FEWER", ExitCode.OK),
        (times(1.0), "SAME", ExitCode.OK),
        (times(1.004), "SAME", ExitCode.OK),
        (times(0.996), "SAME", ExitCode.OK),
        (times(1.005), "INCONCLUSIVE", ExitCode.CANNOT_TELL),
        ((1_000_000, 1_020_000), "INCONCLUSIVE", ExitCode.CANNOT_TELL),  # its calls differ by more than the bound
        ((), "MISSING", ExitCode.SLOWER),
    ],
)
def test_a_verdict_needs_the_whole_interval(instructions, verdict, code):
    outcome = "passed" if instructions else "unsupported"
    run = compare(count_cell(0, "base", BASE), count_cell(1, "new", instructions, outcome=outcome))
    analysis = analyse(run)
    assert [row.verdict for row in analysis.counted.compared] == [verdict]
    assert analysis.exit_code == code
    assert analyse(compare(*run.results, armed=False)).exit_code == ExitCode.OK


def test_a_cell_that_the_base_does_not_support_is_new():
    base = count_cell(0, "base", (), outcome="unsupported", reason="no float16")
    analysis = analyse(compare(base, count_cell(1, "new", BASE)))
    (row,) = analysis.counted.compared
    assert (row.verdict, row.reason) == ("NEW", "base: unsupported: no float16")
    assert analysis.exit_code == ExitCode.CANNOT_TELL  # nothing was compared


def test_the_threshold_is_that_of_the_record():
    assert analyse(compare_counts(times(1.01), delta=0.05)).counted.compared[0].verdict == "SAME"


def test_a_count_that_is_not_known_is_not_missing_and_no_success():
    untold = count_cell(1, "new", (), outcome="skipped", reason=f"{CANNOT_TELL} its instructions: shared")
    analysis = analyse(compare(count_cell(0, "base", BASE), untold))
    assert [row.verdict for row in analysis.counted.compared] == ["INCONCLUSIVE"]
    assert analysis.exit_code == ExitCode.CANNOT_TELL


def test_a_wrong_answer_comes_before_every_verdict():
    wrong = count_cell(1, "new", (), outcome="failed", reason="got 1, wanted 2")
    assert analyse(compare(count_cell(0, "base", BASE), wrong)).exit_code == ExitCode.WRONG


def test_the_interval_reaches_over_all_pairs_of_calls():
    ratio = find_ratio(
        Counts(counter="valgrind", instructions=(90, 100, 110)), Counts(counter="kernel", instructions=(99,))
    )
    assert (ratio.low, ratio.value, ratio.high) == (99 / 110, 99 / 100, 99 / 90)


def test_the_share_that_is_not_deterministic_is_the_range_of_the_calls():
    assert Counts(counter="kernel", instructions=(90, 100, 110)).spread == 0.2


@pytest.mark.parametrize("instructions", [(), (1, 0), (-1,)])
def test_no_counts_and_impossible_ones_cannot_be_read(instructions):
    with pytest.raises(ValueError, match="counts"):
        check_counts(Counts(counter="kernel", instructions=instructions))


def test_counts_are_no_times():
    analysis = analyse(compare_counts(times(1.01)))
    assert analysis.arm_comparison is None and not len(analysis.timed) and not analysis.speed
    (base, new) = analysis.frame("counts").sort_values("cell").to_dict("records")
    assert (new["verdict"], new["base"], new["instructions"], new["calls"]) == ("MORE", "base", 1_010_000, 3)
    assert base["verdict"] is None and "counts" in analysis.frames


GATE = Gate(delta=0.005, armed=True, whole=True)


@pytest.mark.parametrize(
    ("instructions", "finding", "code", "said"),
    [
        (times(1.01), "MORE", ExitCode.SLOWER, "failed: 1 MORE; mine, instructions, conv x=1x2x9 w=3x2x3: 1.010 times"),
        (times(0.99), "FEWER", ExitCode.OK, "passed: no more instructions, and not wrong"),
        (times(1.0), "SAME", ExitCode.OK, "passed: no more instructions, and not wrong"),
        (
            times(1.005),
            "INCONCLUSIVE",
            ExitCode.CANNOT_TELL,
            "cannot tell: 1 of 1 cells undecided, as the instructions",
        ),
    ],
)
def test_a_gate_fails_by_counts(instructions, finding, code, said):
    from harness.analysis.gate_conclusion import conclude_gate

    report = analyse(compare_counts(instructions, gate=GATE)).gate_report
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == code
    assert conclude_gate(report).startswith(said)
    assert report.interval == "least to most"


def test_what_can_no_longer_be_counted_is_missing_from_a_gate():
    new = count_cell(1, "new", (), outcome="unsupported", reason="no more")
    report = analyse(compare(count_cell(0, "base", BASE), new, gate=GATE)).gate_report
    assert [cell.finding for cell in report.cells] == ["MISSING"] and report.exit_code == ExitCode.SLOWER


def test_the_base_of_a_plain_run_is_nothing():
    run = compare_counts(times(1.5))
    plain = replace(run, header=replace(run.header, counting=Counting(counter="kernel")))
    counted = analyse(plain).counted
    assert counted.compared == () and len(counted.rows) == 2 and analyse(plain).exit_code == ExitCode.OK


@pytest.mark.parametrize(("limit", "words"), [({"memory": "10%", "bits": 1}, "memory"), ({"delta": "5%"}, "delta")])
def test_a_limit_that_counts_do_not_have_is_said_wherever_findings_are(limit, words):
    gate = replace(GATE, limits=read_limits("limits", [limit]))
    analysis = analyse(compare_counts(times(1.01), gate=gate))
    assert analysis.gate_report.exit_code == ExitCode.SLOWER  # 5 % is for times
    (said,) = analysis.gate_report.idle_limits
    assert said.endswith(f": {words} not applied, as instructions were counted")
    assert [one.message for one in judge_whole(analysis) if one.kind == "limit"] == [f"limit {said}"]
    plain = analyse(compare_counts(times(1.0), gate=replace(GATE, limits=read_limits("limits", [{"bits": 1}]))))
    assert "held for no cell" in plain.gate_report.idle_limits[0]


def test_services_see_more_instructions_as_a_failure_with_a_command():
    analysis = analyse(compare_counts(times(1.01), gate=GATE))
    found = [found for _, _, found in judge_cells(analysis) if found is not None and found.kind == "MORE"]
    assert [(one.level, one.message) for one in found] == [
        ("failure", "takes 1.0100 times the instructions of the base")
    ]
    assert "--metric instructions" in dict(found[0].details)["repeat"]


def test_more_instructions_fail_a_gate_of_a_machine_that_is_too_noisy_for_times():
    assert "MORE" in FAILING
    report = analyse(compare_counts(times(1.01), gate=replace(GATE, untimed="it is not qualified"))).gate_report
    assert report.exit_code == ExitCode.SLOWER
