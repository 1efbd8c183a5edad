"""`versus` and `qualify` as their users call them; no verdict here depends on how long anything takes."""

import re

import pytest

from harness.analysis.qualification import Qualification, name_environment, write_qualification
from harness.cli.main import main
from harness.record.directory import read_run
from harness.record.environment import describe_environment
from tests.commands import call_harness
from tests.conftest import ROOT

PROBLEM = "conv x=1x1x8x8 w=1x1x3x3"


def test_identical_arms_are_compared_and_reported(tmp_path):
    done = call_harness(
        "versus", "a=im2col", "b=im2col", "--problem", PROBLEM, "--budget", "1s", "--output", str(tmp_path / "run"),
        HARNESS_STATE_DIR=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1 cells, a change of 1 % counts: 1 INCONCLUSIVE" in done.stdout
    # Which of the two is said depends on what else the machine does.
    assert re.search("passes before the first look|was disturbed|were disturbed|left out", done.stdout), done.stdout
    assert (tmp_path / "run" / "report" / "report.html").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["im2col"], "arms: got only 'im2col', wanted a base and one other at least"),
        (["im2col", "im2col"], "got the name 'im2col' 2 times"),
        (["im2col", "im2coll"], "unknown backend: got 'im2coll'"),
        (["im2col@nowhere", "im2col"], "unknown revision: got 'nowhere'"),
        (["im2col@env:/nowhere", "im2col"], "interpreter not found: got '/nowhere'"),
        (["a=im2col", "b=im2col", "--suite", "correctness"], "a suite of correctness, wanted one of speed"),
        (["a=im2col", "b=im2col", "--delta", "soon"], "share: got 'soon', wanted one between 0 and 1"),
        (["a=im2col", "b=im2col", "--budget", "much"], "got 'much', wanted a duration"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main(["versus", *arguments, "--output", str(tmp_path / "run")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_limits_of_the_project_are_read_and_refused_in_one_line(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[[tool.harness.limits]]\nsuite = "sped-short"\ndelta = "5%"\n')
    done = call_harness("versus", "a=im2col", "b=im2col", cwd=tmp_path, HARNESS_STATE_DIR=tmp_path)
    assert done.returncode == 2 and "limits 1: unknown suite: got 'sped-short'" in done.stderr
    (tmp_path / "pyproject.toml").write_text('[[tool.harness.limits]]\ndelta = "0.5%"\n')
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    write_qualification(
        Qualification(environment=name_environment(describe_environment()), created="", cells=40, alarms=0,
                      powers={"0.1": (40, 40)})
    )  # fmt: skip
    done = call_harness("versus", "a=im2col", "b=im2col", "--gate", cwd=tmp_path)
    assert done.returncode == 5 and "delta is 0.005, but this machine is qualified" in done.stderr


@pytest.mark.slow
def test_the_record_has_the_limits_of_the_project(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[[tool.harness.limits]]\ndelta = "50%"\nmemory = "10%"\n')
    done = call_harness(
        "versus", "a=im2col", "b=im2col", "--problem", PROBLEM, "--budget", "1s", "--output", tmp_path / "run",
        cwd=tmp_path, HARNESS_STATE_DIR=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (limit,) = read_run(tmp_path / "run").header.gate.limits
    assert (limit.delta, limit.memory) == (0.5, 0.1)
    assert "memory not applied, as only `gate` judges it" in done.stdout


def test_a_gate_is_not_armed_on_a_machine_that_nobody_qualified(tmp_path):
    done = call_harness("versus", "a=im2col", "b=im2col", "--gate", HARNESS_STATE_DIR=tmp_path)
    assert done.returncode == 5
    assert "the gate is not armed: this machine is not qualified; run `python -m harness qualify`" in done.stderr


@pytest.mark.parametrize(
    ("alarms", "arguments", "message"),
    [
        (20, [], "this machine failed its qualification: 20 of 40 identical pairs were called different"),
        (0, ["--delta", "0.5%"], "delta is 0.005, but this machine is qualified for changes of 0.01 and more"),
    ],
)
def test_a_gate_is_not_armed_beyond_what_a_machine_is_qualified_for(tmp_path, monkeypatch, alarms, arguments, message):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    write_qualification(
        Qualification(environment=name_environment(describe_environment()), created="", cells=40, alarms=alarms,
                      powers={"0.1": (40, 40)})
    )  # fmt: skip
    done = call_harness("versus", "a=im2col", "b=im2col", "--gate", *arguments, HARNESS_STATE_DIR=tmp_path)
    assert done.returncode == 5
    assert message in done.stderr


@pytest.mark.slow
def test_an_armed_gate_says_what_it_cannot_tell(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    write_qualification(
        Qualification(environment=name_environment(describe_environment()), created="", cells=40, alarms=0,
                      powers={"0.1": (40, 40)})
    )  # fmt: skip
    done = call_harness("versus", "a=im2col", "b=im2col", "--gate", "--problem", PROBLEM, "--budget", "1s", "--output",
                       str(tmp_path / "run"), HARNESS_STATE_DIR=tmp_path)  # fmt: skip
    assert done.returncode == 5, done.stderr
    assert "1 INCONCLUSIVE" in done.stdout
