"""Errors in options are reported before a plan is made: a whole suite takes seconds to plan."""

import importlib

import pytest

from harness.api import running as api
from harness.cli.main import main
from harness.errors import UsageError
from tests.gating.twenty import SETTINGS, git

PLANNERS = (
    "harness.plan.planner", "harness.gating.versions", "harness.gating.arms", "harness.experiments.qualify",
    "harness.api.running",
)  # fmt: skip
OUTPUT = ("--output", "/proc/none/run")


@pytest.fixture
def planless(monkeypatch):
    def plan(*arguments, **options):
        raise AssertionError("a plan was made")

    modules = [importlib.import_module(name) for name in PLANNERS]  # all, before the first has another `plan_run`
    for module in modules:
        monkeypatch.setattr(module, "plan_run", plan)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Commits `old` and `new`, of which the second has a plugin; the current folder."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "old")
    git(folder, "tag", "old")
    (folder / "mine.py").write_text(
        "import harness\n\nclass Mine(harness.Backend):\n    name = 'mine'\n\n"
        "    def conv_bias_grad(self, dy):\n        return dy.sum(axis=(0, *range(2, dy.ndim)))\n\n"
        "@harness.hookimpl\ndef register_backends(register):\n    register(Mine())\n"
    )
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "new")
    git(folder, "tag", "new")
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", *OUTPUT], "output folder cannot be written: got '/proc/none/run'"),
        (["run", "--output", "."], "output folder is in use: got '.'"),
        (["run", "--lease-wait", "soon"], "got 'soon', wanted a duration"),
        (["run", "--backend", "im2col@nowhere"], "unknown revision: got 'nowhere'"),
        (["run", "--backend", "im2col@env:/nowhere"], "interpreter not found: got '/nowhere'"),
        (["versus", "im2col", "fft", *OUTPUT], "output folder cannot be written"),
        (["versus", "im2col@nowhere", "im2col"], "unknown revision: got 'nowhere'"),
        (["versus", "im2col@env:/nowhere", "im2col"], "interpreter not found: got '/nowhere'"),
        (["versus", "mine@old", "mine", "--plugin", "./mine.py"], "revision 'old' has no file 'mine.py'"),
        (["versus", "im2col", "fft", "--budget", "soon"], "got 'soon', wanted a duration"),
        (["qualify", *OUTPUT], "output folder cannot be written"),
        (["qualify", "--lease-wait", "soon"], "got 'soon', wanted a duration"),
        (["gate", "--base", "new", "--plugin", "./mine.py", *OUTPUT], "output folder cannot be written"),
        (["gate", "--base", "old", "--plugin", "./mine.py"], "revision 'old' has no file 'mine.py'"),
        (["gate", "--base-env", "/nowhere", "--plugin", "./mine.py"], "interpreter not found: got '/nowhere'"),
        (["gate", "--base", "nowhere", "--plugin", "./mine.py"], "unknown revision: got 'nowhere'"),
    ],
)
def test_it_is_one_line_before_a_plan_is_made(planless, repository, capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == (6 if "cannot be written" in message else 2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert sorted(path.name for path in repository.iterdir() if path.name != "__pycache__") == [".git", "mine.py"]


def test_python_says_it_as_soon(planless, repository):
    with pytest.raises(UsageError, match="output folder cannot be written"):
        api.run("correctness", output="/proc/none/run")
    with pytest.raises(UsageError, match="interpreter not found"):
        api.run("correctness", backends=["im2col@env:/nowhere"])


def test_what_is_right_is_planned(planless, repository):
    with pytest.raises(AssertionError, match="a plan was made"):
        api.run("correctness", output="new/folder", backends=["mine@new"], plugins=["./mine.py"])
    assert not (repository / "new").exists()
