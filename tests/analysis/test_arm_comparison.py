"""Verdicts of whole runs: which cell is held against which, what a gate makes of them, and when it cannot tell."""

from dataclasses import replace

import pytest

from harness.analysis.arm_comparison import compare_to_base, dropped_share
from harness.analysis.gate_report import judge_gate
from harness.plan.claims.rows import Scope
from harness.plan.limits import Limit
from harness.record.run import NOT_OFFERED
from tests.reports.made import compare_arms, spread, time_cell

OTHER = "conv x=1x4x9 w=3x4x3"


def _gate(run, **changes):
    return replace(run.header.gate, **changes)


def _pair(base_ns, new_ns, line="conv x=1x2x9 w=3x2x3", number=0, **more):
    """Both arms of a cell; their passes wander together with other periods."""
    return (time_cell(number, "base", spread(base_ns), line, **more),
            time_cell(number + 1, "new", spread(new_ns)[::-1], line, **more))  # fmt: skip


@pytest.mark.parametrize(("new_ns", "verdict", "code"), [(1100, "SLOWER", 3), (900, "FASTER", 0), (1000, "SAME", 0)])
def test_verdicts_become_exit_codes_only_where_the_gate_is_armed(new_ns, verdict, code):
    run = compare_arms(*_pair(1000, new_ns))
    assert [row.judgement.verdict for row in compare_to_base(run).rows] == [verdict]
    assert compare_to_base(run).exit_code == 0
    assert compare_to_base(run, _gate(run, armed=True)).exit_code == code


def test_a_cell_that_only_one_arm_has_is_missing():
    base, _ = _pair(1000, 1000)
    run = compare_arms(base, replace(base, cell=1, arm="new", outcome="unsupported", measurement=None))
    arm_comparison = compare_to_base(run, _gate(run, armed=True))
    assert arm_comparison.counts["MISSING"] == 1
    assert arm_comparison.exit_code == 3


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict", "said"),
    [
        ("unsupported", "no float16", "NEW", "base: unsupported: no float16"),
        ("skipped", "too dear", "NEW", "base: skipped: too dear"),
        ("unavailable", "no device", "INCONCLUSIVE", "the base cannot run here: no device"),
        ("unavailable", "not offered there", "NEW", "base: unavailable: not offered there"),
        ("failed", "wrong", "MISSING", "base: failed: wrong"),
    ],
)
def test_a_cell_that_the_base_lacks_is_what_a_gate_calls_it(outcome, reason, verdict, said):
    reason = reason.replace("not offered there", NOT_OFFERED)
    base, new = _pair(1000, 1000, OTHER, 2)
    run = compare_arms(*_pair(1000, 1000), replace(base, outcome=outcome, reason=reason, measurement=None), new)
    armed = compare_to_base(run, _gate(run, armed=True))
    row = next(row for row in armed.rows if row.new.problem == OTHER)
    assert (row.judgement.verdict, row.judgement.reason) == (verdict, said.replace("not offered there", NOT_OFFERED))
    finding = next(c.finding for c in judge_gate(armed).cells if c.new.problem == OTHER)
    assert finding == {"MISSING": "MENDED"}.get(verdict, verdict)
    assert armed.exit_code == {"NEW": 0, "INCONCLUSIVE": 5, "MISSING": 1}[verdict]


def test_new_cells_alone_compare_nothing():
    base, new = _pair(1000, 1000)
    run = compare_arms(replace(base, outcome="unsupported", measurement=None), new)
    assert compare_to_base(run, _gate(run, armed=True)).exit_code == 5
    assert compare_to_base(run).exit_code == 0
    third = [replace(one, arm="third", cell=one.cell + 4) for one in _pair(1000, 1000)[1:]]
    families = (("base", "f"), ("new", "f"), ("third", "f"))
    known = _pair(1000, 1000, OTHER, 2)
    run = compare_arms(replace(base, outcome="unsupported", measurement=None), *third, *known, families=families)
    armed = compare_to_base(run, _gate(run, armed=True))
    assert armed.counts["SAME"] == 1 and armed.all_new == ("third",) and armed.exit_code == 5


def test_a_cell_is_judged_by_its_own_limit_and_other_values_of_limits_are_named():
    run = compare_arms(*_pair(1000, 1100), *_pair(1000, 1100, OTHER, 2))
    limits = (Limit(delta=0.2), Limit(scope=Scope(backend="", problems=(OTHER,)), delta=0.01), Limit(memory=0.1))
    armed = compare_to_base(run, _gate(run, armed=True, limits=limits))
    assert {row.new.problem: row.judgement.verdict for row in armed.rows} == {
        "conv x=1x2x9 w=3x2x3": "SAME", OTHER: "SLOWER",
    }  # fmt: skip
    assert armed.exit_code == 3
    assert armed.idle_limits == ("3. all cells: memory 0.1: memory not applied, as only `gate` judges it",)
    misspelt = replace(limits[1], scope=Scope(backend="", problems=("conv x=9*",)))
    (said,) = compare_to_base(run, _gate(run, limits=(misspelt,))).idle_limits
    assert "held for no cell" in said


@pytest.mark.parametrize("side", [0, 1])
def test_a_cell_without_a_time_that_can_be_believed_is_open_and_no_success(side):
    pair = list(_pair(1000, 1000))
    reason = "the machine cannot tell whether its times are true: it looks fast"
    pair[side] = replace(pair[side], outcome="skipped", reason=reason, measurement=None)
    run = compare_arms(*pair)
    armed = compare_to_base(run, _gate(run, armed=True))
    assert [(row.judgement.verdict, row.judgement.reason) for row in armed.rows] == [("INCONCLUSIVE", reason)]
    assert (compare_to_base(run).exit_code, armed.exit_code) == (5, 5)
    slower = compare_arms(*pair, *_pair(1000, 1100, OTHER, 2))
    assert compare_to_base(slower, _gate(slower, armed=True)).exit_code == 3


def test_what_no_arm_can_do_is_no_cell():
    base, new = _pair(1000, 1000)
    run = compare_arms(*(replace(one, outcome="unsupported", measurement=None) for one in (base, new)))
    assert compare_to_base(run).rows == ()


def test_few_passes_are_inconclusive_and_an_armed_gate_says_so():
    run = compare_arms(time_cell(0, "base", [1000] * 3), time_cell(1, "new", [1000] * 3))
    assert compare_to_base(run, _gate(run, armed=True)).exit_code == 5


def test_a_run_in_which_too_many_blocks_were_left_out_cannot_tell():
    dropped = dict.fromkeys(range(0, 26, 4), "too busy")
    run = compare_arms(*_pair(1000, 1000, dropped=dropped))
    assert dropped_share(run) == pytest.approx(7 / 26)
    arm_comparison = compare_to_base(run, _gate(run, armed=True))
    assert not arm_comparison.can_tell
    assert arm_comparison.exit_code == 5


def test_suites_share_their_errors_unless_they_are_apart():
    lines = [f"conv x={n}x2x9 w=3x2x3" for n in range(1, 61)]
    cells = [_pair(1000, 1012.5, lines[0])]
    cells += [_pair(1000, 1030, line, number=2 * n, suite="slowed") for n, line in enumerate(lines[1:], 1)]
    run = compare_arms(*(one for pair in cells for one in pair))
    together, apart = (compare_to_base(run, gate).rows for gate in (None, _gate(run, apart=True)))
    assert together[0].judgement.p_slower == apart[0].judgement.p_slower
    assert together[0].judgement.verdict == "SLOWER"  # among so many true ones
    assert {row.judgement.verdict for row in apart[1:]} == {"SLOWER"}
    crowd = [_pair(1000, 1000, line, number=2 * n) for n, line in enumerate(lines[1:], 1)]
    alone = compare_arms(*(one for pair in (*crowd, _pair(1000, 1012.5, lines[0], number=200)) for one in pair))
    assert compare_to_base(alone).rows[-1].judgement.verdict == "INCONCLUSIVE"  # among so many identical ones
    slowed = [replace(one, suite="slowed") for one in _pair(1000, 1012.5, lines[0], number=200)]
    beside = compare_arms(*(one for pair in crowd for one in pair), *slowed)
    assert compare_to_base(beside, _gate(beside, apart=True)).rows[-1].judgement.verdict == "INCONCLUSIVE"


def test_the_overall_effect_shows_what_no_cell_shows():
    pairs = [_pair(1000, 1005, f"conv x={n}x2x9 w=3x2x3", number=2 * n) for n in range(1, 9)]
    arm_comparison = compare_to_base(compare_arms(*(one for pair in pairs for one in pair)))
    assert arm_comparison.counts["SLOWER"] == 0
    assert 1.003 < arm_comparison.overall["new"].low < 1.005 < arm_comparison.overall["new"].high < 1.007
