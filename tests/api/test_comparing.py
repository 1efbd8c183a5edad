"""`harness.compare` says what `python -m harness compare` says, and refuses anything that is not a run."""

import csv
from pathlib import Path

import numpy as np
import pytest

import harness
from tests.record.stored import OTHER, call, law, store_run, timed_run, times


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda name, *cells, **more: str(store_run(timed_run(*cells, **more), tmp_path / name))


def ask_both(capsys, base, new, *threshold):
    """Compare by the function and by the command; both must agree."""
    comparison = harness.compare(base, new, *threshold)
    words = ["--threshold", str(threshold[0])] if threshold else []
    code, said, _ = call(capsys, "compare", base, new, *words, "--all", "--output", "files", "--format", "csv")
    assert code == comparison.exit_code
    with Path("files/comparison.csv").open() as file:
        rows = [(row["backend"], row["problem"], row["law"], row["verdict"]) for row in csv.DictReader(file)]
    assert rows == [(one.arm, one.problem, one.law, one.verdict) for one in comparison.changes]
    assert f"(exit code {int(comparison.exit_code)})" in said
    return comparison


@pytest.mark.parametrize(
    ("base", "new", "code"),
    [
        ((law(), times(1e6)), (law(), times(1e6)), 0),
        ((law(), times(1e6)), (law(outcome="failed"), times(1e6)), 1),
        ((times(1e6), times(1e6, line=OTHER)), (times(1.3e6),), 3),
        ((law(outcome="skipped"),), (law(outcome="skipped"),), 4),
    ],
)
def test_function_and_command_agree(store, capsys, base, new, code):
    old, later = store("base", *base), store("new", *new)
    comparison = ask_both(capsys, old, later)
    assert comparison.exit_code == code
    assert isinstance(comparison.exit_code, harness.ExitCode)
    assert harness.compare(harness.load(old), harness.load(later)).changes == comparison.changes


def test_the_threshold_counts_in_both(store, capsys):
    base, new = store("base", times(1e6)), store("new", times(1.3e6))
    assert [ask_both(capsys, base, new, share).exit_code for share in (0.1, 0.5)] == [3, 0]


@pytest.mark.parametrize("threshold", [0, -0.1, 10.5, float("nan"), "10%"])
def test_a_threshold_that_cannot_be_used_is_refused(store, threshold):
    base = store("base", times(1e6))
    with pytest.raises(harness.UsageError, match=r"threshold: got .*, wanted a relative change above 0"):
        harness.compare(base, base, threshold)


@pytest.mark.parametrize(
    ("given", "named", "words"),
    [
        ((np.ones(3), np.ones(3)), {"what": "y"}, "base: got ndarray"),
        ((np.ones(3), np.ones(3), 1e-6), {"what": "y", "kind": "bound"}, "base: got ndarray"),
        (("base", [1.0, 2.0]), {}, "new: got list"),
        (("base", "base"), {"what": "y", "kind": "exact"}, "got what, kind"),
    ],
)
def test_arrays_are_sent_to_the_other_function(store, given, named, words):
    with pytest.raises(harness.UsageError, match=rf"compare: {words}, wanted .* harness\.compare_arrays\(got, wanted"):
        harness.compare(*given, **named)
