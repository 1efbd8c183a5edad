"""A history as files."""

import json
import re

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs

from harness.analysis.history.series import judge_history, read_history
from reports.history import MOST_FIGURES, choose_series, write_csv, write_html
from tests.analysis.history.stored import LINE, OTHER, store_run, store_steps, timed

STEP = [1000.0 * (1 + 0.004 * (n % 3 - 1)) * (1.3 if n > 6 else 1.0) for n in range(14)]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    store_steps(runs, STEP)
    store_run(runs / "b", timed(0, 2000.0, OTHER, "<b>"), day=20, revision="f" * 40, dirty=True)
    return judge_history(read_history(runs, revisions=()))


def test_every_point_and_change_is_a_row(history, tmp_path):
    points, changes = (
        pd.read_csv(path, dtype={"good": str, "bad": str, "revision": str}) for path in write_csv(history, tmp_path)
    )
    assert len(points) == 15
    last = points.iloc[-1]
    assert (last["backend"], last["problem"], last["revision"], last["run"]) == ("<b>", OTHER, "f" * 40, "b")
    assert last["dirty"]
    assert list(points["point"]) == [*range(14), 0]
    assert (points["low_ns"] <= points["median_ns"]).all()
    (change,) = changes.to_dict("records")
    assert (change["good"], change["bad"], change["point"]) == ("7" * 40, "8" * 40, 7)
    assert (change["since"], change["inside"]) == ("2026-01-08 12:00:00", False)
    assert change["ratio"] == pytest.approx(1.3, rel=0.01)


def _data(page):
    return json.loads(re.search(r'id="figures-data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_holds_every_series_with_levels_and_changes(history, tmp_path):
    (path,) = write_html(history, tmp_path)
    page = path.read_text()
    assert "1 change in 1 series" in page
    assert "1 more series are too short" in page
    data = _data(page)
    first, second = data["series"]
    assert [first["problem"], second["problem"]] == [LINE, OTHER]
    assert [level[:2] for level in first["levels"]] == [[0, 7], [7, 14]]
    assert first["levels"][1][2] == pytest.approx(0.0013, rel=0.01)
    ((earliest, at, latest, ratio, commits),) = first["shifts"]
    assert earliest < at <= latest
    assert (at, commits) == (7, "777777777..888888888")
    assert ratio == pytest.approx(1.3, rel=0.01)
    assert data["sources"][second["source"][0]] == ["fffffffff+", "2026-01-20 12:00:00", "b"]
    assert all(low <= median <= high for one in data["series"]
               for low, median, high in zip(one["low"], one["median"], one["high"], strict=True))  # fmt: skip


def test_the_page_holds_only_the_sources_that_it_shows(tmp_path):
    store_run(tmp_path / "runs" / "a", timed(0, 1000.0), day=1)
    store_run(tmp_path / "runs" / "b", timed(0, 2000.0, OTHER), day=2)
    found = judge_history(read_history(tmp_path / "runs", problem=OTHER, revisions=()))
    data = _data(write_html(found, tmp_path)[0].read_text())
    assert [source[2] for source in data["sources"]] == ["b"]
    assert data["series"][0]["source"] == [0]


def test_the_page_needs_no_network_and_names_cannot_break_it(history, tmp_path):
    page = write_html(history, tmp_path)[0].read_text()
    assert get_plotlyjs() in page
    own = page.replace(get_plotlyjs(), "")
    assert not re.search(r"https?:|//[a-z]+\.", own)
    assert "&lt;b&gt;: <code>" in own
    assert "<b>: <code>" not in own


def test_the_page_shows_so_many_figures_and_says_what_is_left(tmp_path):
    lines = [f"conv x={n + 1}x2x9 w=3x2x3" for n in range(MOST_FIGURES + 5)]
    store_run(tmp_path / "runs" / "a", *(timed(n, 1000.0, line) for n, line in enumerate(lines)))
    found = judge_history(read_history(tmp_path / "runs", revisions=()))
    page = write_html(found, tmp_path)[0].read_text()
    assert len(_data(page)["series"]) == MOST_FIGURES
    assert "5 more series have no figure" in page


def test_series_with_changes_are_shown_first(tmp_path):
    store_steps(tmp_path / "runs", [1000.0 + n % 2 for n in range(15)], backend="a-long-one")
    store_steps(tmp_path / "runs", STEP)
    found = judge_history(read_history(tmp_path / "runs", revisions=()))
    assert [one.key.backend for one in found.series] == ["a-long-one", "mine"]
    assert [one.key.backend for one in choose_series(found)] == ["mine", "a-long-one"]
