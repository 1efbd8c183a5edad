"""Headline of a run in every format and in the terminal: verdict, failures, semantics and arithmetic."""

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.descriptions import describe_failure, describe_overdrawn
from harness.analysis.exit_code import find_exit_code
from harness.cli.summary import print_summary
from reports.ci_findings import judge_cell
from reports.headline import judge_run
from reports.rows import arithmetic_rows, semantics_rows
from reports.words import arithmetic_words
from tests.reports.made import PLAIN, compare_arms, fail, make_run, measure, observe, result, time_cell

LAW = "arithmetic-is-declared"


def _passed(backend, number, empty):
    return [measure(backend, 24.0, vacuous=10 if n < empty else 0) for n in range(number)]


def test_too_many_passed_results_that_prove_nothing_are_no_success():
    run = make_run(*_passed("mine", 90, 3), *_passed("other", 50, 1))
    verdict = judge_run(analyse(run))
    assert verdict.state == "bad"
    assert verdict.text == "All 140 cells that ran passed, but too many prove nothing"
    assert verdict.overdrawn == (
        "mine: 3 of 90 passed results prove nothing (3.3 %), "
        "above the quota of 2 %: the run does not count as a success",
    )
    assert find_exit_code(run) == 1


def test_a_share_within_the_quota_is_only_told():
    run = make_run(*_passed("mine", 50, 1))
    verdict = judge_run(analyse(run))
    assert (verdict.state, verdict.overdrawn) == ("good", ())
    assert "1 of those that passed prove nothing" in verdict.detail
    assert describe_overdrawn(run.overdrawn) == []
    assert find_exit_code(run) == 0


def test_a_time_that_cannot_be_believed_leaves_a_run_open_unless_something_is_worse():
    untold = result(
        "mine", "", PLAIN, "skipped", None, reason="the machine cannot tell whether its times are true: why"
    )
    right = _passed("mine", 3, 0)
    run = make_run(*right, untold)
    verdict = judge_run(analyse(run))
    assert verdict.state == "open"
    assert verdict.text == "All 3 cells that ran passed, but the machine cannot tell of 1 cell"
    assert find_exit_code(run) == 5
    assert find_exit_code(make_run(untold)) == 5
    assert find_exit_code(make_run(*right, untold, complete=False)) == 4
    assert find_exit_code(make_run(*right, untold, fail())) == 1
    assert judge_cell(run, untold, None).level == "open"
    assert find_exit_code(make_run(*right, replace(untold, reason="estimated 90 s, above the limit"))) == 0


def test_wrong_cells_and_too_many_empty_ones_are_both_told():
    verdict = judge_run(analyse(make_run(*_passed("mine", 9, 9), fail())))
    assert verdict.state == "bad"
    assert verdict.text == "1 cell is wrong, of 10 that ran"
    assert verdict.overdrawn[0].startswith("mine: 9 of 9 passed results prove nothing (100.0 %)")


@pytest.mark.parametrize(
    ("deviation", "lines"),
    [
        ({}, {"reason": "y[0, 2, 1]: got 3.5, wanted 1.25 within 1e-06"}),
        (
            {"note": "12 of 90 wrong", "ulps": 32000.0},
            {
                "reason": "y[0, 2, 1]: got 3.5, wanted 1.25 within 1e-06; worst error 3.2e+04 ulp",
                "where": "12 of 90 wrong",
            },
        ),
        (
            {"kind": "structure", "what": "not a window", "note": "last row"},
            {"reason": "not a window", "where": "last row"},
        ),
    ],
)
def test_a_failure_says_each_thing_once(deviation, lines):
    assert dict(describe_failure(fail(**deviation))) == lines


def test_a_place_inside_the_reason_is_not_told_again():
    failed = replace(fail(note="last row"), reason="wrong in the last row of y")
    assert describe_failure(failed) == [("reason", "wrong in the last row of y")]


def test_a_crash_has_its_reason_alone():
    crashed = result("mine", "rule", PLAIN, "crashed", None, reason="signal 11")
    assert describe_failure(crashed) == [("reason", "signal 11")]


def test_the_terminal_says_where_and_by_how_much_and_who_is_overdrawn(capsys):
    print_summary(analyse(make_run(*_passed("mine", 90, 3), fail(note="only [the tail]", ulps=7.25))))
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "reason y[0, 2, 1]: got 3.5, wanted 1.25 within 1e-06; worst error 7.25 ulp" in lines
    assert "where only [the tail]" in lines
    assert sum("above the quota of 2 %" in line for line in lines) == 1
    assert sum("only [the tail]" in line for line in lines) == 1


def test_laws_on_which_backends_differ_come_first():
    backends, rows = semantics_rows(*_tables(make_run(
        observe("a", "same", "kept"), observe("b", "same", "kept"), observe("a", LAW, "an error per norm"),
        observe("a", "other", "first"), observe("b", "other", "last", outcome="failed"),
    ), "semantics"))  # fmt: skip
    assert backends == ["a", "b"]
    assert [(row.law, row.differs) for row in rows] == [("other", True), ("same", False)]
    assert rows[0].cells == {"a": (("first",), False), "b": (("last",), True)}


def _words(*results):
    backends, rows = arithmetic_rows(*_tables(make_run(*results), "arithmetic"))
    cells = [[arithmetic_words(row.cells[name]) for name in backends if name in row.cells] for row in rows]
    return [(row.operator, row.dtype, *words) for row, words in zip(rows, cells, strict=True)]


def test_arithmetic_is_bits_over_class():
    seen = "inputs in 11 bits (TF32 or float16), sums in float32"
    assert _words(measure("a", 10.5), observe("a", LAW, seen)) == [
        ("conv", "float32", ("10.5", "11 bits → float32", True))
    ]
    assert _words(measure("a", 10.5), observe("a", LAW, "an error per norm", outcome="failed")) == [
        ("conv", "float32", ("10.5", "an error per norm, not as declared", False))
    ]
    assert _words(measure("a", 3.0, outcome="failed"), measure("a", 24.0, vacuous=10)) == [
        ("conv", "float32", ("3.00", "1 of 2 failed, 1 proves nothing", False))
    ]


def test_no_error_is_told_from_no_comparison_and_from_a_failure_without_bits():
    found = _words(measure("a", 24.0), measure("b", None), measure("c", None, outcome="failed"), observe("d", LAW, "x"))
    words = (("24.0", "", True), ("no error", "", True), ("failed", "1 of 1 failed", False), ("–", "x", True))
    assert found == [("conv", "float32", *words)]


def test_operators_that_never_round_have_no_row_and_the_rest_their_order():
    pool = "max_pool x=1x2x9 kernel=3"
    turned = "conv_transpose x=1x2x9 w=2x3x3"
    rows = _words(
        measure("a", None, pool),
        measure("a", 24.0, turned),
        measure("a", 11.0, f"{PLAIN} math=tf32"),
        measure("a", 23.0),
    )
    assert [row[:2] for row in rows] == [
        ("conv", "float32"),
        ("conv", "float32 math=tf32"),
        ("conv_transpose", "float32"),
    ]


def _checked(number, backend, medians_ns, **more):
    """A timed cell whose check compared something."""
    return replace(time_cell(number, backend, medians_ns, **more), deviation=measure(backend, 24.0).deviation)


DRIFTING = [1000.0, 1500.0, 3000.0]  # of the machine: both see it, so that their ratio does not


def test_a_ratio_to_the_fastest_is_taken_pass_by_pass():
    run = make_run(_checked(0, "a", DRIFTING), _checked(1, "b", [1.5 * ns for ns in DRIFTING]))
    ratios = analyse(run).to_fastest
    assert list(ratios) == [1]
    ends = (ratios[1].low, ratios[1].value, ratios[1].high)
    assert ends == (pytest.approx(1.5), pytest.approx(1.5), pytest.approx(1.5))


def test_what_took_no_turns_with_the_fastest_has_no_ratio_to_it():
    cells = (_checked(0, "a", DRIFTING), _checked(1, "b", [1.5 * ns for ns in DRIFTING]))
    apart = compare_arms(*cells, families=(("a", "one"), ("b", "two")))
    assert analyse(apart).to_fastest == {}
    old = [
        replace(
            c, measurement=replace(c.measurement, passes=tuple(replace(p, blocks=()) for p in c.measurement.passes))
        )
        for c in cells
    ]
    before = make_run(*old)
    assert analyse(before).to_fastest == {}
    once = make_run(*(_checked(n, name, [1000.0 + n]) for n, name in enumerate("ab")))
    assert analyse(once).to_fastest == {}


def _tables(run, name):
    analysis = analyse(run)
    return analysis.results, getattr(analysis, name)
