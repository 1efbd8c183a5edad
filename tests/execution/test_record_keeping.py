"""A run on a full disk, and one whose records are changed by others, never ends as a success."""

import errno
import os
import subprocess
import sys

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.errors import ChangedError, UnwritableError
from harness.exit_codes import ExitCode
from harness.record.directory import read_run
from tests.commands import call_harness
from tests.conftest import ROOT

EDITING = str(ROOT / "tests" / "faulty" / "editing.py")
SLOW = pytest.mark.slow
FILLING = """
import os
import resource

import harness

recorded = []

@harness.hookimpl
def result_recorded(run, result):
    recorded.append(result)
    if len(recorded) == 4:  # from here on, this process can write less than a line more
        size = (run.path / "journal.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
"""


def _edit(folder, backend):
    problems = [f"conv x={images}x2x9 w=3x2x3 data=integer" for images in range(1, 7)]
    return harness.run(
        "correctness", backends=[backend], problems=problems, laws=["agrees-with-reference"], plugins=[EDITING],
        threads=1, output=folder,
    )  # fmt: skip


@pytest.mark.parametrize(
    "backend",
    ["editing:forges", *(pytest.param(f"editing:{what}", marks=SLOW) for what in ("replaces", "truncates", "hides"))],
)
def test_a_backend_that_edits_the_records_of_its_run_makes_no_success_of_it(tmp_path, backend):
    with pytest.raises(ChangedError, match=r"run is void: .*(journal\.jsonl|header\.json) changed while the run"):
        _edit(tmp_path / "run", backend)
    run = read_run(tmp_path / "run")
    assert not run.complete
    assert find_exit_code(run) != ExitCode.OK
    assert run.ending.reason.endswith("changed while the run was going on")


@pytest.mark.slow  # what the test before proves
def test_without_the_comparison_of_hashes_the_edited_run_would_be_a_success(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.record.directory.find_changed", lambda *_: [])
    run = _edit(tmp_path / "run", "editing:forges")
    assert find_exit_code(run) == ExitCode.OK


def _run_full(tmp_path, plugin):
    path = tmp_path / "filling.py"
    path.write_text(plugin)
    command = [
        sys.executable, "-m", "harness", "run", "correctness", "--plugin", str(path), "--backend", "numpy-direct",
        *(part for images in range(1, 9) for part in ("--problem", f"conv x={images}x2x9 w=3x2x3 data=integer")),
        "--law", "agrees-with-reference", "--threads", "1", "--format", "markdown", "--output", str(tmp_path / "run"),
    ]  # fmt: skip
    return subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )


def test_a_full_disk_ends_the_run_with_one_line_and_leaves_it_readable(tmp_path):
    done = _run_full(tmp_path, FILLING)
    assert done.returncode == ExitCode.SYSTEM, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert f"journal cannot be written: '{tmp_path / 'run' / 'journal.jsonl'}' (File too large)" in said
    assert "Traceback" not in done.stderr
    run = read_run(tmp_path / "run")
    assert [result.outcome for result in run.results] == ["passed"] * 4
    assert not run.torn and not run.damage and not run.complete
    report = call_harness("report", tmp_path / "run", "--format", "markdown")
    assert report.returncode == ExitCode.INCOMPLETE, report.stderr
    assert "note: the run is incomplete (4 of 8 cells)" in report.stdout


def _refuse(*arguments, **named):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "workers/numpy-direct.log")


def _small_run(folder):
    return harness.run(
        "correctness", backends=["numpy-direct"], problems=["conv x=1x2x9 w=3x2x3 data=integer"],
        laws=["agrees-with-reference"], threads=1, output=folder,
    )  # fmt: skip


def test_no_room_for_the_log_of_a_worker_ends_the_run_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.execution.worker_supervisor.Worker", _refuse)
    with pytest.raises(UnwritableError, match=r"disk is full: 'workers/numpy-direct\.log' .*No space left"):
        _small_run(tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert not run.complete and run.ending.reason == "the system refuses: No space left on device"


def test_no_room_for_the_tables_is_said_and_the_journal_has_the_results(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.analysis.tables.write_tables", _refuse)
    with pytest.raises(UnwritableError, match=r"tables cannot be written: .*the journal has all results"):
        _small_run(tmp_path / "run")
    assert read_run(tmp_path / "run").complete


def test_a_backend_is_not_called_wrong_on_a_full_disk(tmp_path, monkeypatch):
    def refuse(journal):
        raise UnwritableError("no room")

    monkeypatch.setattr("harness.record.journal.Journal.check_space", refuse)
    assert _small_run(tmp_path / "right").complete
    plugin = str(ROOT / "tests" / "faulty" / "dying.py")
    with pytest.raises(UnwritableError, match="no room"):
        harness.run(
            "correctness", backends=["dying:exits"], problems=["conv x=7x2x9 w=3x2x3"], plugins=[plugin],
            laws=["agrees-with-reference"], threads=1, output=tmp_path / "wrong",
        )  # fmt: skip
    run = read_run(tmp_path / "wrong")
    assert not run.results and run.ending.reason == "no room"
