"""Votes as they are held: in workers, with the odd one named, blamed and located."""

import pytest

import harness
from harness import UsageError
from harness.analysis.exit_code import find_exit_code
from harness.analysis.repeating import repeat_command
from suites.consensus import random_problems
from tests.conftest import DYING, FORWARD, RIGHT

TRIO = ("numpy-direct", "im2col", "right")
LINE = "conv x=2x3x9x11 w=4x3x3x2 pad=1:0,0:1"


def _vote(folder, backends, problems=(LINE,)):
    return harness.run(
        "consensus", backends=backends, problems=problems, plugins=(FORWARD, RIGHT), output=folder / "run"
    )


def test_the_odd_one_is_named_with_its_law_and_place(tmp_path):
    run = _vote(tmp_path, (*TRIO, "faulty:width-tail-lost"))
    outcomes = {result.arm: result for result in run.results}
    assert {name: result.outcome for name, result in outcomes.items()} == {
        **dict.fromkeys(TRIO, "passed"), "faulty:width-tail-lost": "failed",
    }  # fmt: skip
    reason = outcomes["faulty:width-tail-lost"].reason
    assert "alone against numpy-direct, im2col, right" in reason
    assert "only where axis 1 >= 8" in reason
    assert "it breaks " in reason and "agrees-with-reference" not in reason
    assert find_exit_code(run) == 1
    assert "--backend" not in repeat_command(run.header, outcomes["faulty:width-tail-lost"])


@pytest.mark.slow  # tests of `laws.consensus` count such votes without workers
def test_a_split_vote_is_nobodys_success(tmp_path):
    run = _vote(tmp_path, ("numpy-direct", "right", "faulty:scaled", "faulty:flipped"))
    assert {result.outcome for result in run.results} == {"failed"}
    assert all("no majority" in result.reason for result in run.results)


@pytest.mark.slow
def test_two_voters_decide_nothing(tmp_path):
    run = _vote(tmp_path, TRIO[:2])
    assert {result.outcome for result in run.results} == {"skipped"}
    assert find_exit_code(run) == 4


@pytest.mark.slow
def test_who_crashes_has_no_vote(tmp_path):
    run = harness.run(
        "consensus", backends=(*TRIO, "dying:exits"), problems=["conv x=7x3x9x11 w=4x3x3x2"],
        plugins=(RIGHT, DYING), output=tmp_path / "run",
    )  # fmt: skip
    assert {r.arm: r.outcome for r in run.results} == {**dict.fromkeys(TRIO, "passed"), "dying:exits": "crashed"}


def test_random_problems_are_the_same_for_a_seed_and_cover_every_operator():
    problems = [item.problem for item in random_problems()]
    assert problems == [item.problem for item in random_problems()]
    assert {problem.operator for problem in problems} == set(harness.Operator)
    assert all(problem.flops for problem in problems)
    assert problems != [item.problem for item in random_problems(seed=1)]


def test_a_law_cannot_be_chosen_for_a_vote():
    with pytest.raises(UsageError, match="laws belong to suites of correctness"):
        harness.run("consensus", backends=TRIO[:2], laws=["tap-probe"])
