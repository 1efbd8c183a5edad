"""Learning in the reports."""

import pytest

from harness.analysis.analyse import analyse
from harness.laws.attachments import Attachments
from harness.laws.deviation import Deviation
from reports import markdown, page
from reports.sections.learning import CURVE, LEARNT, draw_curves, find_learners
from tests.reports.made import make_run, result

LINE = "network lenet5 step n=32"
FIGURES = {"accuracy": 0.9833, "seconds": 12.5, "steps": 8.0, "last loss": 0.05}


def _learnt(backend, outcome="passed"):
    curves = {"loss": (2.0, 1.0, 0.5, 0.25), "accuracy": (0.5, 0.98)}
    found = Deviation(kind="structure", worst=0.0, compared=1, attachments=Attachments(figures=FIGURES, curves=curves))
    return result(backend, LEARNT, LINE, outcome, found, reason=None if outcome == "passed" else "got 42 % of digits")


def _traced(backend, worst, bound=1e-6):
    attachments = Attachments(curves={"got": (2.3 + 1e-7, 2.2), "wanted": (2.3, 2.2), "bound": (bound, bound)})
    found = Deviation(kind="bound", worst=worst, compared=2, attachments=attachments)
    return result(
        backend, CURVE, LINE, "passed" if worst <= 1 else "failed", found, reason=None if worst <= 1 else "off"
    )


@pytest.fixture
def run():
    return make_run(_learnt("a"), _traced("a", 0.25), _learnt("b", "failed"), _traced("b", 30.0))


def test_a_row_for_each_backend(run):
    a, b = find_learners(run)
    assert [main for main, _ in a.words] == ["98.33 %", "12 s", "8", "0.0500", "0.250 of its bound"]
    assert a.well
    assert not b.well
    assert b.words[0][1] == "failed: got 42 % of digits"


def test_several_problems_are_told_apart():
    other = result("a", LEARNT, f"{LINE} seed=1", "passed", _learnt("a").deviation)
    assert [one.backend for one in find_learners(make_run(_learnt("a"), other))] == [f"a: {LINE}", f"a: {LINE} seed=1"]


def test_curves_stand_at_their_steps(run):
    losses, _ = draw_curves(find_learners(run))
    reference, a, b = losses.spec["data"]
    assert [one["name"] for one in (reference, a, b)] == ["float64 reference, first steps", "a", "b"]
    assert (a["x"], a["y"]) == ([0.5, 2.5, 4.5, 6.5], [2.0, 1.0, 0.5, 0.25])
    assert (reference["x"], reference["y"]) == ([0.5], [2.25])  # of 2.3 and 2.2, as a point stands for two steps


def test_deviations_stand_under_their_bounds():
    other = _traced("<i>c</i>", 0.5, bound=2e-6)
    _, deviations = draw_curves(find_learners(make_run(_learnt("a"), _traced("a", 0.25), _traced("b", 0.25), other)))
    names = [one["name"] for one in deviations.spec["data"]]
    assert names == ["bound", "bound of &lt;i&gt;c&lt;/i&gt;", "a", "b", "&lt;i&gt;c&lt;/i&gt;"]
    assert deviations.spec["data"][0]["y"] == [1e-6, 1e-6]
    assert deviations.spec["data"][2]["y"] == [pytest.approx(1e-7, rel=1e-3), None]  # 0 has no place on a log axis


def test_without_learning_there_is_nothing_to_draw():
    assert draw_curves([]) == []
    assert find_learners(make_run(result("a", "tap-probe", "conv x=1x1x5 w=1x1x1", "passed", None))) == []


def test_both_reports_show_it(run, tmp_path):
    page.write(analyse(run), tmp_path)
    markdown.write(analyse(run), tmp_path)
    html, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert 'id="learning-curves"' in html
    assert 'id="learning-deviations"' in html
    for shown in (html, text):
        assert "98.33 %" in shown
        assert "got 42 % of digits" in shown
