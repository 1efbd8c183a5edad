"""A backend that reaches for the judge, the command, shared memory or the files of the run never ends well."""

import os
import signal
import subprocess
import sys

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.plan.cell import Limits
from harness.record.directory import read_run
from tests.conftest import ROOT

REACHING = str(ROOT / "tests" / "hostile" / "reaching.py")
LINE = "conv x=2x2x9 w=3x2x3 data=integer"
OUTCOMES = {
    "stops-the-judge": ("timeout", "no answer within the limit of 8 s a cell"),
    "interrupts-the-judge": ("crashed", "signal SIGINT"),
    "ends-the-judge": ("crashed", "signal SIGTERM"),
    "writes-to-the-judge's-descriptors": ("crashed", "what is no reply"),
    "shrinks-shared-memory": ("failed", "wanted"),
    "closes-its-arenas": ("failed", "wanted"),
    "answers-late-from-a-child": ("failed", "wanted"),
    "patches-numpy-in-c": ("failed", "wanted"),
    "limits-the-judge": ("failed", "wanted"),
}
QUICK = {"shrinks-shared-memory", "writes-to-the-judge's-descriptors"}
ENDED = {
    "interrupts-the-command": {ExitCode.INTERRUPTED},
    "ends-the-command": {ExitCode.INTERRUPTED},
    "kills-the-command": {-signal.SIGKILL},
    "limits-the-command": {ExitCode.SYSTEM},
}


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.slow] * (one not in QUICK)) for one in OUTCOMES])
def test_reaching_for_the_judge_fails(tmp_path, name):
    outcome, reason = OUTCOMES[name]
    run = harness.run(
        "correctness", backends=[f"reaching:{name}"], problems=[LINE], laws=["agrees-with-reference"],
        plugins=[REACHING], output=tmp_path / "run", limits=Limits(time_s=8.0 if outcome == "timeout" else 60.0),
        jobs=1,
    )  # fmt: skip
    assert [(one.outcome, reason in (one.reason or "")) for one in run.results] == [(outcome, True)], [
        one.reason for one in run.results
    ]
    assert find_exit_code(run) == ExitCode.WRONG


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDED)
def test_a_command_that_a_backend_ends_is_no_success(tmp_path, name):
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "correctness", "--law", "agrees-with-reference", "--plugin", REACHING,
         "--backend", f"reaching:{name}", "--problem", LINE, "--jobs", "1", "--output", str(tmp_path / "run")],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode in ENDED[name], done.stderr


def test_a_run_is_void_if_a_backend_plants_what_python_starts_with(tmp_path):
    folder = tmp_path / "searched"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "harness", "run", "correctness", "--law", "agrees-with-reference", "--plugin", REACHING,
         "--backend", "reaching:plants-what-python-starts-with", "--problem", LINE, "--jobs", "1",
         "--output", str(tmp_path / "run")],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == ExitCode.INCOMPLETE, done.stderr
    assert f"run is void: {folder / 'sitecustomize.py'}, with which Python or the harness starts" in done.stderr
    assert not read_run(tmp_path / "run").complete
