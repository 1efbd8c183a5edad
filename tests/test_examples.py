"""The examples, run as their own first lines say."""

import subprocess
import sys
from importlib import import_module

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.problems import reference
from harness.record.run import WRONG
from tests.conftest import ROOT
from tests.reports.made import PLAIN, make_run, measure, spread, time_cell
from tests.suites.asked import ASKED

EVERY = 3  # of the problems of suite `correctness` that are asked every law


@pytest.mark.slow
def test_the_python_door(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "from_python.py")], cwd=ROOT, capture_output=True, text=True,
        timeout=600, env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("takes") == 2
    assert "failed" not in done.stdout


@pytest.mark.slow
def test_the_backend_of_ones_own_is_right():
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run = harness.run(
            "correctness", backends=["mine"], plugins=[str(ROOT / "examples" / "mine.py")], output=f"{folder}/run",
            problems=[problem.line for problem in ASKED[::EVERY]],
        )  # fmt: skip
    wrong = [f"{result.law} {result.problem}: {result.reason}" for result in run.results if result.outcome in WRONG]
    assert (wrong, run.overdrawn) == ([], {})
    assert find_exit_code(run) == 0
    asked = [result for result in run.results if result.worker]  # the plan leaves out what would take very long
    assert {result.outcome for result in asked} <= {"passed", "unsupported"}
    assert run.counts["passed"] > 500
    routes = {result.route.kind for result in run.results}
    assert routes == {"native", "derived", "unsupported"}


def test_the_backend_of_ones_own_is_right_on_a_few_problems(tmp_path):
    lines = ["conv x=2x3x8x9 w=4x3x3x2 pad=1 data=integer", "max_pool x=2x3x9x8 kernel=3x2 data=integer"]
    plugin = str(ROOT / "examples" / "mine.py")
    run = harness.run(
        "correctness", backends=["mine"], plugins=[plugin], problems=lines, threads=1, output=tmp_path / "run"
    )
    assert not [f"{one.law} {one.problem}: {one.reason}" for one in run.results if one.outcome in WRONG]
    assert run.counts["passed"] > 20


@pytest.mark.slow
def test_the_network_of_ones_own_is_right(tmp_path):
    plugin = str(ROOT / "examples" / "network.py")
    problem = "network tiny step n=2"
    run = harness.run("networks", backends=["im2col"], plugins=[plugin], problems=[problem], output=tmp_path / "run")
    assert [result.outcome for result in run.results] == ["passed"] * 3


def ask_three_laws(folder, name, backend, problems):
    """Outcomes of a plugin's backend, in its own process, by law and problem."""
    run = harness.run(
        "correctness", backends=[backend], plugins=[str(ROOT / "examples" / name)], problems=problems,
        laws=["agrees-with-reference", "inputs-stay", "prepared-calls-are-steady"], output=folder / "run", jobs=1,
    )  # fmt: skip
    return [(result.problem, result.outcome) for result in run.results]


def test_a_library_with_handles_is_asked_as_any_other(tmp_path):
    plain, dilated = "conv x=2x3x8x8 w=4x3x3x3 data=integer", "conv x=2x3x8x8 w=4x3x3x3 dilation=2,2 data=integer"
    found = ask_three_laws(tmp_path, "handles.py", "handles", [plain, dilated])
    assert found == [(plain, "passed")] * 3 + [(dilated, "unsupported")] * 3


@pytest.mark.slow
def test_the_example_of_jax_is_right(tmp_path):
    pytest.importorskip("jax", reason="it needs pip install 'conv-harness[jax]'")
    line = "conv x=2x3x8x8 w=4x3x3x3 bias data=integer"
    assert ask_three_laws(tmp_path, "jax_arrays.py", "jax-arrays", [line]) == [(line, "passed")] * 3


@pytest.mark.slow
def test_the_law_of_ones_own_passes_what_is_right(tmp_path):
    plugin = str(ROOT / "examples" / "law.py")
    run = harness.run("ones", backends=["im2col", "fft"], plugins=[plugin], output=tmp_path / "run")
    assert [result.outcome for result in run.results] == ["passed"] * 4
    assert {result.law for result in run.results} == {"ones-sum-the-window"}


def test_the_reporter_of_ones_own_writes_failures_with_their_commands_and_times(tmp_path):
    example = import_module("examples.reporter")
    run = make_run(time_cell(0, "mine", spread(2e6)), measure("mine", 20.0, PLAIN, "failed"))
    (path,) = example.write(harness.analyse(run), tmp_path)
    said = path.read_text()
    assert said.startswith("exit code 1, 2 of 2 cells\n")
    assert "failed mine " in said
    assert "    repeat: python -m harness run " in said
    assert f"{PLAIN}: mine 2 ms\n" in said


@pytest.mark.parametrize("error", [0.0, 1e-5])
def test_the_law_of_ones_own_sees_a_small_error(error):
    class Off(harness.Backend):
        name = "off"

        def conv(self, x, w, b, window):
            y = reference.conv(x, w, b, window)
            y.flat[-1] += error * abs(x).sum()
            return y.astype(x.dtype)

    example = import_module("examples.law")
    problem = example.list_problems()[0].problem
    assert example.ones_sum_the_window.applies(problem)
    found = example.ones_sum_the_window.check(harness.BackendUnderTest(Off(), problem), problem)
    assert (found.passed, found.vacuous) == (not error, 0)
