"""A vote names the backend that stands alone, says what it cannot decide, and can be wrong."""

import itertools
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import BackendUnderTest, Numerics, parse_line
from harness.laws.consensus import vote
from harness.laws.error_bounds import magnitude, sum_bound
from harness.plugins.manager import load_plugins
from harness.problems.data import make_arrays
from tests.faulty import backward, forward, pooling
from tests.faulty.right import Right

pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")  # NaN and Inf are data here
BUILT_IN = ("numpy-direct", "im2col", "fft")
FAULTS = {fault.name: fault for module in (forward, backward, pooling) for fault in module.FAULTS}
CONV = "conv x=3x4x11x15 w=32x4x3x2 bias data=integer"
REAL = "conv x=3x4x11x15 w=32x4x3x2 bias"


@pytest.fixture(scope="module")
def backends():
    registry = load_plugins()
    return {name: registry.backend(name) for name in BUILT_IN}


class Brain(Right):
    """Rounds its inputs to bfloat16 without declaring it."""

    name = "brain"

    def conv(self, x, w, b, window):
        return super().conv(*(a.astype(ml_dtypes.bfloat16).astype(a.dtype) for a in (x, w)), b, window)


def _answers(problem, backends):
    arrays = make_arrays(problem)
    return {
        name: (BackendUnderTest(backend, problem).run(problem, arrays), backend.numerics_for(problem))
        for name, backend in backends.items()
    }


@pytest.mark.parametrize(
    ("fault", "line", "words"),
    [
        ("faulty:scaled", CONV, "got the wanted value times 1.0005"),
        ("faulty:scaled", REAL, "got the wanted value times 1.0005"),
        ("faulty:rectified", REAL, "got 0 wherever wanted is negative"),
        ("faulty:width-tail-lost", CONV, "only where axis 1 >= 12 (the last 2, a multiple of 4)"),
        ("faulty:first-image-only", CONV, "got the answer of image 0 for every image"),
        ("faulty:first-image-only", REAL, "got the answer of image 0 for every image"),
        ("faulty:one-nan", REAL, "1 of 12096 wrong: got NaN; only at [2, 31, 8, 13], the last element"),
        ("faulty:bias-by-image", CONV, "got each map (image, channel) off by a constant of its own"),
        ("faulty:weight-grad-flipped", "conv_weight_grad x=2x4x9x10 w=8x4x3x3", "(turned by 180 degrees)"),
        ("faulty:bias-grad-mean", "conv_bias_grad x=3x4x9x10 w=8x4x3x3", "got the wanted value times 1/24"),
        (
            "faulty:pads-swapped",
            "conv x=2x4x9x10 w=8x4x3x3 pad=1:0,2:0",
            "shifted by -1 along axis 0 and -2 along axis 1",
        ),
    ],
)
def test_the_odd_one_is_named_with_its_pattern(backends, fault, line, words):
    problem = parse_line(line)
    verdict = vote(problem, _answers(problem, {**backends, fault: FAULTS[fault]()}))
    assert verdict.majority == BUILT_IN
    assert set(verdict.odd) == {fault}
    assert not verdict.undecided
    deviation = verdict.odd[fault]
    assert not deviation.passed
    assert words in deviation.note
    assert deviation.note.startswith("against ")
    assert verdict.text.startswith(f"3 of 4 agree: numpy-direct, im2col, fft; {fault} does not: {deviation.what}[")
    assert words in verdict.text


@pytest.mark.parametrize("line", [CONV, REAL, "conv_weight_grad x=2x4x9x10 w=8x4x3x3", "avg_pool x=2x3x9x8 kernel=3x2"])
def test_right_backends_agree_within_their_bounds(backends, line):
    problem = parse_line(line)
    answers = _answers(problem, {**backends, "right": Right()})
    verdict = vote(problem, answers)
    assert verdict.unanimous
    assert verdict.clusters == (verdict.majority,)
    assert verdict.text == "all 4 agree: numpy-direct, im2col, fft, right"
    if problem.data == "normal" and problem.w:
        name = problem.operator.outputs[0]
        assert any((a[0][name] != b[0][name]).any() for a, b in itertools.combinations(answers.values(), 2))


def test_inputs_rounded_to_eight_bits_do_not_agree(backends):
    problem = parse_line(REAL)
    verdict = vote(problem, _answers(problem, {**backends, "brain": Brain()}))
    assert (verdict.majority, set(verdict.odd)) == (BUILT_IN, {"brain"})
    declared = {**_answers(problem, backends), "brain": _answers(problem, {"brain": Brain()})["brain"]}
    outputs, numerics = declared["brain"]
    declared["brain"] = (outputs, replace(numerics, rounds_input_to="bfloat16"))
    assert set(vote(problem, declared).odd) == {"brain"}  # the problem does not permit it
    permitted = problem.with_(math="tf32")  # but nothing less precise than TF32
    assert set(vote(permitted, declared, arrays=make_arrays(problem)).odd) == {"brain"}


def test_the_bound_is_the_sum_of_both():
    """One backend twice its bound away from another that is right at the other end of its own."""
    problem = parse_line(REAL)
    arrays, numerics = make_arrays(problem), Numerics()
    y = Right().conv(arrays["x"].astype("f8"), arrays["w"].astype("f8"), arrays["b"].astype("f8"), problem.window)
    allowed = sum_bound(problem, numerics, arrays, magnitude(problem, arrays))
    answers = {name: ({"y": y + k * allowed}, numerics) for name, k in (("low", -1), ("middle", 0), ("high", 1))}
    assert vote(problem, answers).unanimous
    far = vote(problem, {**answers, "far": ({"y": y + 2 * allowed}, numerics)})  # too far from the low one alone
    assert far.undecided
    assert far.clusters == (("low", "middle", "high"), ("middle", "high", "far"))
    assert set(vote(problem, {**answers, "far": ({"y": y + 3.5 * allowed}, numerics)}).odd) == {"far"}


def test_a_majority_can_be_wrong(backends):
    """Two that share a mistake outvote the one that is right: the verdict is a suspicion, and names the third."""
    problem = parse_line(CONV)
    pair = {"one": FAULTS["faulty:scaled"](), "other": FAULTS["faulty:scaled"]()}
    verdict = vote(problem, _answers(problem, {"numpy-direct": backends["numpy-direct"], **pair}))
    assert verdict.majority == ("one", "other")
    assert set(verdict.odd) == {"numpy-direct"}


@pytest.mark.parametrize(
    ("names", "clusters", "words"),
    [
        ((), (), "undecided, 0 of at least 3 voters"),
        (("im2col",), (("im2col",),), "undecided, 1 of at least 3 voters; im2col stands alone"),
        (("im2col", "fft"), (("im2col", "fft"),), "undecided, 2 of at least 3 voters; im2col, fft agree"),
        (
            ("im2col", "flipped"),
            (("im2col",), ("flipped",)),
            "im2col stands alone; flipped stands alone; flipped gives y[",
        ),
        (
            ("im2col", "fft", "flipped", "tail"),
            (("im2col", "fft"), ("flipped",), ("tail",)),
            "undecided, no cluster of more than half of 4 voters; im2col, fft agree; flipped stands alone",
        ),
        (
            ("im2col", "flipped", "fft", "also"),
            (("im2col", "fft"), ("flipped", "also")),
            "no cluster of more than half of 4 voters; im2col, fft agree; flipped, also agree",
        ),
    ],
)
def test_without_a_majority_nothing_is_decided(backends, names, clusters, words):
    problem = parse_line(CONV)
    flipped, tail = FAULTS["faulty:flipped"], FAULTS["faulty:width-tail-lost"]
    everyone = {**backends, "flipped": flipped(), "also": flipped(), "tail": tail()}
    verdict = vote(problem, _answers(problem, {name: everyone[name] for name in names}))
    assert verdict.undecided
    assert not verdict.unanimous
    assert (verdict.majority, dict(verdict.odd), verdict.silent) == ((), {}, ())
    assert verdict.clusters == clusters
    assert words in verdict.text


def test_a_loose_backend_that_agrees_with_both_sides_decides_nothing():
    problem = parse_line(REAL).with_(math="tf32")
    arrays = make_arrays(problem)
    y = Right().conv(arrays["x"], arrays["w"], arrays["b"], problem.window)
    wrong = (y * 1.0005).astype(np.float32)
    loose = Numerics(rounds_input_to="tf32")
    answers = {"a": ({"y": y}, Numerics()), "b": ({"y": wrong}, Numerics()), "loose": ({"y": y}, loose)}
    verdict = vote(problem, answers)
    assert verdict.undecided
    assert verdict.clusters == (("a", "loose"), ("b", "loose"))
    assert verdict.text.startswith("undecided, more than one cluster of more than half of 3 voters; a, loose agree")
    assert "times 1.0005" in verdict.text


def test_the_odd_one_is_measured_against_the_tightest_that_contradicts_it():
    problem = parse_line(REAL).with_(math="tf32")
    arrays = make_arrays(problem)
    y = Right().conv(arrays["x"], arrays["w"], arrays["b"], problem.window)
    loose = Numerics(rounds_input_to="tf32")
    answers = {"loose": ({"y": y}, loose), "a": ({"y": y}, Numerics()), "b": ({"y": y}, Numerics())}
    assert vote(problem, {**answers, "odd": ({"y": -y}, Numerics())}).odd["odd"].note.startswith("against a")
    answers |= {"odd": ({"y": (y * 1.0005).astype(np.float32)}, Numerics())}
    verdict = vote(problem, answers)  # here the loose one agrees with both sides, and yet one cluster leads
    assert (verdict.majority, set(verdict.odd)) == (("loose", "a", "b"), {"odd"})
    assert verdict.odd["odd"].note.startswith("against a")


def test_indices_are_compared_only_under_one_tie_rule():
    problem = parse_line("max_pool x=2x3x9x8 kernel=3x3 stride=1 data=integer")
    last = FAULTS["faulty:last-tie-wins"]()
    answers = _answers(problem, {"a": Right(), "b": Right(), "last": last})
    verdict = vote(problem, answers)
    assert (verdict.majority, set(verdict.odd)) == (("a", "b"), {"last"})
    assert verdict.odd["last"].what == "indices"
    outputs, numerics = answers["last"]
    assert vote(problem, {**answers, "last": (outputs, replace(numerics, ties="last"))}).unanimous
    assert vote(problem, answers, comparable=lambda output, a, b: output != "indices" or "last" not in (a, b)).unanimous


def test_what_is_not_comparable_is_silent():
    problem = parse_line(CONV)
    answers = _answers(problem, {"a": Right(), "b": Right(), "c": Right(), "d": FAULTS["faulty:flipped"]()})
    verdict = vote(problem, answers, comparable=lambda output, a, b: "d" not in (a, b))
    assert (verdict.majority, dict(verdict.odd), verdict.silent) == (("a", "b", "c"), {}, ("d",))
    assert not verdict.unanimous
    assert verdict.text == "3 of 4 agree: a, b, c; nothing is shown about d"


def test_agreement_within_vacuous_bounds_counts_for_nothing():
    problem = parse_line("conv x=1x64x9x9 w=2x64x5x5 dtype=float16 data=uniform")
    loose = Numerics(accumulator={"float16": "bfloat16"})
    answers = {
        name: (outputs, loose) for name, (outputs, _) in _answers(problem, dict.fromkeys("abc", Right())).items()
    }
    verdict = vote(problem, answers)
    assert verdict.undecided
    assert verdict.clusters == (("a",), ("b",), ("c",))
    assert verdict.text.endswith("c stands alone; no two contradict each other")


def test_where_nothing_is_promised_nothing_is_odd(backends):
    """A transform promises nothing at the scale of subnormals, and differs there from backends that do."""
    problem = parse_line("conv_input_grad x=2x4x8x10 w=6x2x2x3 pad=0:1,2:0 groups=2 data=subnormal")
    answers = _answers(problem, {**backends, "right": Right()})
    assert (answers["fft"][0]["dx"] != answers["right"][0]["dx"]).any()
    verdict = vote(problem, answers)
    assert (verdict.majority, dict(verdict.odd)) == (("numpy-direct", "im2col", "right"), {})
    assert verdict.silent == ("fft",)
    flushed = FAULTS["faulty:scaled"]()
    flushed.conv_input_grad = lambda dy, w, x_shape, window: np.zeros(x_shape, np.float32)
    assert set(vote(problem, {**answers, **_answers(problem, {"flushed": flushed})}).odd) == {"flushed"}


def test_an_answer_of_another_form_contradicts_all():
    problem = parse_line(CONV)
    answers = _answers(problem, {"a": Right(), "b": Right()})
    y = answers["a"][0]["y"]
    for outputs, words in (
        ({}, "d gave no y"),
        ({"y": y[..., :-1]}, "d gave y of shape (3, 32, 9, 13), wanted (3, 32, 9, 14)"),
    ):
        verdict = vote(problem, {**answers, "c": answers["b"], "d": (outputs, Numerics())})
        assert verdict.majority == ("a", "b", "c")
        assert verdict.odd["d"].describe() == words
        assert words in verdict.text


def test_a_declared_spread_of_nan_is_excused(backends):
    problem = parse_line("conv x=2x3x9x10 w=4x3x3x3 data=nonfinite")
    answers = _answers(problem, {"a": Right(), "b": Right(), "im2col": backends["im2col"]})
    y = answers["a"][0]["y"]
    spread = (np.where(np.isfinite(y).all(axis=(1, 2, 3), keepdims=True), y, np.nan), Numerics())
    assert np.isnan(spread[0]).sum() > np.isnan(y).sum()
    found = vote(problem, {**answers, "spread": ({"y": spread[0]}, Numerics())})
    assert set(found.odd) == {"spread"}
    assert not vote(problem, {**answers, "spread": ({"y": spread[0]}, Numerics(nan_local=False))}).odd


def test_no_declaration_excuses_a_nan_of_another_image(backends):
    problem = parse_line("conv x=2x3x9x10 w=4x3x3x3 data=normal")
    arrays = make_arrays(problem)
    arrays["x"][0, 1, 4, 4] = np.nan
    y = Right().conv(arrays["x"], arrays["w"], None, problem.window)
    image = np.where(np.isnan(y).any(axis=(1, 2, 3), keepdims=True), np.nan, y)
    answers = {name: ({"y": y}, Numerics()) for name in "abc"}
    for spread, odd in ((image, set()), (np.full_like(y, np.nan), {"fft"})):
        cast = {**answers, "fft": ({"y": spread}, Numerics(algorithm="fft", nan_local=False))}
        assert set(vote(problem, cast, arrays=arrays).odd) == odd


def test_an_empty_batch_shows_nothing():
    problem = parse_line("conv x=0x3x9x10 w=4x3x3x3")
    verdict = vote(problem, _answers(problem, dict.fromkeys("abc", Right())))
    assert verdict.undecided
    assert not verdict.odd


@given(st.lists(st.integers(0, 3), min_size=3, max_size=8))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_clusters_are_those_of_equal_answers(votes):
    """If agreement is transitive, clusters are the classes, and the majority is the class of more than half."""
    problem = parse_line("conv_bias_grad x=1x1x3 w=4x1x1 data=integer")
    answers = {f"v{i}": ({"db": np.full(4, float(value))}, Numerics()) for i, value in enumerate(votes)}
    verdict = vote(problem, answers)
    classes = {tuple(f"v{i}" for i, other in enumerate(votes) if other == value) for value in votes}
    assert set(verdict.clusters) == classes
    most = [c for c in classes if 2 * len(c) > len(votes)]
    assert (verdict.majority,) == (tuple(most) or ((),))
    assert set(verdict.odd) == ({*answers} - {*most[0]} if most else set())
