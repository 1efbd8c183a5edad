"""Refusals by the exceptions of a backend's library: `unsupported` where they stand, and never an all-clear."""

import pytest

import harness
from harness.analysis.descriptions import describe_incomplete, describe_refused
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.laws.networks.subject import NetworkUnderTest
from harness.networks.problem import parse_network
from harness.record.run import CANNOT_TELL, REFUSED
from harness.worker import refused
from harness.worker.refused import hold_refusal, judge_refusal
from suites.laws.reference import agrees_with_reference
from suites.laws.structure import bias_shifts
from tests.asking import ask, make_ready
from tests.conftest import ROOT
from tests.faulty import declining
from tests.networks.small import NETWORKS

DECLINING = str(ROOT / "tests" / "faulty" / "declining.py")
PLAIN = "conv x=2x3x8x8 w=4x3x3x3 data=integer"
FRACTIONS = "conv x=2x3x8x8 w=4x3x3x3 data=normal"
FLIPPED = "conv x=2x3x8x8 w=4x3x3x3 dilation=2,2 flip data=integer"
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


@pytest.mark.parametrize(("name", "line"), [("whole-numbers", PLAIN), ("fractions", FRACTIONS)])
def test_a_refusal_of_contents_is_an_error(tmp_path, name, line):
    run = run_with(tmp_path, name, [line])
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
        (declining.DeclinesFractions, "error"), (declining.NamesTooMuch, "error"), (declining.DeclinesTimes, "error"),
    ],
)  # fmt: skip
def test_in_the_process_of_its_law(backend, outcome):
    line = FRACTIONS if backend is declining.DeclinesFractions else PLAIN
    reply = ask(backend(), agrees_with_reference, line)
    assert reply.outcome == outcome
    assert (outcome == "unsupported") == (reply.reason or "").startswith(REFUSED)


def test_a_refusal_of_a_problem_next_to_the_cell_stands_in_both_processes(tmp_path):
    (there,) = [one for one in run_with(tmp_path, "bias", [PLAIN]).results if one.law == "bias-shifts"]
    here = ask(declining.LacksBias(), bias_shifts, PLAIN)
    for one in (there, here):
        assert one.outcome == "unsupported" and one.reason.startswith(f"{REFUSED}, conv x=2x3x8x8 w=4x3x3x3 bias")


def test_a_refused_problem_with_a_flipped_kernel_is_that_of_the_cell(tmp_path):
    run = run_with(tmp_path, "dilation", [FLIPPED])
    (there,) = [one for one in run.results if one.law == "agrees-with-reference"]
    here = ask(declining.LacksDilation(), agrees_with_reference, FLIPPED)
    for one in (there, here):
        assert one.outcome == "unsupported" and one.reason.startswith(f"{REFUSED}: ")


def test_a_problem_too_large_to_be_asked_again_is_not_judged(monkeypatch):
    monkeypatch.setattr(refused, "MOST_BYTES", 1000)
    reply = ask(declining.LacksAll(), agrees_with_reference, PLAIN)
    assert reply.outcome == "skipped" and reply.reason.startswith(f"{CANNOT_TELL} whether a refusal stands: LacksError")


def test_a_layer_of_a_network_is_asked_of_the_backend_that_computes_it():
    """The partner lacks what it does not compute, and would refuse that again."""

    class Never(declining.LacksAll):
        name = "never"

        def conv_input_grad(self, dy, w, x_shape, window):
            raise declining.LacksError("no gradient")

    subject = NetworkUnderTest(declining.Right(), parse_network("network smooth step n=2 K=4", NETWORKS), Never())
    theirs = {node.problem for node in subject.network.nodes if node.name in subject.theirs}
    mine = next(node.problem for node in subject.network.nodes if node.problem and node.problem not in theirs)
    assert hold_refusal(subject, "no", mine).outcome == "error"
    assert judge_refusal(subject, _refusal(next(iter(theirs)))).outcome == "unsupported"


def _refusal(problem):
    error = declining.LacksError("no")
    error.problem = problem
    return error


@pytest.mark.parametrize(
    ("backend", "outcome"), [(declining.LacksAll, "unsupported"), (declining.DeclinesTimes, "error")]
)
def test_and_for_times(backend, outcome):
    session, reply = make_ready(backend(), PLAIN)
    assert session is None and reply.outcome == outcome
