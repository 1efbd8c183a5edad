"""The files that a run's report consists of: complete, self-contained, escaped, and honest about what is missing."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest

from harness.analysis.analyse import analyse
from harness.analysis.run_comparison import compare_runs
from harness.plugins.manager import load_plugins
from tests.conftest import MIXED
from tests.reports.made import PLAIN, fail, make_run, measure, observe


@pytest.fixture(scope="module")
def run(mixed_run):
    return mixed_run


def _write(run, name, folder):
    folder.mkdir(exist_ok=True)
    return {path.name: path for path in load_plugins().reporter(name).write(analyse(run), folder)}


def test_the_page_stands_alone(run, tmp_path):
    page = _write(run, "html", tmp_path)["report.html"]
    text = page.read_text()
    assert page.stat().st_size < 6 * 2**20
    own = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", own)
    assert "cells are wrong" in own
    assert "dying:unavailable</strong> is unavailable: no such device" in " ".join(own.split())
    assert "INCOMPLETE" not in _write(run, "markdown", tmp_path)["report.md"].read_text()


def test_failures_are_told_with_law_problem_and_command(run, tmp_path):
    for name, file in (("html", "report.html"), ("markdown", "report.md")):
        text = _write(run, name, tmp_path)[file].read_text().replace("&#39;", "'")
        assert "tap-probe" in text
        assert MIXED[0] in text
        assert "--backend faulty:scaled --law agrees-with-reference --plugin" in text


def test_an_incomplete_run_says_so(run, tmp_path):
    torn = replace(run, results=run.results[:3], ending=None)
    assert "INCOMPLETE" in _write(torn, "markdown", tmp_path)["report.md"].read_text()
    assert "incomplete" in _write(torn, "html", tmp_path)["report.html"].read_text().lower()


def test_names_and_reasons_are_escaped(run, tmp_path):
    nasty = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    results = tuple(replace(one, reason=nasty) if one.outcome == "failed" else one for one in run.results)
    text = _write(replace(run, results=results), "html", tmp_path)["report.html"].read_text()
    assert nasty not in text
    assert "<img src=x" not in text
    assert "<script>alert(2)" not in text


def test_a_run_without_times_or_without_laws_gives_a_page(run, tmp_path):
    for kind in ("correctness", "speed"):
        part = replace(run, results=tuple(one for one in run.results if one.kind == kind))
        assert _write(part, "html", tmp_path)["report.html"].stat().st_size > 10_000
        assert _write(part, "markdown", tmp_path)["report.md"].stat().st_size > 500
    assert _write(replace(run, results=()), "html", tmp_path)["report.html"].exists()


def test_csv_files_hold_every_row(run, tmp_path):
    files = _write(run, "csv", tmp_path)
    assert len(pd.read_csv(files["results.csv"])) == run.header.cells
    timed = [one for one in run.results if one.measurement]
    count = sum(len(p.samples_ns) for one in timed for p in one.measurement.passes)
    assert len(pd.read_csv(files["samples.csv"])) == count
    assert pd.read_csv(files["blocks.csv"])["samples"].sum() == count
    assert {"column", "dtype", "unit", "meaning"} <= set(pd.read_csv(files["schema.csv"]).columns)


LAW = "arithmetic-is-declared"
CLASS = "inputs in float32, sums in float32"


@pytest.fixture(scope="module")
def known():
    """A run with differences, a class that is not as declared, a failure with its place, and too many empty results."""
    return make_run(
        observe("mine", "tie-rule", "first"), observe("other", "tie-rule", "the <last>", outcome="failed"),
        observe("mine", "zero-rule", "kept"), observe("other", "zero-rule", "kept"),
        observe("mine", LAW, CLASS), observe("other", LAW, "an error per norm", outcome="failed"),
        measure("mine", 23.5), measure("mine", 22.0, vacuous=10), measure("other", 12.25),
        fail(line=f"{PLAIN} data=integer", note="12 of 90 wrong, all in the last tile", ulps=32000.0),
    )  # fmt: skip


def _text(page):
    """Visible text of a page, without its marks and data, on one line."""
    bare = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", bare).replace("&lt;", "<").replace("&gt;", ">").split())


def test_the_page_shows_semantics_arithmetic_places_and_the_quota(known, tmp_path):
    page = _write(known, "html", tmp_path)["report.html"].read_text()
    shown = _text(page)
    assert "tie-rule differs formula of tie-rule first the <last>" in shown
    assert "zero-rule formula of zero-rule kept kept" in shown
    assert shown.index("tie-rule differs") < shown.index("zero-rule formula of zero-rule kept")
    assert "22.0 float32 → float32, 1 proves nothing 12.2 an error per norm, not as declared" in shown
    assert re.search(r'<td class="law-bad">the &lt;last&gt;</td>', page)
    assert "wanted 1.25 within 1e-06; worst error 3.2e+04 ulp where 12 of 90 wrong, all in the last tile" in shown
    assert shown.count("above the quota of 2 %: the run does not count as a success") == 1
    assert '<h1 class="bad">' in page
    data = json.loads(re.search(r'id="cells-data">(.*?)</script>', page, re.DOTALL)[1])
    reasons = next(column for column in data["columns"] if column["name"] == "reason")["values"]
    assert {"observed first", "observed kept"} <= set(reasons)
    assert any(reason.endswith("; worst error 3.2e+04 ulp") for reason in reasons)


def test_markdown_shows_semantics_arithmetic_places_and_the_quota(known, tmp_path):
    text = _write(known, "markdown", tmp_path)["report.md"].read_text()
    lines = text.splitlines()
    assert "| tie-rule | yes | first | **the &lt;last>** |" in lines
    assert "| zero-rule |  | kept | kept |" in lines
    row = next(line for line in lines if line.startswith("| conv | float32 |"))
    assert row.endswith(
        "| 22.0 (float32 → float32, 1 proves nothing) | **12.2 (an error per norm, not as declared)** |"
    )
    assert "  - where: 12 of 90 wrong, all in the last tile" in lines
    assert text.count("all in the last tile") == 1
    assert text.count("worst error 3.2e+04 ulp") == 1
    assert sum("above the quota of 2 %" in line for line in lines) == 1


def test_csv_files_hold_semantics_and_arithmetic_and_explain_them(known, tmp_path):
    tables = {
        name: pd.read_csv(path)
        for name, path in _write(known, "csv", tmp_path).items()
        if name not in ("samples.csv", "blocks.csv")
    }
    assert set(tables) == {
        "results.csv", "semantics.csv", "arithmetic.csv", "coverage.csv", "coverage-pairs.csv", "schema.csv",
    }  # fmt: skip
    semantics = tables["semantics.csv"].set_index("law")
    assert semantics["differs"].to_dict() == {"tie-rule": True, "zero-rule": False, LAW: True}
    assert semantics.loc["tie-rule", ["mine", "other"]].to_list() == ["first", "the <last>"]
    arithmetic = tables["arithmetic.csv"].set_index("backend")
    assert arithmetic["least_bits"].to_dict() == {"mine": 22.0, "other": 12.25}
    assert arithmetic["arithmetic"].to_dict() == {"mine": CLASS, "other": "an error per norm"}
    schema = tables["schema.csv"]
    for name in ("results", "semantics", "arithmetic", "coverage", "coverage-pairs"):
        assert schema.loc[schema["table"] == name, "column"].to_list() == tables[f"{name}.csv"].columns.to_list()
    assert schema["meaning"].notna().all()


def test_a_run_that_observed_nothing_shows_no_empty_section(run, tmp_path):
    part = replace(run, results=tuple(one for one in run.results if one.law == "tap-probe"))
    page = _write(part, "html", tmp_path)["report.html"].read_text()
    text = _write(part, "markdown", tmp_path)["report.md"].read_text()
    for title in ("Declared semantics", "Arithmetic"):
        assert title not in page
        assert title not in text


def test_a_comparison_is_written_in_every_default_format(run, tmp_path):
    comparison = compare_runs(run, run)
    for reporter in load_plugins().reporters_for(writer="write_comparison"):
        assert reporter.write_comparison
        for path in reporter.write_comparison(comparison, tmp_path):
            assert path.stat().st_size > 100
