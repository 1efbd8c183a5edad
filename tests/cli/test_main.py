"""The command line, run as its user runs it."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

import harness
from harness.cli.main import main
from tests.commands import call_harness
from tests.conftest import DYING, ROOT

PROBLEM = "conv x=1x2x9 w=3x2x3 data=integer"
MINE = """
import numpy as np
import harness
from harness.problems import reference

class Mine(harness.Backend):
    name = "mine"

    def conv(self, x, w, b, window):
        return reference.conv(x, w, b, window).astype(x.dtype)

@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


def start_harness(*arguments):
    """Run a command as a process of its own; `call_harness` does the same without one."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def test_help_names_every_command_and_exit_code():
    done = start_harness("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("run", "report", "compare", "list", "plugins", "Exit codes"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "corectness"], "unknown suite: got 'corectness'"),
        (["run", "--backend", "trch"], "did you mean 'torch'?"),
        (["run", "correctness", "--law", "tap"], "unknown law: got 'tap'"),
        (["run", "--format", "pdf"], "unknown format: got 'pdf'"),
        (["run", "correctness", "--problem", "konv x=1x1x5"], "unknown operator: got 'konv'"),
        (["run", "correctness", "--problem", "conv x=1x1x5 w=1x1x9"], "effective kernel 9"),
        (["run", "correctness", "--problem", "conv x=1x1x5 w=1x1x3 stride=a"], "column 29: stride: got 'a'"),
        (["run", "--plugin", "./nowhere.py"], "plugin file not found: got './nowhere.py'"),
        (["run", "--no-plugin", "nobody"], "unknown plugin: got 'nobody'"),
        (["run", "--time-limit", "soon"], "time limit: got 'soon'"),
        (["run", "--memory-limit", "much"], "memory limit: got 'much'"),
        (["run", "--jobs", "0"], "0 is not in the range"),
        (["report", "nowhere"], "run not found: got 'nowhere'"),
        (["report", "tests"], "not a run: 'tests' has no readable header.json"),
        (["compare", "nowhere", "tests"], "run not found"),
        (["list", "things"], "'things' is not one of"),
        (["lsit"], "No such command 'lsit'"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(arguments, words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    _assert_one_error(capsys.readouterr().err, words)


def test_a_process_ends_as_its_command_does():
    done = start_harness("run", "corectness")
    assert done.returncode == 2, done.stderr
    _assert_one_error(done.stderr, "unknown suite: got 'corectness'")


def _assert_one_error(said, words):
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_plugin_of_ones_own_is_run_and_reported(mine, tmp_path):
    done = call_harness(
        "run", "suite", "--plugin", str(mine), "--backend", "mine", "--problem", PROBLEM,
        "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mine" in done.stdout
    assert f"report: {tmp_path}/run/report/report.html" in done.stdout
    run = harness.load(tmp_path / "run")
    assert {r.law: r.reason for r in run.results if r.outcome != "passed"} == {
        "complex-linearity": "mine takes no complex arrays"
    }
    assert run.counts["passed"] > 30
    assert {result.route.kind for result in run.results} == {"native", "derived"}


def test_a_mistake_is_failed_with_the_law_and_a_command_that_repeats_it(mine, tmp_path):
    mine.write_text(MINE.replace("reference.conv(x, w,", "reference.conv(x, w[..., ::-1],"))
    done = call_harness(
        "run", "correctness", "--plugin", str(mine), "--backend", "mine", "--problem", PROBLEM, "--law", "tap-probe",
        "--law", "impulse-response", "--threads", 1, "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 1
    assert len(harness.load(tmp_path / "run").results) == 2
    assert "failed  mine  tap-probe" in done.stdout
    assert f"--problem '{PROBLEM}' --backend mine --law tap-probe --threads 1 --plugin {mine}" in done.stdout
    repeat = next(line for line in done.stdout.splitlines() if "--law tap-probe" in line).split("harness ", 1)[1]
    assert call_harness(*shlex.split(repeat), "--output", tmp_path / "again").returncode == 1
    assert [result.law for result in harness.load(tmp_path / "again").results] == ["tap-probe"]


def test_a_broken_plugin_is_shown_by_plugins_and_is_an_error_where_it_was_named(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("raise ValueError('oh <no>')")
    shown = call_harness("plugins", "--plugin", str(path))
    assert shown.returncode == 0
    assert "ValueError: oh <no>" in " ".join(shown.stdout.split())
    done = call_harness(
        "run", "correctness", "--plugin", str(path), "--backend", "numpy-direct", "--problem", PROBLEM,
        "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 2
    assert f"error: plugin {path} is broken: ValueError: oh <no>" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        pytest.param("backends", ["numpy-direct", "available", "cupy-fft", "unavailable"], marks=pytest.mark.slow),
        pytest.param("suites", ["correctness", "speed-short", "suite"], marks=pytest.mark.slow),
        ("problems", ["lenet5", "resnet50", "sweep-kernel"]),
        ("operators", ["conv_weight_grad", "indices", "derived"]),
        ("laws", ["wide-convolution-commutes", "x ⊛_wide w = w ⊛_wide x"]),
    ],
)
def test_list(kind, words):
    done = call_harness("list", kind)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words)


def test_a_problem_set_is_listed_by_its_lines():
    done = call_harness("list", "problems", "--set", "lenet5")
    assert "conv x=1x1x32x32 w=6x1x5x5" in done.stdout


@pytest.mark.slow
def test_a_dry_run_of_the_whole_suite_prints_the_plan_and_runs_nothing(tmp_path):
    done = call_harness("run", "suite", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "speed-short" in done.stdout
    assert "fft has no max_pool" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_the_plan_and_runs_nothing(tmp_path):
    done = call_harness("run", "suite", "--dry-run", "--problem", "max_pool x=1x2x9 kernel=3", cwd=tmp_path)
    assert done.returncode == 0
    assert "speed-short" in done.stdout
    assert "fft has no max_pool" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_a_readable_incomplete_run(tmp_path, number):
    folder = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "correctness", "--plugin", DYING, "--backend", "dying:hangs",
         "--problem", "conv x=2x2x9 w=3x2x3", "--problem", "conv x=7x2x9 w=3x2x3",
         "--law", "agrees-with-reference", "--threads", "1", "--output", str(folder)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and "result" not in _text(folder / "journal.jsonl"):
        time.sleep(0.05)
    child.send_signal(number)
    out, err = child.communicate(timeout=600)
    assert child.returncode == 130, err
    assert "INCOMPLETE: interrupted after 1 of 2 cells" in out
    assert "Traceback" not in err
    run = harness.load(folder)
    assert not run.complete
    assert [result.outcome for result in run.results] == ["passed"]
    report = call_harness("report", str(folder))
    assert "note: the run is incomplete (1 of 2 cells)" in report.stdout
    assert "INCOMPLETE" in (folder / "report" / "report.md").read_text()


def _text(path):
    return path.read_text() if path.exists() else ""


@pytest.mark.slow
def test_compare_tells_what_broke(mine, tmp_path):
    arguments = ("run", "correctness", "--plugin", str(mine), "--backend", "mine", "--problem", PROBLEM, "--output")
    assert call_harness(*arguments, str(tmp_path / "base")).returncode == 0
    mine.write_text(MINE.replace("reference.conv(x, w,", "reference.conv(x, w[..., ::-1],"))
    assert call_harness(*arguments, str(tmp_path / "new")).returncode == 1
    done = call_harness("compare", str(tmp_path / "base"), str(tmp_path / "new"), "--output", str(tmp_path / "files"))
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
    assert {path.suffix for path in (tmp_path / "files").iterdir()} >= {".csv", ".md", ".html"}
    assert call_harness("compare", str(tmp_path / "base"), str(tmp_path / "base")).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "speed-short", "--law", "tap-probe"], "laws belong to suites of correctness"),
        (["run", "correctness", "--law", "tap-probe", "--problem", "conv x=1x2x9 w=3x2x3"], "need data=integer"),
        (["list", "laws", "--set", "lenet5"], "--set belongs to `list problems`"),
        (["run", "--plugin", "./mine.txt"], "wanted a module such as my_package.plugin"),
    ],
)
def test_options_that_would_do_nothing_are_errors(arguments, words):
    done = call_harness(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_broken_plugin_is_told_and_not_the_error_that_follows_from_it(mine):
    mine.write_text("import harness\ndef broken(:\n")
    done = call_harness("run", "correctness", "--plugin", str(mine), "--backend", "mine")
    assert done.returncode == 2
    assert "is broken: SyntaxError" in done.stderr
    assert "unknown backend" not in done.stderr


@pytest.mark.parametrize(
    "command", [["run", "correctness"], ["list", "backends"], ["fuzz", "--backend", "numpy-direct"]]
)
def test_a_misspelt_operator_of_a_named_plugin_ends_every_command(mine, command):
    mine.write_text(MINE + "\nMine.conv_input_gradient = lambda self, dy, w, x_shape, window: dy\n")
    done = call_harness(*command, "--plugin", str(mine))
    assert done.returncode == 2
    assert "conv_input_gradient, which is not an operator and is never read, wanted conv_input_grad" in done.stderr


@pytest.mark.slow
def test_what_is_skipped_says_why_and_a_repeat_keeps_the_limits(mine, tmp_path):
    mine.write_text(MINE.replace("reference.conv(x, w,", "reference.conv(x, w[..., ::-1],"))
    done = call_harness(
        "run", "correctness", "--plugin", str(mine), "--backend", "mine", "--time-limit", "70s", "--problem", PROBLEM,
        "--problem", "conv x=1x2x999999999 w=3x2x3", "--law", "tap-probe", "--law", "agrees-with-reference",
        "--output", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.returncode == 1
    assert "mine skipped: estimated" in done.stdout
    assert "--law tap-probe --time-limit 70s --plugin" in done.stdout
    assert "## Skipped" in (tmp_path / "run" / "report" / "report.md").read_text()


def test_tables_are_not_cut_where_there_is_no_terminal(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "harness", "list", "operators"], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env={k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "cupy-fft" in done.stdout
    assert "conv_weight_grad" in done.stdout


def test_a_text_where_a_list_is_wanted_says_so():
    with pytest.raises(harness.UsageError, match="problems: got the text"):
        harness.run("correctness", problems=PROBLEM)
