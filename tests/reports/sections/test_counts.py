"""Counted instructions in the reports."""

import pytest

from harness.analysis.analyse import analyse
from reports import junit, markdown, page, summary
from tests.analysis.test_counted import BASE, GATE, LINE, compare, compare_counts, count_cell, times

REMARK = "valgrind knows no AVX-512: libraries that use it on this processor take another path"


@pytest.mark.parametrize("reporter", [page, markdown])
def test_a_row_for_each_cell_with_what_was_counted(reporter, tmp_path):
    (path,) = reporter.write(analyse(compare_counts(times(1.01), remark=REMARK)), tmp_path)
    text = path.read_text("utf-8")
    for said in ("Counted instructions", "MORE", "1.0100", "1,010,000", "1,000,000", "0.03 %", REMARK, LINE,
                 "a change of 0.5 % counts: 1 MORE", "with more instructions"):  # fmt: skip
        assert said in text


def test_a_long_table_says_what_it_leaves_out(tmp_path):
    lines = [f"conv x=1x2x{n} w=3x2x3" for n in range(9, 109)]
    cells = [
        count_cell(2 * n + k, arm, BASE, line) for n, line in enumerate(lines) for k, arm in ((0, "base"), (1, "new"))
    ]
    (path,) = markdown.write(analyse(compare(*cells)), tmp_path)
    assert "and 140 more cells, in counts.csv" in path.read_text("utf-8")


def test_runs_without_counts_have_no_section(tmp_path):
    from tests.reports.made import make_run, measure

    (path,) = page.write(analyse(make_run(measure("a", 20.0))), tmp_path)
    assert 'id="counts"' not in path.read_text("utf-8")


@pytest.mark.parametrize("gate", [None, GATE])
def test_more_instructions_fail_a_build(gate, tmp_path):
    (path,) = junit.write(analyse(compare_counts(times(1.01), gate=gate)), tmp_path)
    text = path.read_text("utf-8")
    assert 'failures="1"' in text and "1.0100 times the instructions of the base" in text


def test_a_summary_names_them(tmp_path):
    (path,) = summary.write(analyse(compare_counts(times(1.01), gate=GATE)), tmp_path)
    text = path.read_text("utf-8")
    assert (
        "1 MORE: more instructions by more than counts" in text and "A change of 0.5 % counts; instructions in" in text
    )
