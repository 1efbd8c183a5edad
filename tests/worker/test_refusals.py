"""Only the harness's own code refuses a cell: what a backend raises or claims instead is its error."""

from types import SimpleNamespace

import pytest

import harness
from harness import parse_line
from harness.analysis.descriptions import describe_incomplete
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from harness.plan.cell import Limits
from harness.worker.hosted.backend import HostedBackend
from harness.worker.wire.messages import Facts
from suites.laws.reference import agrees_with_reference
from tests.asking import ask, make_ready
from tests.conftest import ROOT
from tests.faulty import refusing

REFUSING = str(ROOT / "tests" / "faulty" / "refusing.py")
LINE = "conv x=2x2x9 w=3x2x3 data=integer"
TIMED = "conv x=2x3x8x8 w=4x3x3x3"
REFUSALS = {
    "raises-unsupported": "UnsupportedError: this is not supported, honestly (refusing.py:",
    "raises-no-room": "NoRoomError: there is too little memory (refusing.py:",
    "raises-cannot-tell": "CannotTellError: the machine cannot tell, says the backend (refusing.py:",
    "declares-less": "it was planned as native, but in its process it is unsupported: not on Fridays",
    "claims-unsupported": "its process refuses to time what it supports: I would rather not",
    "claims-skipped": "its process refuses to time what it supports: I would rather not",
    "claims-unavailable": "its process refuses to time what it supports: I would rather not",
}


def mark_slow(names, quick):
    """Return names as parameters of which only the quick ones are asked by `make test`."""
    return [pytest.param(one, marks=[pytest.mark.slow] * (one not in quick)) for one in names]


@pytest.mark.parametrize("name", mark_slow(REFUSALS, quick=("claims-skipped",)))
def test_a_backend_cannot_refuse_in_the_name_of_the_harness(tmp_path, name):
    run = harness.run(
        "speed-short", backends=[f"refusing:{name}"], problems=[TIMED], plugins=[REFUSING],
        output=tmp_path / "run", jobs=1,
    )  # fmt: skip
    assert [(result.outcome, REFUSALS[name] in result.reason) for result in run.results] == [("error", True)], [
        result.reason for result in run.results
    ]


@pytest.mark.parametrize("backend", [refusing.Refuses, refusing.RefusesRoom, refusing.CannotTell])
def test_nor_can_it_in_the_process_of_its_law(backend):
    reply = ask(backend(), agrees_with_reference, LINE)
    assert reply.outcome == "error" and "(refusing.py:" in reply.reason
    assert make_ready(backend(), LINE)[1].outcome == "error"


LAWFUL = "conv x=2x3x9x9 w=4x3x3x3 pad=1 data=normal"
OTHERS = "in its process it declares other numerics than to the plan: accumulator="


@pytest.mark.parametrize("suite", ["correctness", "speed-short"])
@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        pytest.param("declares-wider", "error", OTHERS, marks=pytest.mark.slow),
        pytest.param("declares-many-roundings", "failed", "wanted", marks=pytest.mark.slow),
        ("declares-coarse-sums", "failed", "wanted"),
        pytest.param(
            "declares-nothing",
            "error",
            "its process says neither what it declares nor why it cannot run",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_declaration_widens_no_bound_that_the_plan_does_not_show(tmp_path, suite, name, outcome, reason):
    run = harness.run(
        suite, backends=[f"refusing:{name}"], problems=[LAWFUL], plugins=[REFUSING], output=tmp_path / "run",
        laws=["agrees-with-reference"] if suite == "correctness" else (), jobs=1,
    )  # fmt: skip
    assert [(one.outcome, reason in (one.reason or "")) for one in run.results] == [(outcome, True)], [
        one.reason for one in run.results
    ]


@pytest.mark.parametrize("name", [pytest.param("declares-coarse-layers", marks=pytest.mark.slow), "declares-wider"])
def test_nor_any_bound_of_a_layer_of_a_network(tmp_path, name):
    run = harness.run(
        "networks", backends=[f"refusing:{name}"], problems=["network lenet5 step n=2"], plugins=[REFUSING],
        output=tmp_path / "run", laws=["network-equals-autograd"], jobs=1,
    )  # fmt: skip
    assert [(one.outcome, OTHERS.partition(": ")[0] in (one.reason or "")) for one in run.results] == [
        ("error", True)
    ], [one.reason for one in run.results]


@pytest.mark.parametrize(
    "name", mark_slow(("declares-memory", "declares-work", "declares-slowness"), quick=("declares-memory",))
)
def test_what_is_not_asked_because_of_a_declaration_is_no_success(tmp_path, name):
    run = harness.run(
        "correctness", backends=[f"refusing:{name}", "im2col"],
        problems=[LINE, "max_pool x=2x3x9 kernel=2 data=integer"],
        plugins=[REFUSING], output=tmp_path / "run", laws=["agrees-with-reference"], jobs=1,
    )  # fmt: skip
    outcomes = {(one.backend, one.problem.partition(" ")[0]): one.outcome for one in run.results}
    assert outcomes[f"refusing:{name}", "conv"] == "skipped"
    assert outcomes["im2col", "conv"] == "passed"
    assert find_exit_code(run) == ExitCode.INCOMPLETE
    told = describe_incomplete(run)
    assert told.startswith("INCOMPLETE: not one problem was answered by ")
    assert f"refusing:{name} in suite correctness, conv (estimated" in told
    assert "im2col" not in told


@pytest.mark.parametrize(
    "name", mark_slow((one for one in REFUSALS if not one.startswith("claims")), quick=("raises-no-room",))
)
def test_nor_can_it_in_a_law(tmp_path, name):
    run = harness.run(
        "correctness", backends=[f"refusing:{name}"], problems=[LINE], laws=["agrees-with-reference"],
        plugins=[REFUSING], output=tmp_path / "run", limits=Limits(time_s=30.0), jobs=1,
    )  # fmt: skip
    assert [(one.outcome, REFUSALS[name] in (one.reason or "")) for one in run.results] == [("error", True)]


def test_declarations_of_one_geometry_are_asked_once():
    """Numerics that were compared with the plan's are those of other data and seeds too."""
    asked = []

    def say(request):
        asked.append(request.problem.make())
        return Facts(refusal=None, kind="native", via="", reason=None, numerics={"reentrant": len(asked) == 1})

    host = SimpleNamespace(ask=say, expect=lambda reply, kind: reply)
    declared = SimpleNamespace(own=("numerics_for",))
    backend = HostedBackend(host, declared)
    first = parse_line(LAWFUL)
    others = (first.with_(seed=first.seed + 1), first.with_(data="uniform"), first.with_(data="integer", seed=9))
    assert [backend.numerics_for(one).reentrant for one in (first, *others)] == [True] * 4
    assert asked == [first]
    assert not backend.numerics_for(first.with_(x=(3, *first.x[1:]))).reentrant
