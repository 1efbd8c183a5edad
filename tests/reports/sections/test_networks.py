"""Networks in the reports: nothing unverified, nothing absent without its reason."""

from dataclasses import replace

import pandas as pd
import pytest

import reports
from harness.analysis.analyse import analyse
from harness.analysis.schemas import NETWORK_COLUMNS
from reports import csv_tables, markdown, page, parquet_tables
from reports.sections.networks import BEST, NETWORKS, network_words, portfolio_words
from tests.conftest import ROOT
from tests.reports.made import check_network, make_run, result, time_cell, time_network

FORWARD, STEP = "network made forward", "network made step"
CONV, POOL = "conv x=1x2x9 w=3x2x3", "max_pool x=1x2x8 kernel=2"
PARTS = {CONV: 2, POOL: 1}


def _layer(number, backend, ns, line, **more):
    label = "made/first" if line == CONV else "made/second"
    return time_cell(number, backend, [ns, 1.01 * ns, 0.99 * ns], line, suite="network-layers", label=label, **more)


@pytest.fixture
def run():
    forward = time_network(0, "a", FORWARD, [1e6, 1.02e6, 0.98e6], PARTS)
    wrong = replace(time_network(3, "b", STEP, [9e6] * 3, PARTS), outcome="failed", reason="first, conv: y is wrong")
    gone = result("c", "network-equals-autograd", STEP, "unavailable", None, reason="no device")
    return make_run(
        forward, time_network(1, "a", STEP, [3e6, 3.1e6, 2.9e6], PARTS), time_network(2, "b", FORWARD, [2e6], PARTS),
        wrong, check_network("a", 0.25), check_network("b", 3.0), gone,
        _layer(9, "a", 1000, CONV), _layer(10, "b", 500, CONV), _layer(11, "a", 200, POOL), _layer(12, "b", 900, POOL),
    )  # fmt: skip


def test_a_row_tells_times_rates_errors_laws_and_memory(run):
    (network,) = network_words(analyse(run).networks)
    assert (network.title, network.note, network.absent) == ("made", "1,234 parameters", ("c",))
    forward, step, ratio, error, laws, memory = network.rows[0].cells
    assert (forward[0], forward[1][-1]) == ("1.000 ms", "0.500 GFLOP/s")
    assert step[0] == "3.00 ms"
    assert ratio[0] == "3.00"
    assert error == ("0.250 of its bound", (), False)
    assert laws == ("1 of 1 passed", (), False)
    assert memory == ("2.00 MiB of activations", ("measured growth 12.0 KiB", "workspace 64.0 B"), False)


def test_what_is_wrong_is_marked_and_named(run):
    cells = network_words(analyse(run).networks)[0].rows[1].cells
    assert cells[0][1][1] == "one process"
    assert cells[1] == ("", ("failed: first, conv: y is wrong",), True)
    assert cells[2] == ("", (), False)
    assert cells[3] == ("3.00 of its bound", (), True)
    assert cells[4] == ("0 of 1 passed", ("broken: network-equals-autograd",), True)


def test_the_frame_has_a_row_for_each_and_no_time_that_is_not_verified(run, tmp_path):
    table = reports.networks_frame(run)
    assert list(table["backend"]) == ["a", "b", "c"]
    assert table["step_ns"].isna().tolist() == [False, True, True]
    assert table["step_gflops"][0] == pytest.approx(5e5 / 3e6, rel=0.01)
    assert table["step_to_forward"][0] == pytest.approx(3, rel=0.01)
    assert table["laws_passed"].tolist() == [1, 0, 0]
    assert table["reason"][1] == "step: failed: first, conv: y is wrong"
    assert "no device" in table["reason"][2]
    csv_tables.write(analyse(run), tmp_path)
    parquet_tables.write(analyse(run), tmp_path)
    assert pd.read_csv(tmp_path / "networks.csv")["backend"].tolist() == ["a", "b", "c"]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "networks.parquet"), table)


def test_the_columns_of_networks_are_documented():
    text = (ROOT / "docs" / "reports.md").read_text()
    for column in NETWORK_COLUMNS:
        assert f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |" in text, column.name


def test_runs_without_networks_have_no_such_table(tmp_path):
    run = make_run(_layer(0, "a", 1000, CONV))
    written = [*csv_tables.write(analyse(run), tmp_path), *parquet_tables.write(analyse(run), tmp_path)]
    assert not [path for path in written if path.stem == "networks"]
    page.write(analyse(run), tmp_path)
    assert 'id="networks"' not in (tmp_path / "report.html").read_text()


def test_portfolios_are_told_with_their_layers(run):
    forward, step = portfolio_words(analyse(run).portfolios)
    assert (forward.title, step.title) == ("made forward", "made step")
    assert step.text.startswith(
        "Best single backend: b, 1.90 µs; best of each layer: 1.20 µs. A portfolio is 1.58 times"
    )
    assert "not sure" not in step.text
    first, second = step.layers
    assert first[:6] == ("first conv", "×2", "b", "500 ns", "a", "2.00")
    assert (second[0], second[2], second[5], second[-1]) == ("second max_pool", "a", "4.50", POOL)
    assert "open" not in first[6]


def test_a_gain_that_is_not_sure_or_not_known_says_so(run):
    def retime(*medians_ns):
        cells = [time_cell(one.cell, one.backend, medians_ns, one.problem, label=one.label) for one in run.results[-4:]]
        return portfolio_words(analyse(make_run(*run.results[:-4], *cells)).portfolios)[0]

    assert "that it is faster at all is not sure" in retime(500.0, 501.0, 499.0).text
    once = retime(500.0)
    assert "cannot be told: too few of their passes count" in once.text
    assert once.layers[0][6] == "one pass (open)"
    alone = portfolio_words(
        analyse(make_run(*run.results[:4], _layer(9, "a", 1000, CONV), _layer(12, "b", 900, POOL))).portfolios
    )[0]
    assert "none has all layers" in alone.text
    assert "there is nothing to compare it with" in alone.text


def test_bars_are_sums_by_operator_and_slow_ones_are_cut(run):
    step = portfolio_words(analyse(run).portfolios)[1]
    conv, pool = step.figure.spec["data"]
    assert (conv["name"], pool["name"]) == ("conv", "max_pool")
    assert dict(zip(conv["y"], conv["x"], strict=True)) == {"a": 0.002, "b": 0.001, BEST: 0.001}
    assert dict(zip(pool["y"], pool["x"], strict=True)) == {"a": 0.0002, "b": 0.0009, BEST: 0.0002}
    assert not step.cut
    slow = [_layer(20, "c", 100_000, CONV), _layer(21, "c", 100_000, POOL)]
    cut = portfolio_words(analyse(make_run(*run.results, *slow)).portfolios)[1]
    assert cut.cut
    assert cut.figure.spec["layout"]["xaxis"]["range"][1] < 0.02


def test_layers_that_nobody_timed_are_listed_in_both_reports(run, tmp_path):
    untimed = make_run(*(one for one in run.results if one.problem != POOL))
    assert portfolio_words(analyse(untimed).portfolios)[1].untimed == (POOL,)
    for shown in _written(untimed, tmp_path):
        assert f"No backend has a time for {POOL}" in shown.replace("`", "").replace("<code>", "")


def test_both_reports_show_them(run, tmp_path):
    html, text = _written(run, tmp_path)
    for shown in (html, text):
        assert "made step, layer by layer" in shown
        assert "1,234 parameters" in shown
        assert "broken: network-equals-autograd" in shown
        assert "Unavailable: c" in shown
    assert 'id="portfolio-0"' in html
    assert '<a href="#failures">broken: network-equals-autograd</a>' in html


def test_markdown_gives_networks_a_share_of_its_room(run, tmp_path, monkeypatch):
    monkeypatch.setattr(markdown, "ROOM", 8000)
    lines = {f"conv x=1x2x{n} w=3x2x3": 1 for n in range(9, 40)}
    networks = [time_network(n, "a", f"network made{n} step", [1e6], lines) for n in range(4)]
    many = make_run(*networks, *(_layer(n, "a", 1000, line) for n, line in enumerate(lines, start=100)))
    markdown.write(analyse(many), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "more lines on networks than have room here" in text
    assert text.index("## Times") - text.index("## Networks") < 8000 / NETWORKS.share + 1000


def _written(run, folder):
    page.write(analyse(run), folder)
    markdown.write(analyse(run), folder)
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()
