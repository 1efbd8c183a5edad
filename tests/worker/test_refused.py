"""Refusals by the exceptions of a backend's library: `unsupported` where they stand, and never an all-clear."""

import pytest

import harness
from harness.analysis.descriptions import describe_incomplete, describe_refused
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.record.run import REFUSED
from suites.laws.reference import agrees_with_reference
from tests.asking import ask, make_ready
from tests.conftest import ROOT
from tests.faulty import declining

DECLINING = str(ROOT / "tests" / "faulty" / "declining.py")
PLAIN = "conv x=2x3x8x8 w=4x3x3x3 data=integer"
DILATED = "conv x=2x3x8x8 w=4x3x3x3 dilation=2,2 data=integer"


def run_with(tmp_path, name, problems, suite="declining"):
    """Run a suite on one of the backends, in its own process."""
    return harness.run(
        suite, backends=[f"declining:{name}"], problems=problems, plugins=[DECLINING], output=tmp_path / "run", jobs=1
    )


def test_a_refusal_of_a_problem_is_unsupported_and_counted(tmp_path):
    run = run_with(tmp_path, "dilation", [PLAIN, DILATED])
    refused = [one for one in run.results if one.refused]
    assert not [one for one in run.results if one.outcome in ("failed", "error")]
    assert {(one.law, one.problem) for one in refused} == {
        ("agrees-with-reference", DILATED), ("bias-shifts", DILATED)
    }  # fmt: skip
    assert [one.refused_itself for one in refused] == [True, False]  # the second asks for a problem with a bias
    assert all("LacksError: no dilation in this library (declining.py:" in one.reason for one in refused)
    assert f"declining:dilation refused {len(refused)} of " in describe_refused(run.results)[0]
    assert find_exit_code(run) == ExitCode.OK  # convolutions were answered, and right


def test_a_backend_that_refuses_everything_is_no_success(tmp_path):
    run = run_with(tmp_path, "all", [PLAIN])
    assert {one.outcome for one in run.results} == {"unsupported", "passed"}  # what passes does not ask for conv
    assert find_exit_code(run) == ExitCode.INCOMPLETE
    assert "not one problem was answered by declining:all in suite declining, conv" in describe_incomplete(run)


def test_a_refusal_of_contents_is_an_error(tmp_path):
    run = run_with(tmp_path, "whole-numbers", [PLAIN])
    wrong = [one for one in run.results if one.outcome == "error"]
    assert wrong and all("the same problem was answered on other contents" in one.reason for one in wrong)
    assert not [one for one in run.results if one.refused]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("times", "LacksError: no hurry in this library"),
        pytest.param("later", "LacksError: tired", marks=pytest.mark.slow),
        pytest.param(
            "pretends",
            "I would rather not; it was refused once, but the same problem was answered",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "too-much",
            "refusal_types: got <class 'ValueError'>, wanted a tuple of exception types",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_refusal_in_the_timed_call_alone_is_an_error(tmp_path, name, reason):
    run = run_with(tmp_path, name, ["conv x=2x3x8x8 w=4x3x3x3"], "speed-short")
    assert [(one.outcome, reason in one.reason) for one in run.results] == [("error", True)], run.results[0].reason


def test_a_timed_call_of_what_the_library_lacks_is_unsupported(tmp_path):
    run = run_with(tmp_path, "dilation", ["conv x=2x3x8x8 w=4x3x3x3 dilation=2"], "speed-short")
    assert [(one.outcome, one.refused_itself) for one in run.results] == [("unsupported", True)]
    assert find_exit_code(run) == ExitCode.INCOMPLETE


@pytest.mark.parametrize(
    ("backend", "outcome"),
    [
        (declining.LacksAll, "unsupported"), (declining.DeclinesWholeNumbers, "error"),
        (declining.NamesTooMuch, "error"), (declining.DeclinesTimes, "error"),
    ],
)  # fmt: skip
def test_in_the_process_of_its_law(backend, outcome):
    reply = ask(backend(), agrees_with_reference, PLAIN)
    assert reply.outcome == outcome
    assert (outcome == "unsupported") == (reply.reason or "").startswith(REFUSED)


@pytest.mark.parametrize(
    ("backend", "outcome"), [(declining.LacksAll, "unsupported"), (declining.DeclinesTimes, "error")]
)
def test_and_for_times(backend, outcome):
    session, reply = make_ready(backend(), PLAIN)
    assert session is None and reply.outcome == outcome
