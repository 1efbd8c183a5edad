"""Arrays that cannot be written in place, and handles: laws and times apply to them, and find the known cheats."""

from dataclasses import replace

import numpy as np
import pytest

import harness
from harness.backend.copying import Copying, adopt
from harness.record.run import CANNOT_TELL
from harness.worker.host.execute import time_block
from harness.worker.host.makings import Making, judge_makings, limit_fixed, time_element
from harness.worker.protocol import Checked, Sample, Sampled
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
from tests.networks.small import NETWORKS

IMMUTABLE = str(ROOT / "tests" / "faulty" / "immutable.py")
LINE = "conv x=2x3x8x8 w=3x3x3x3 data=integer"
SQUARE = "conv x=2x3x8x8 w=3x3x1x1 data=integer"  # where the output has the shape of the input
LONG = "conv x=2x16x48x48 w=16x16x3x3"
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
    if session is None:  # a busy machine
        assert reply.outcome == "skipped" and reply.reason.startswith(CANNOT_TELL), reply.reason
    else:
        assert reply.outcome == "passed" and session.never_repeats


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
    session, reply = make_ready(BY_NAME[name](), TIMED)
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


def time_once(backend, line, **request):
    """Reply to the request for a block; it has no outcome if it has times."""
    session, reply = make_ready(backend, line)
    return reply if session is None else time_block(session, Sample(budget_ns=1, warm_ns=0, **request))


@pytest.mark.parametrize("data", ["normal", "integer"])  # renewed for each call, and once for a block
@pytest.mark.parametrize(
    ("name", "line"),
    [("answers-in-to-device", LONG), ("packs-in-to-device", LONG), ("sleeps-in-to-device", TIMED)],
)
def test_work_in_to_device_has_no_time(name, line, data):
    reply = time_once(BY_NAME[name](), f"{line} data={data}", least=3)
    assert isinstance(reply, Checked) and reply.outcome == "skipped" and not reply.accuses
    assert reply.reason.startswith(CANNOT_TELL) and "to_device" in reply.reason, reply.reason


@pytest.mark.parametrize("name", ["sleeps", "handles", "right", "asynchronous"])
def test_honest_arrays_have_times(name):
    reply = time_once(BY_NAME[name](), TIMED, least=3)
    busy = isinstance(reply, Checked) and reply.outcome == "skipped" and "to_device" not in reply.reason
    assert isinstance(reply, Sampled) or busy, reply


@pytest.mark.parametrize(
    ("own_ns", "element_ns", "hides"),
    [(109_000, 40_000, False), (111_000, 40_000, True), (209_000, 100_000, False), (211_000, 100_000, True),
     (509_000, 10**9, False), (511_000, 10**9, True)],
)  # fmt: skip
def test_a_making_may_take_a_fixed_time_ten_copies_and_a_tenth_of_the_call(own_ns, element_ns, hides):
    making = Making(own_ns=own_ns, plain_ns=500, fixed_ns=limit_fixed(element_ns))
    assert making.hides_work(call_ns=50_000) is hides


@pytest.mark.parametrize(("shown", "count", "work"), [(0, 4, False), (1, 4, None), (3, 60, False), (4, 60, True)])
def test_few_long_makings_are_chance(shown, count, work):
    assert judge_makings(shown, count) is work


def test_what_the_harness_copies_itself_has_no_time(registry):
    session, reply = make_ready(immutable.ConvHandles(), "conv_input_grad x=2x3x8x8 w=4x3x3x3")
    assert session is None and reply.outcome == "unsupported" and "derived operator is not timed" in reply.reason
    session, reply = make_ready(
        immutable.RightHandles(), "network smooth step n=8 K=2", replace(registry, networks=NETWORKS)
    )
    assert session is None and reply.outcome == "unsupported" and "network is not timed" in reply.reason
    session, reply = make_ready(Right(), "conv_input_grad x=2x3x8x8 w=4x3x3x3")
    assert "not timed" not in (reply.reason or "")


def test_a_backend_needs_no_hash_and_no_signature():
    backend = immutable.Unhashable()
    with pytest.raises(TypeError):
        hash(backend)
    adopted = adopt(backend)
    assert isinstance(adopted, Copying) and adopt(backend) is adopted and adopted.waiting is None
    assert ask(backend, agrees_with_reference, LINE).outcome == "passed"


def test_an_argument_of_another_name_takes_no_result():
    class ByStream(immutable.RightHandles):
        def synchronize(self, stream=None):
            assert stream is None

    assert ask(ByStream(), agrees_with_reference, LINE).outcome == "passed"


def test_the_first_array_is_one_that_the_backend_declares():
    class Strict(Right):
        dtypes, axes = ("float64",), (2,)

        def to_device(self, array):
            if array.dtype != np.float64 or array.ndim != 4:
                raise TypeError("not declared")
            return immutable.Handle(array)

    assert isinstance(adopt(Strict()), Copying)


def test_an_array_that_refuses_in_any_way_is_copied():
    class Odd(np.ndarray):
        def __setitem__(self, at, value):
            raise KeyError("immutable")

    class Refusing(Right):
        def to_device(self, array):
            return array.view(Odd)

    assert isinstance(adopt(Refusing()), Copying)


@pytest.mark.parametrize(
    ("name", "line", "outcome", "reason"),
    [
        ("asynchronous", TIMED, "passed", None),
        ("answers-in-to-device", LONG, "skipped", "in to_device"),
        ("conv-handles", "conv_input_grad x=2x3x8x8 w=4x3x3x3", "unsupported", "a derived operator is not timed"),
    ],
)
def test_in_their_own_process(tmp_path, name, line, outcome, reason):
    with keep_all_blocks():
        run = harness.run(
            "speed-short", backends=[f"immutable:{name}"], problems=[line], plugins=[IMMUTABLE],
            output=tmp_path / "times", jobs=1,
        )  # fmt: skip
    (result,) = run.results
    if reason is None:
        assert result.outcome == outcome or result.untold, result.reason
    else:
        assert result.outcome == outcome and reason in result.reason, result.reason


def test_an_array_that_cannot_be_looked_at_is_copied():
    class Hidden:
        @property
        def __class__(self):
            raise RuntimeError("not there yet")

    class Hiding(Right):
        def to_device(self, array):
            return Hidden()

    assert isinstance(adopt(Hiding()), Copying)


def test_an_array_of_one_element_may_be_refused():
    class Picky(immutable.RightHandles):
        def to_device(self, array):
            if array.size == 1:
                raise ValueError("one element")
            return super().to_device(array)

    picky = Copying(Picky())
    assert time_element(picky, np.zeros((2, 2))) == 0
    assert time_element(Copying(immutable.RightHandles()), np.zeros((2, 2))) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["right", "handles", "conv-handles", "asynchronous"])
def test_all_laws_hold_in_their_own_process(tmp_path, name):
    run = harness.run(
        "correctness", backends=[f"immutable:{name}"], problems=[LINE], plugins=[IMMUTABLE], output=tmp_path / "run",
        jobs=1,
    )  # fmt: skip
    assert {one.outcome for one in run.results} <= {"passed", "unsupported"} and len(run.results) > 40
    assert not [one for one in run.results if one.refused]
