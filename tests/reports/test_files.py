"""The files that a run's report consists of: complete, self-contained, escaped, and honest about what is missing."""

import re
from dataclasses import replace

import pandas as pd
import pytest

import harness
from harness.plugins.manager import load_plugins
from harness.timing.compare import compare_runs
from tests.conftest import DYING, FAULTY

PROBLEMS = ("conv x=1x2x9 w=3x2x3 data=integer", "conv x=2x2x9 w=3x2x3")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return harness.run(
        "correctness", "speed-short", backends=["im2col", "faulty:scaled", "dying:unavailable"], problems=PROBLEMS,
        plugins=[*FAULTY, DYING], output=tmp_path_factory.mktemp("runs") / "run",
    )  # fmt: skip


def _write(run, name, folder):
    folder.mkdir(exist_ok=True)
    return {path.name: path for path in load_plugins().reporter(name).write(run, folder)}


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
        assert PROBLEMS[0] in text
        assert "--backend faulty:scaled --law tap-probe --plugin" in text


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
    assert {"column", "dtype", "unit", "meaning"} <= set(pd.read_csv(files["schema.csv"]).columns)


def test_a_comparison_is_written_in_every_format(run, tmp_path):
    comparison = compare_runs(run, run)
    for reporter in load_plugins().reporters.values():
        assert reporter.write_comparison
        for path in reporter.write_comparison(comparison, tmp_path):
            assert path.stat().st_size > 100
