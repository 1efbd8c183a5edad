"""Arrays that cannot be written in place, and handles: laws and times apply to them, and find the known cheats."""

import pytest

import harness
from harness.backend.copying import Copying, adopt
from suites.laws.memory import (
    answers_follow_contents,
    inputs_stay,
    outputs_are_fresh,
    prepared_calls_are_steady,
    views_are_read_right,
)
from suites.laws.reference import agrees_with_reference
from tests.asking import ask, make_ready
from tests.conftest import ROOT
from tests.faulty import immutable
from tests.faulty.right import Right
from tests.lenient import keep_all_blocks

IMMUTABLE = str(ROOT / "tests" / "faulty" / "immutable.py")
LINE = "conv x=2x3x8x8 w=3x3x3x3 data=integer"
SQUARE = "conv x=2x3x8x8 w=3x3x1x1 data=integer"  # where the output has the shape of the input
TIMED = "conv x=2x4x16x16 w=4x4x3x3"
LAWS = (
    agrees_with_reference, answers_follow_contents, inputs_stay, outputs_are_fresh, prepared_calls_are_steady,
    views_are_read_right,
)  # fmt: skip
RIGHT = (immutable.RightImmutable, immutable.RightHandles, immutable.ConvHandles, immutable.Waited)
BY_NAME = {backend.name.partition(":")[2]: backend for backend in immutable.BACKENDS}


def test_arrays_that_can_be_written_are_not_copied():
    right = Right()
    assert adopt(right) is right
    assert all(isinstance(adopt(backend()), Copying) for backend in RIGHT)


@pytest.mark.parametrize("backend", RIGHT)
def test_a_right_backend_passes(backend):
    assert [ask(backend(), law, LINE).outcome for law in LAWS] == ["passed"] * len(LAWS)
    session, reply = make_ready(backend(), TIMED)
    assert session is not None and reply.outcome == "passed" and session.never_repeats


def test_derived_operators_need_no_arithmetic_of_arrays():
    for line in (
        "conv_input_grad x=2x3x8x8 w=4x3x3x3 stride=2 data=integer",
        "conv_weight_grad x=2x3x8x8 w=4x3x3x3 data=integer",
    ):
        assert ask(immutable.ConvHandles(), agrees_with_reference, line).outcome == "passed"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("remembers", "answers are remembered"),
        ("remembers-identity", "answers are remembered"),
        ("lazy", "results are computed when they are looked at"),
        ("first-answer", "answers do not follow one changed element"),
        ("captured-inputs", "answers do not follow one changed element"),
        ("cached-by-fingerprint", "answers do not follow one changed element"),
        ("early-bound", "answers do not follow one changed element"),
        ("returns-input", "wanted"),
        ("answers-late", "wanted"),
        ("writes", "inputs changed by the call: x"),
    ],
)
def test_a_cheat_is_found_when_it_is_timed(name, reason):
    session, reply = make_ready(BY_NAME[name](), "conv x=2x8x32x32 w=8x8x3x3")
    assert session is None and reply.outcome in ("failed", "error") and reason in reply.reason, reply.reason


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("writes", inputs_stay),
        ("first-answer", prepared_calls_are_steady),
        ("captured-inputs", prepared_calls_are_steady),
        ("early-bound", prepared_calls_are_steady),
        ("returns-input", agrees_with_reference),
        ("answers-late", answers_follow_contents),
    ],
)
def test_a_fault_is_found_by_a_law(name, law):
    assert ask(BY_NAME[name](), law, SQUARE).outcome == "failed"


def test_in_their_own_process(tmp_path):
    with keep_all_blocks():
        run = harness.run(
            "speed-short", backends=["immutable:asynchronous"], problems=[TIMED], plugins=[IMMUTABLE],
            output=tmp_path / "times", jobs=1,
        )  # fmt: skip
    assert [(one.outcome, one.reason) for one in run.results] == [("passed", None)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["right", "handles", "conv-handles", "asynchronous"])
def test_all_laws_hold_in_their_own_process(tmp_path, name):
    run = harness.run(
        "correctness", backends=[f"immutable:{name}"], problems=[LINE], plugins=[IMMUTABLE], output=tmp_path / "run",
        jobs=1,
    )  # fmt: skip
    assert {one.outcome for one in run.results} <= {"passed", "unsupported"} and len(run.results) > 40
    assert not [one for one in run.results if one.refused]
