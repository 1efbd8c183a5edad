"""Coverage on the page, in Markdown and in CSV: the same counts, and missing conditions are named."""

import re

import pandas as pd
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.schemas import COVERAGE_COLUMNS, GAP_COLUMNS
from harness.plugins.manager import load_plugins
from reports.sections.coverage import coverage_words
from tests.conftest import ROOT
from tests.reports.made import compare_arms, make_run, result, time_cell

THREE = "conv x=2x8x6x6 w=16x8x3x3 pad=1"
HALF = "conv x=2x8x6x6 w=16x8x3x3 pad=1 dtype=float16"
POOL = "max_pool x=1x16x8x8 kernel=2x2 stride=2"


@pytest.fixture
def run():
    return make_run(
        result("mine", "law", THREE, "passed", None), result("mine", "law", HALF, "unsupported", None),
        result("mine", "law", POOL, "passed", None),
    )  # fmt: skip


def _write(run, name, folder):
    return {path.name: path for path in load_plugins().reporter(name).write(analyse(run), folder)}


def test_fields_have_counts_and_what_became_of_the_others(run):
    (words,) = coverage_words(analyse(run).coverage)
    fields = {name: dict(zip(words.operators, cells, strict=True)) for _, name, cells in words.rows}
    assert fields["kernel 3x3"]["conv"] == ("1", "h1")
    assert fields["float16"]["conv"] == ("not run", "law-open")
    assert fields["float16"]["max_pool"] == ("never", "law-bad")
    assert fields["bias"]["max_pool"] == ("", "")
    operator, lines, _ = words.gaps[0]
    assert operator == "conv"
    assert lines[0].startswith("never asked: with anything: C = 1; C = 3;")


def test_the_page_folds_it_and_compared_arms_have_none(run, tmp_path):
    text = _write(run, "html", tmp_path)["report.html"].read_text()
    assert '<a href="#coverage">' in text
    assert "<summary><strong>mine</strong>" in text
    arms = compare_arms(time_cell(0, "base", [1e6] * 7), time_cell(1, "new", [1e6] * 7))
    assert 'id="coverage"' not in _write(arms, "html", tmp_path)["report.html"].read_text()


def test_markdown_counts_and_names(run, tmp_path):
    text = _write(run, "markdown", tmp_path)["report.md"].read_text()
    line = next(line for line in text.splitlines() if line.startswith("| mine | conv | 1 |"))
    assert re.search(r"\| [0-9]+: C = 1; C = 3;", line)
    assert line.endswith("| 1: float16 |")


def test_csv_has_every_condition_and_every_pair_that_is_missing(run, tmp_path):
    files = _write(run, "csv", tmp_path)
    table = pd.read_csv(files["coverage.csv"]).set_index(["operator", "condition"])
    pairs = pd.read_csv(files["coverage-pairs.csv"])
    assert table.loc[("conv", "kernel 3x3"), "asked"] == 1
    assert tuple(table.loc[("conv", "float16"), ["state", "asked", "planned"]]) == ("not run", 0, 1)
    assert (
        len(pairs[pairs["operator"] == "conv"])
        == (table.loc["conv"]["pairs_possible"] - table.loc["conv"]["pairs_asked"]).sum() / 2
    )
    schema = pd.read_csv(files["schema.csv"])
    assert set(schema[schema["table"] == "coverage"]["column"]) == {column.name for column in COVERAGE_COLUMNS}


def test_columns_are_documented():
    text = (ROOT / "docs" / "reports.md").read_text()
    for column in (*COVERAGE_COLUMNS, *GAP_COLUMNS):
        assert f"| `{column.name}` | {column.dtype} | {column.unit or ''}" in text, column.name
