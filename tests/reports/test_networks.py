"""What the reports say of networks: nothing unverified, nothing absent without its reason."""

from dataclasses import replace

import pytest

import reports
from harness.checking.deviation import Deviation
from harness.checking.exhibit import Exhibit
from reports import markdown, page
from reports.networks import network_rows, network_words, portfolio_words
from tests.reports.made import make_run, result, time_cell

FORWARD, STEP, CHECK = "network made forward", "network made step", "network made step n=2 size=8"
LAYER = "conv x=1x2x9 w=3x2x3"
FIGURES = {"parameters": 1234.0, "operations": 5e5, "activation bytes": 2.0 * 2**20}


def _timed(number, backend, line, ns, parts=None, **more):
    exhibit = Exhibit(figures=FIGURES, parts=parts or {LAYER: 2})
    found = Deviation(kind="bound", worst=0.5, compared=9, exhibit=exhibit)
    return time_cell(number, backend, [ns, 1.02 * ns, 0.98 * ns], line, suite="networks-speed", deviation=found, **more)


def _law(backend, worst, law="network-equals-autograd"):
    found = Deviation(kind="norm", worst=worst, compared=9, what="norm of the error of y")
    return result(
        backend, law, CHECK, "passed" if worst <= 1 else "failed", found, reason="" if worst <= 1 else "far off"
    )


@pytest.fixture
def run():
    layer = time_cell(9, "a", [1000, 1010, 990], LAYER, suite="network-layers", label="made/first")
    other = time_cell(10, "b", [500, 505, 495], LAYER, suite="network-layers", label="made/first")
    return make_run(
        _timed(0, "a", FORWARD, 1e6), _timed(1, "a", STEP, 3e6), _timed(2, "b", FORWARD, 2e6),
        replace(_timed(3, "b", STEP, 9e6), outcome="failed", reason="first, conv: y is wrong"),
        _law("a", 0.25), _law("b", 3.0), layer, other,
    )  # fmt: skip


def test_times_errors_and_memory_stand_by_network_and_backend(run):
    a, b = network_rows(run)
    assert (a.network, a.backend, a.asked, a.broken) == ("made", "a", 1, [])
    assert a.time("step").value == pytest.approx(3e6, rel=0.01)
    assert a.worst == 0.25
    assert (a.figure("parameters"), a.memory("workspace_bytes")) == (1234.0, 64)
    assert b.broken == ["network-equals-autograd"]


def test_a_pass_that_is_not_verified_has_a_reason_instead_of_a_time(run):
    _, b = network_rows(run)
    assert b.time("step") is None
    assert b.why["step"] == "failed: first, conv: y is wrong"
    words = network_words(run)
    assert [row.well for row in words] == [True, False]
    assert words[1].cells[1] == ("", "failed: first, conv: y is wrong")


def test_checks_alone_make_rows_too():
    (row,) = network_rows(make_run(_law("a", 0.25)))
    assert (row.network, row.given, row.worst) == ("made", "", 0.25)
    assert network_rows(make_run(time_cell(0, "a", [10], LAYER))) == []


def test_other_inputs_are_rows_of_their_own(run):
    other = _timed(20, "a", "network made step N=3 n=8 dtype=float64", 5e6)
    rows = network_rows(make_run(*run.results, other))
    assert [(row.network, row.given) for row in rows if row.backend == "a"] == [
        ("made", ""), ("made N=3", "n=8 dtype=float64")
    ]  # fmt: skip


def test_the_frame_has_a_row_for_each_and_no_time_that_is_not_verified(run):
    table = reports.networks_frame(run)
    assert list(table["backend"]) == ["a", "b"]
    assert table["step_ns"].isna().tolist() == [False, True]
    assert table["step_gflops"][0] == pytest.approx(5e5 / 3e6, rel=0.01)
    assert "y is wrong" in table["reason"][1]


def test_portfolios_are_told_with_their_layers(run):
    forward, step = portfolio_words(run)
    assert forward.title == "made forward"
    assert "b alone 1.000 µs" in step.text
    assert step.layers[0][:5] == ("first conv", "×2", "b", "500 ns", "a")
    bars = step.figure.spec["data"][0]
    assert dict(zip(bars["y"], bars["x"], strict=True)) == {"a": 0.002, "b": 0.001, "best of each layer": 0.001}


def test_both_reports_show_them(run, tmp_path):
    page.write(run, tmp_path)
    markdown.write(run, tmp_path)
    html, text = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for shown in (html, text):
        assert "made step, layer by layer" in shown
        assert "1,234" in shown
        assert "broken: network-equals-autograd" in shown
    assert 'id="portfolio-0"' in html
