"""Processes that a backend has started do not outlive its worker, however it ends, nor the command, nor the describer.

Each is detached: in a session of its own, with its parent gone, so that no signal to a group reaches it.
"""

import time
from contextlib import suppress

import psutil
import pytest

import harness
from harness.plan.cell import Limits
from tests.conftest import ROOT
from tests.execution.interrupted import run_killed

MARK = "HARNESS_LEFT_RUNNING"
LINES = [f"conv x={n}x2x9 w=3x2x3 data=integer" for n in range(1, 4)]
PLUGIN = f'''
import os
import subprocess
import sys
import time

sys.path.insert(0, {str(ROOT)!r})
import harness
from tests.faulty.right import Right

DETACH = "import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)"


def detach():
    subprocess.run([sys.executable, "-c", DETACH], check=True)


detach()


class Leaves(Right):
    """Leaves a process behind in every call; then it ends on two images, and hangs on three."""

    name = "leaves"

    def conv(self, x, w, b, window):
        detach()
        if len(x) == 2:
            os._exit(3)
        if len(x) == 3:
            time.sleep(600)
        return super().conv(x, w, b, window)


@harness.hookimpl
def register_backends(register):
    register(Leaves())
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.setenv(MARK, str(tmp_path))
    path = tmp_path / "leaves.py"
    path.write_text(PLUGIN)
    yield path
    for process in list_marked(tmp_path):
        process.kill()


def list_marked(folder):
    """Return the living processes that were started by a test, other than this one."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(folder):
                found.append(process)
    return found


@pytest.mark.parametrize(
    "outcomes",
    [("passed", "crashed"), pytest.param(("passed", "crashed", "timeout"), marks=pytest.mark.slow)],
    ids=["closed or ended", "closed, ended or killed"],
)
def test_nothing_is_left_of_a_worker(plugin, tmp_path, outcomes):
    run = harness.run(
        "correctness", backends=["leaves"], problems=LINES[: len(outcomes)], laws=["agrees-with-reference"],
        plugins=[str(plugin)], output=tmp_path / "run", limits=Limits(time_s=8.0), jobs=1, threads=1,
    )  # fmt: skip
    assert tuple(result.outcome for result in run.results) == outcomes
    assert list_marked(tmp_path) == []


def test_nothing_is_left_of_a_command_that_was_killed(plugin, tmp_path):
    run_killed(
        2, "run", "correctness", "--problem", LINES[0], "--backend", "leaves", "--law", "agrees-with-reference",
        "--plugin", plugin, "--output", tmp_path / "run",
    )  # fmt: skip
    until = time.monotonic() + 300  # on a busy machine
    while list_marked(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert list_marked(tmp_path) == []
