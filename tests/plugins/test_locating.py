"""Built-in plugins are found whatever the user's own project has, and a broken one is not passed over."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import BrokenInstallationError
from harness.exit_codes import ExitCode
from harness.plugins.manager import BUILTIN, load_plugins, refuse_broken
from tests.conftest import SOURCES

PROBLEM = "conv_bias_grad x=1x2x9 w=3x2x3"
MINE = """
import sys
import harness
from backends.helper import NAME
{extra}

class Mine(harness.Backend):
    name = NAME

    def conv_bias_grad(self, dy):
        return dy.sum(axis=(0, *range(2, dy.ndim)))

@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


def run_there(folder, *arguments, start=("-m", "harness")):
    """Run the harness from sources that are not the current folder, as an installed one is."""
    environment = os.environ | {"PYTHONPATH": str(SOURCES), "COLUMNS": "300"}
    return subprocess.run(
        [sys.executable, *start, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )


@pytest.fixture
def project(tmp_path):
    """A project with folders that have the names of ours, as packages and without `__init__.py`, and a plugin."""
    for name in ("backends", "suites", "reports"):
        (tmp_path / name).mkdir()
    (tmp_path / "backends" / "__init__.py").write_text("raise SystemExit(0)")
    (tmp_path / "reports" / "__init__.py").write_text("")
    (tmp_path / "backends" / "helper.py").write_text("NAME = 'mine'")
    (tmp_path / "backends" / "fft.py").write_text("raise RuntimeError('not the one that was wanted')")
    (tmp_path / "mine.py").write_text(MINE.format(extra=""))
    return tmp_path


def test_folders_of_a_project_hide_no_built_in_plugin_and_are_importable(project):
    done = run_there(project, "plugins", "--plugin", "./mine.py")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {row[0] for row in rows if row[1:3] == ["built-in", "loaded"]} == set(BUILTIN)
    assert "backends mine" in done.stdout


@pytest.mark.parametrize(
    "start",
    [pytest.param(("-m", "harness"), marks=pytest.mark.slow), ("-P", "-m", "harness")],
    ids=["module", "script"],
)
def test_workers_find_them_too(project, start):
    done = run_there(
        project, "run", "correctness", "--plugin", "./mine.py", "--backend", "numpy-direct", "--backend", "mine",
        "--problem", PROBLEM, "--law", "agrees-with-reference", "--output", "run", start=start,
    )  # fmt: skip
    if start[0] == "-P":  # as the script `harness`: what lies in the current folder is not importable
        assert done.returncode == ExitCode.USAGE and "No module named 'backends.helper'" in done.stderr
        return
    assert done.returncode == 0, done.stderr + done.stdout
    assert {(r.arm, r.outcome) for r in harness.load(project / "run").results} == {
        ("mine", "passed"), ("numpy-direct", "passed")
    }  # fmt: skip


def test_a_package_that_a_program_has_imported_before_stays_what_it_is(project):
    (project / "backends" / "__init__.py").write_text("MINE = 1")
    program = (
        "import backends; from harness.plugins.manager import load_plugins\n"
        "rows = load_plugins().rows\n"
        "assert not [row for row in rows if row.state != 'loaded'], rows\n"
        "import backends.helper, backends.fft; assert backends.MINE == 1 and 'site' not in backends.__file__\n"
        "print(backends.fft.__file__)"
    )
    done = run_there(project, "-c", program, start=())
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == SOURCES / "backends" / "fft.py"


def test_a_broken_built_in_plugin_ends_the_command_unless_it_is_left_out(monkeypatch):
    monkeypatch.setattr("harness.plugins.manager.BUILTIN", ("backends.numpy_direct", "backends.absent"))
    with pytest.raises(BrokenInstallationError, match=r"backends.absent is broken: ModuleNotFoundError.*--no-plugin"):
        refuse_broken(load_plugins())
    refuse_broken(load_plugins((), ["backends.absent"]))


@pytest.mark.parametrize("command", [["plugins"], ["list", "operators"], ["run", "correctness", "--dry-run"]])
def test_every_command_says_so(monkeypatch, capsys, command):
    from harness.cli.main import main

    monkeypatch.setattr("harness.plugins.manager.BUILTIN", (*BUILTIN, "backends.absent"))
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == ExitCode.INTERNAL
    said = capsys.readouterr()
    assert "backends.absent" in said.out + said.err


@pytest.mark.slow
def test_a_plugin_that_loads_everywhere_but_in_its_worker_is_no_success(project):
    (project / "mine.py").write_text(
        MINE.format(extra="if 'harness.worker.host.serving' in sys.modules:\n    raise RuntimeError('not here')")
    )
    done = run_there(
        project, "run", "correctness", "--plugin", "./mine.py", "--backend", "numpy-direct", "--backend", "mine",
        "--problem", PROBLEM, "--law", "agrees-with-reference", "--output", "run",
    )  # fmt: skip
    assert done.returncode == ExitCode.INCOMPLETE, done.stdout + done.stderr
    assert "did not load in the worker" in done.stdout
