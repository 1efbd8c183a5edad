"""Commands that read a run whose journal is damaged, or write where there is no room."""

import pytest

from harness.exit_codes import ExitCode
from tests.record.stored import OTHER, call, law, store_run, timed_run, times


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Two runs of the same cells, in the folder of runs; the journal of `second` has a flipped bit."""
    monkeypatch.chdir(tmp_path)
    cells = (law(), law(line=OTHER), times(1000.0), times(2000.0, line=OTHER))
    for name, day in (("first", 1), ("second", 2)):
        store_run(timed_run(*cells, created=f"2026-01-0{day}T00:00:00+0000"), tmp_path / "harness-runs" / name)
    journal = tmp_path / "harness-runs" / "second" / "journal.jsonl"
    data = bytearray(journal.read_bytes())
    data[data.index(b"\n") + 200] ^= 1
    journal.write_bytes(data)
    return tmp_path / "harness-runs"


def test_a_report_says_which_line_is_damaged_and_that_the_run_is_incomplete(runs, capsys):
    code, out, err = call(capsys, "report", runs / "second", "--format", "markdown", "--format", "html")
    assert code == ExitCode.INCOMPLETE, err
    assert "note: the run is incomplete (3 of 4 cells)" in out
    said = "its journal is damaged: line 2 is damaged (probably the result of cell 1: mine "
    assert f"note: {said}" in out
    folder = runs / "second" / "report"
    assert f"INCOMPLETE: 3 of 4 cells can be read; {said}" in (folder / "report.md").read_text()
    assert said in (folder / "report.html").read_text()
    assert call(capsys, "report", runs / "first", "--format", "markdown")[0] == ExitCode.OK


def test_a_comparison_says_which_line_is_damaged_and_is_no_success(runs, capsys):
    code, out, _ = call(capsys, "compare", runs / "first", runs / "second")
    assert code == ExitCode.SLOWER and "MISSING" in out
    assert "note: the new run is incomplete (3 of 4 cells); its journal is damaged: line 2 is damaged" in out
    code, out, _ = call(capsys, "compare", runs / "second", runs / "first")
    assert code == ExitCode.INCOMPLETE
    assert "note: the base run is incomplete (3 of 4 cells); its journal is damaged: line 2 is damaged" in out


def test_a_history_says_which_line_is_damaged(runs, capsys):
    code, out, err = call(capsys, "history", "--runs", runs)
    assert code == ExitCode.OK
    assert "2 times taken from its journal; its journal is damaged: line 2 is damaged" in out + err


def test_a_report_that_finds_no_room_ends_with_one_line(runs, capsys, monkeypatch):
    class Full:
        @staticmethod
        def write(analysis, folder):
            with open("/dev/full", "wb", buffering=0) as file:
                file.write(b"report")

    monkeypatch.setattr("harness.plugins.manager.Registry.reporters_for", lambda *_: (Full,))
    code, _, err = call(capsys, "report", runs / "first")
    assert code == ExitCode.SYSTEM
    assert "report folder cannot be written" in err and "(No space left on device)" in err
    assert err.count("\n") == 1
