"""The analysis of a run: computed once, what accepting changes, and what a reporter of the older form is told."""

import pytest

import harness
from harness.analysis import analyse as module
from harness.analysis.analyse import analyse
from harness.record.acceptance import Acceptance
from tests.reports.made import compare_arms, make_run, measure, spread, time_cell


@pytest.fixture
def arms():
    slow = time_cell(1, "new", spread(1500.0), label="one")
    return compare_arms(time_cell(0, "base", spread(1000.0), label="one"), slow)


def test_everything_is_computed_once(arms, monkeypatch):
    calls = []
    for name in ("compare_to_base", "judge_gate", "bug_rows", "network_rows", "run_coverage", "setting_rows"):
        made = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, made=made: (calls.append(name), made(*a))[1])
    analysis = analyse(arms)
    for _ in range(2):
        for name in ("arm_comparison", "gate_report", "verdicts", "exit_code", "bugs", "networks", "portfolios"):
            getattr(analysis, name)
        for name in ("coverage", "settings", "wrong_only_in", "results", "frames", "speed", "to_fastest"):
            getattr(analysis, name)
    assert sorted(calls) == sorted(set(calls)) and len(calls) == 6


def test_accepting_a_finding_changes_the_gate_and_nothing_else(arms):
    analysis = analyse(arms, Acceptance())
    assert [cell.finding for cell in analysis.gate_report.cells] == ["SLOWER"]
    accepted = analysis.accepting(Acceptance(accepted={1: "on purpose"}))
    assert [cell.finding for cell in accepted.gate_report.cells] == ["BLESSED"]
    assert accepted.arm_comparison is analysis.arm_comparison
    assert [cell.finding for cell in analysis.gate_report.cells] == ["SLOWER"]


def test_a_run_without_arms_has_no_comparison():
    analysis = analyse(make_run(measure("mine", 24.0)))
    assert analysis.arm_comparison is analysis.gate_report is analysis.verdicts is None
    assert analysis.exit_code == harness.ExitCode.OK and "verdicts" not in analysis.frames


@pytest.mark.parametrize("name", ["header", "counts", "complete", "peaks"])
def test_a_reporter_of_the_older_form_is_told_where_the_run_is(name):
    analysis = analyse(make_run(measure("mine", 24.0)))
    with pytest.raises(AttributeError, match=rf"a reporter takes an Analysis, .*`analysis\.run\.{name}`"):
        getattr(analysis, name)
    with pytest.raises(AttributeError, match=r"'Analysis' has no attribute 'nonsense'$"):
        analysis.nonsense  # noqa: B018


def test_an_analysis_does_not_change():
    analysis = analyse(make_run(measure("mine", 24.0)))
    with pytest.raises(AttributeError):
        analysis.run = None
