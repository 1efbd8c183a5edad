"""Instructions counted by the whole command under valgrind, which makes all of a worker many times slower."""

import os
import tempfile
import time
from pathlib import Path

import pytest

import harness
from harness.execution.counting_stage import PREFIX
from harness.measure.instructions import kernel, valgrind
from harness.measure.instructions.counter import CountError
from harness.worker.dumps import make_folder, remove_folder
from tests.commands import call_harness
from tests.conftest import ROOT
from tests.execution.interrupted import run_killed

LINE = "conv x=4x8x24x24 w=16x8x3x3"  # large enough: a few hundred instructions more or less are not 0.5 % of a call
TWICE = """
import os
import harness
from tests.faulty.right import Right

class Twice(Right):
    name = "twice"

    def conv(self, x, w, b, window):
        for _ in range(int(os.environ.get("AGAIN", "0"))):
            super().conv(x, w, b, window)
        return super().conv(x, w, b, window)

@harness.hookimpl
def register_backends(register):
    register(Twice())
"""


def find_obstacle():
    """The reason why valgrind is not the counter here; empty if it is."""
    if kernel.find_obstacle() is None:
        return "the kernel counts here"
    try:
        valgrind.find_program()
    except CountError as error:
        return str(error)
    return ""


needs_valgrind = pytest.mark.skipif(bool(find_obstacle()), reason=find_obstacle())


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    path = tmp_path / "twice.py"
    path.write_text(TWICE)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return path


def list_folders(tmp_path):
    return list((tmp_path / "temporary").glob(f"{PREFIX}*"))


@needs_valgrind
@pytest.mark.slow
def test_arms_are_counted_compared_and_reported(plugin, tmp_path):
    done = call_harness(
        "versus", "a=twice", "b=twice", "c=twice@set:AGAIN=1", "--plugin", plugin, "--problem", LINE,
        "--metric", "instructions", "--gate", "--output", tmp_path / "run", PYTHONPATH=ROOT, HARNESS_STATE_DIR=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "counted by valgrind" in done.stdout and "a change of 0.5 % counts: 1 MORE, 1 SAME" in done.stdout
    run = harness.load(tmp_path / "run")
    assert [(r.kind, r.outcome, r.threads, r.measurement) for r in run.results] == [("count", "passed", 1, None)] * 3
    assert run.header.counting.counter == "valgrind" and run.header.counting.armed and run.header.gate is None
    assert {row.new.arm: row.verdict for row in harness.analyse(run).counted.rows} == {
        "a": None,
        "b": "SAME",
        "c": "MORE",
    }
    assert "Counted instructions" in (tmp_path / "run" / "report" / "report.html").read_text("utf-8")
    assert list_folders(tmp_path) == []


@needs_valgrind
@pytest.mark.slow
def test_nothing_is_left_of_a_killed_command_and_it_goes_on(plugin, tmp_path):
    arguments = (
        "versus", "a=twice", "b=twice", "--plugin", plugin, "--problem", LINE, "--metric", "instructions",
    )  # fmt: skip
    run_killed(2, *arguments, "--output", tmp_path / "run")
    until = time.monotonic() + 300  # on a busy machine
    while list_folders(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert list_folders(tmp_path) == []
    done = call_harness(*arguments, "--resume", tmp_path / "run", PYTHONPATH=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 SAME" in done.stdout and harness.load(tmp_path / "run").complete


def test_dumps_are_removed_when_the_run_is_gone(tmp_path):
    source, target = os.pipe()
    folder = tmp_path / "run" / "0"
    make_folder(folder, source)
    (folder / "counts.1").write_text("summary: 1")
    os.close(target)  # as the death of the run does
    until = time.monotonic() + 300
    while folder.parent.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not folder.parent.exists()
    os.close(source)


def test_the_folder_of_a_run_stays_for_its_other_workers(tmp_path):
    one, other = Path(tmp_path, "run", "0"), Path(tmp_path, "run", "1")
    for folder in (one, other):
        make_folder(folder, None)
    remove_folder(one)
    assert not one.exists() and other.exists()
    remove_folder(other)
    assert not other.parent.exists()
