"""Each fault is really applied to a reference answer, on whole numbers and on real ones within their bound."""

import math
import warnings

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from harness import Numerics, parse_line
from harness.laws.diagnosis import pattern
from harness.laws.diagnosis.pattern import describe_pattern, ulps
from harness.laws.error_bounds import is_exact, magnitude, rounding_bound, sum_bound
from harness.problems import reference
from harness.problems.data import make_arrays

CONV = "conv x=3x4x11x15 w=32x4x3x2 bias"
SQUARE = "conv x=3x4x11x12 w=8x4x2x3 bias"
CUBE = "conv x=2x3x9x9x9 w=4x3x3x3x3"
ROW = "conv x=3x3x40 w=6x3x5"
KERNEL = "conv_weight_grad x=2x4x9x10 w=8x4x5x5 stride=1"
REGIMES = ("integer", "normal")


def _solve(line, regime):
    """Problem, inputs, the wanted answer, the rounded right answer and the bound."""
    problem = parse_line(f"{line} data={regime}")
    arrays = make_arrays(problem)
    wanted = reference.compute(problem, arrays)[problem.operator.outputs[0]]
    if is_exact(problem, Numerics(), arrays):
        return arrays, wanted, wanted.astype(np.float32), 0.0
    bound = sum_bound(problem, Numerics(), arrays, magnitude(problem, arrays)) + rounding_bound(problem, wanted)
    return arrays, wanted, wanted.astype(np.float32), bound


def _zero(y, *index):
    y = y.copy()
    y[index] = 0
    return y


def _permute(y, order):
    return y[:, order].copy()


ALL = slice(None)
FAULTS = [
    ("nothing written", CONV, lambda y: 0 * y, "got 0 everywhere"),
    ("nan", CONV, lambda y: y + np.nan, "got NaN everywhere"),
    ("one value", CONV, lambda y: 0 * y + 7.5, "got 7.5 everywhere"),
    ("exchanged", SQUARE, lambda y: y.swapaxes(2, 3), "got the wanted answer with axis 0 and axis 1 exchanged"),
    ("mirrored", CONV, lambda y: y[..., ::-1], "got the wanted answer flipped along axis 1"),
    (
        "turned", CONV, lambda y: y[:, :, ::-1, ::-1],
        "got the wanted answer flipped along axis 0 and axis 1 (turned by 180 degrees)",
    ),
    (
        "quarter turn", SQUARE, lambda y: np.rot90(y, 1, (2, 3)),
        "got the wanted answer with axis 0 and axis 1 exchanged and flipped along axis 0",
    ),
    (
        "axes cycled", CUBE, lambda y: np.moveaxis(y, 4, 2),
        "got the wanted answer with its axes in the order axis 2, axis 0, axis 1",
    ),
    (
        "laid out wrongly", CONV, lambda y: np.ascontiguousarray(y.swapaxes(2, 3)).reshape(y.shape),
        "got the wanted answer with axis 0 and axis 1 exchanged in memory",
    ),
    (
        "channels last", CONV, lambda y: np.ascontiguousarray(np.moveaxis(y, 1, -1)).reshape(y.shape),
        "got the wanted answer with its axes in the order image, axis 0, axis 1, channel in memory",
    ),
    ("rolled", CONV, lambda y: np.roll(y, 1, 3), "got the wanted answer shifted by +1 along axis 1, cyclically"),
    ("shifted", CONV, lambda y: np.pad(y, ((0, 0), (0, 0), (0, 2), (1, 0)))[:, :, 2:, :-1],
     "got the wanted answer shifted by -2 along axis 0 and +1 along axis 1"),
    ("shifted in depth", CUBE, lambda y: np.pad(y, ((0, 0), (0, 0), (1, 0), (0, 0), (0, 2)))[:, :, :-1, :, 2:],
     "got the wanted answer shifted by +1 along axis 0 and -2 along axis 2"),
    ("shifted row", ROW, lambda y: np.pad(y, ((0, 0), (0, 0), (3, 0)))[:, :, :-3],
     "got the wanted answer shifted by +3 along axis 0"),
    ("first image", CONV, lambda y: y[:1] + 0 * y, "got the answer of image 0 for every image"),
    ("last image", CONV, lambda y: y[-1:] + 0 * y, "got the answer of image 2 for every image"),
    ("images reversed", CONV, lambda y: y[::-1], "got the images in reverse order"),
    ("channels reversed", CONV, lambda y: y[:, ::-1], "got the channels in reverse order"),
    ("channels rolled", CONV, lambda y: np.roll(y, -3, 1), "got the channels rolled by -3"),
    (
        "channels shuffled", CONV, lambda y: _permute(y, np.arange(32).reshape(8, 4).T.ravel()),
        "got the channels interleaved from 8 groups",
    ),
    (
        "groups reversed", CONV, lambda y: _permute(y, np.arange(32).reshape(4, 8)[::-1].ravel()),
        "got the 4 groups of channels in reverse order",
    ),
    (
        "reversed in groups", CONV, lambda y: _permute(y, np.arange(32).reshape(4, 8)[:, ::-1].ravel()),
        "got the channels in reverse order within each of 4 groups",
    ),
    ("two channels", SQUARE, lambda y: _permute(y, [0, 5, 2, 3, 4, 1, 6, 7]), "got channels 1 and 5 exchanged"),
    (
        "channels permuted", SQUARE, lambda y: _permute(y, [0, 5, 2, 3, 4, 6, 1, 7]),
        "got the channels in the order 0, 5, 2, 3, 4, 6, 1, 7",
    ),
    ("a little more", CONV, lambda y: y * np.float32(1.0005), "got the wanted value times 1.0005"),
    ("doubled", CONV, lambda y: y * 2, "got the wanted value times 2"),
    ("a third", CONV, lambda y: y / np.float32(3), "got the wanted value times 1/3"),
    ("two thirds", CONV, lambda y: y * np.float32(2 / 3), "got the wanted value times 2/3"),
    ("mean", CONV, lambda y: y / np.float32(375), "got the wanted value times 1/375"),
    ("negated", CONV, lambda y: -y, "got the wanted value negated"),
    ("offset", CONV, lambda y: y + 13, "got the wanted value plus 13"),
    ("offset down", CONV, lambda y: y - 2.5, "got the wanted value minus 2.5"),
    ("rectified", CONV, lambda y: np.maximum(y, 0), "got 0 wherever wanted is negative"),
    ("negatives only", CONV, lambda y: np.minimum(y, 0), "got 0 wherever wanted is positive"),
    ("saturated", CONV, lambda y: np.minimum(y, 2), "got 2 wherever wanted is more"),
    (
        "tail of columns", CONV, lambda y: _zero(y, ALL, ALL, ALL, slice(12, None)),
        "got 0; only where axis 1 >= 12 (the last 2, a multiple of 4)",
    ),
    ("tail of channels", CONV, lambda y: y * np.where(np.arange(32) % 16 >= 13, 3, 1).reshape(-1, 1, 1),
     "got the wanted value times 3; only where channel % 16 >= 13"),
    ("tail of both", CONV, lambda y: np.where((np.arange(32) % 16 >= 13)[:, None, None] & (np.arange(14) >= 12), -y, y),
     "got the wanted value negated; only where channel % 16 >= 13 and axis 1 >= 12 (the last 2, a multiple of 4)"),
    ("one position", CONV, lambda y: _zero(y, ALL, ALL, 3, 4), "got 0; only where position = (3, 4)"),
    ("every third", CONV, lambda y: _zero(y, ALL, ALL, slice(1, None, 3)), "got 0; only where axis 0 % 3 == 1"),
    ("last image lost", CONV, lambda y: _zero(y, 2), "got 0; only where image = 2 (the last)"),
    ("other images lost", CONV, lambda y: _zero(y, slice(1, None)), "got 0; only where image >= 1 (the last 2)"),
    ("last channel lost", CONV, lambda y: _zero(y, ALL, 31), "got 0; only where channel = 31 (the last)"),
    ("kernel turned", KERNEL, lambda w: w[..., ::-1, ::-1],
     "got the wanted answer flipped along tap axis 0 and tap axis 1 (turned by 180 degrees)"),
    ("one tap", KERNEL, lambda w: _zero(w, ALL, ALL, 4, 1), "got 0; only where tap = (4, 1)"),
    ("filters reversed", KERNEL, lambda w: w[::-1], "got the filters in reverse order"),
    ("one filter", KERNEL, lambda w: _zero(w, 7), "got 0; only where filter = 7 (the last)"),
    ("last tap row", KERNEL, lambda w: _zero(w, ALL, ALL, 4), "got 0; only where tap axis 0 = 4 (the last, a multiple"),
]  # fmt: skip


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("line", "fault", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_named(line, fault, words, regime):
    arrays, wanted, right, bound = _solve(line, regime)
    kernel = line is KERNEL
    got = np.ascontiguousarray(fault(right)).astype(np.float32)
    found = describe_pattern(got, wanted, bound, kernel=kernel, bias=arrays.get("b"))
    assert found.partition(" wrong: ")[2].startswith(words), found
    assert describe_pattern(right, wanted, bound, kernel=kernel) == ""


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("line", "fault", "words"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_one_more_wrong_element_refutes_what_is_said_of_all(line, fault, words, regime):
    """Exact rules: a single element that does not fit takes the whole statement away."""
    _, wanted, right, bound = _solve(line, regime)
    got = np.ascontiguousarray(fault(right)).astype(np.float32)
    rule = words.partition(";")[0]
    for step in (0, 1, -1):  # near the middle, where every rule looks
        spoilt = got.copy()
        spoilt[tuple(n // 2 + step * (n > 3) for n in got.shape)] = 1000
        assert not describe_pattern(spoilt, wanted, bound, kernel=line is KERNEL).partition(": ")[2].startswith(rule)


@pytest.mark.parametrize("regime", REGIMES)
def test_what_happened_to_the_bias_is_named(regime):
    arrays, wanted, right, bound = _solve(CONV, regime)
    b = arrays["b"].reshape(1, -1, 1, 1)
    faults = {
        "got the wanted answer without the bias": right - b,
        "got the wanted answer with the bias added twice": right + b,
        "got the wanted answer with the bias subtracted": right - 2 * b,
        "got each channel off by a constant of its own": right + 3 * b,
        "got each image off by a constant of its own": right + b[0, :3, :, :, None].reshape(3, 1, 1, 1),
        "got each map (image, channel) off by a constant of its own": right - b + b[0, :3].reshape(3, 1, 1, 1),
    }
    for words, got in faults.items():
        found = describe_pattern(got, wanted, bound, bias=arrays["b"])
        assert found.partition(" wrong: ")[2].partition(";")[0] == words, found
    found = describe_pattern(right - b, wanted, bound)
    assert "off by a constant of its own, as of a bias lost or added twice" in found


@pytest.mark.parametrize("regime", REGIMES)
def test_a_border_is_named_with_its_sides(regime):
    """The edge is repeated where zeros belong: two rows above, one column to the right."""
    problem = parse_line(f"conv x=2x4x10x12 w=6x4x3x3 pad=2:0,0:1 data={regime}")
    arrays = make_arrays(problem)
    plain = parse_line(f"conv x=2x4x12x13 w=6x4x3x3 data={regime}")
    wide = np.pad(arrays["x"], ((0, 0), (0, 0), (2, 0), (0, 1)), mode="edge")
    wanted = reference.conv(arrays["x"], arrays["w"], None, problem.window)
    got = reference.conv(wide, arrays["w"], None, plain.window)
    found = describe_pattern(got, wanted, 0.0 if regime == "integer" else 1e-9)
    assert found.partition(": ")[2].startswith("only on the border, where axis 0 < 2 or axis 1 = 10 (the last)")


def test_the_bias_gradient_has_filters():
    _, wanted, right, _ = _solve("conv_bias_grad x=3x4x11x15 w=16x4x3x2", "integer")
    assert describe_pattern(right[::-1], wanted) == "16 of 16 wrong: got the filters in reverse order"
    assert describe_pattern(_zero(right, slice(12, None)), wanted) == (
        "4 of 16 wrong: got 0; only where filter >= 12 (the last 4, a multiple of 4), all there"
    )
    assert describe_pattern(right / 405, wanted).endswith("got the wanted value times 1/405")


@pytest.mark.parametrize(("name", "bits"), [("bfloat16", 8), ("float16", 11)])
def test_a_shorter_format_is_named(name, bits):
    _, wanted, right, bound = _solve(CONV, "normal")
    short = right.astype(ml_dtypes.bfloat16 if name == "bfloat16" else np.float16).astype(np.float32)
    assert f"got the wanted value rounded to {bits} bits ({name}" in describe_pattern(short, wanted, bound)


def test_a_few_nan_are_counted_and_placed():
    _, wanted, right, _ = _solve(CONV, "integer")
    right[2, 31, 8, 13] = np.nan
    assert describe_pattern(right, wanted) == "1 of 12096 wrong: got NaN; only at [2, 31, 8, 13], the last element"
    right[0, :, 3, 4] = np.nan
    assert describe_pattern(right, wanted) == "33 of 12096 wrong: got NaN"
    right[2, 31, 8, 13] = wanted[2, 31, 8, 13]
    assert describe_pattern(right, wanted) == (
        "32 of 12096 wrong: got NaN; only where image = 0 (the first) and position = (3, 4), all there"
    )


@pytest.mark.parametrize("shape", [(3, 8, 9, 14), (2, 4, 5, 6, 7), (16, 4, 3, 3), (2, 3, 40), (12,), (2, 2, 2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_garbage_is_only_counted(shape, seed):
    rng = np.random.default_rng(seed)
    real, whole = rng.standard_normal((2, *shape)), rng.integers(-8, 9, size=(2, *shape))
    found = describe_pattern(real[0], real[1], 1e-6)
    assert found == f"{real[0].size} of {real[0].size} wrong"
    found = describe_pattern(whole[0], whole[1])
    assert found == f"{np.count_nonzero(whole[0] != whole[1])} of {whole[0].size} wrong"


def test_errors_just_beyond_the_bound_have_no_cause():
    _, wanted, _, bound = _solve(CONV, "normal")
    signs = np.random.default_rng(0).choice((-1.05, 1.05), size=wanted.shape)
    for allowed in (bound, 1e-6 * np.abs(wanted)):
        found = describe_pattern((wanted + signs * allowed).astype(np.float32), wanted, allowed)
        assert found == f"{found.split()[0]} of {wanted.size} wrong"


def test_a_bound_as_large_as_the_answer_explains_nothing():
    """A number that is cut off is no small multiple of the wanted one, however large the error allowed to that."""
    rng = np.random.default_rng(0)
    wanted = np.ldexp(rng.standard_normal((3, 8, 9, 14)), 40)
    got = rng.uniform(1, 2, size=wanted.shape)
    assert describe_pattern(got, wanted, 2.0**-24 * np.abs(wanted).max()) == "3024 of 3024 wrong"


def test_nothing_is_said_of_what_cannot_be_compared():
    assert describe_pattern(np.zeros((2, 3)), np.zeros((3, 2))) == ""
    assert describe_pattern(np.zeros(1), np.ones(1)) == ""
    assert describe_pattern(np.zeros(0), np.zeros(0)) == ""
    assert describe_pattern(np.ones(3), np.ones(3)) == ""
    assert describe_pattern(np.array(["a", "b"]), np.array(["a", "c"])) == ""
    assert describe_pattern(None, 3) == ""


VALUES = st.one_of(
    st.floats(width=32), st.sampled_from((0.0, -0.0, 1.0, -1.0, 2.0, math.nan, math.inf, -math.inf, 1e308, 5e-324))
)
SHAPES = arrays_of.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
DTYPES = st.sampled_from(("float64", "float32", "float16", "int64", "int8", "uint8", "bool", "bfloat16", "complex64"))


@given(st.data(), SHAPES, DTYPES, DTYPES, st.booleans())
@settings(max_examples=400, deadline=None, derandomize=True)
def test_it_never_raises(data, shape, one, other, kernel):
    """Asked of the function within the guard, so that the guard hides nothing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # NaN into whole numbers, complex into real ones: the test's own casts
        t = data.draw(arrays_of.arrays("float64", shape, elements=VALUES))
        change = data.draw(st.sampled_from(("garbage", "flip", "scale", "roll", "some")))
        if change == "garbage":
            g = data.draw(arrays_of.arrays("float64", shape, elements=VALUES))
        elif change == "some":
            g = np.where(data.draw(arrays_of.arrays(bool, shape)), data.draw(VALUES), t)
        else:
            g = {"flip": np.flip(t), "scale": t * data.draw(VALUES), "roll": np.roll(t, 1, -1 if shape else None)}[
                change
            ]
        bound = data.draw(st.one_of(VALUES, arrays_of.arrays("float64", shape, elements=VALUES)))
        bias = data.draw(st.none() | arrays_of.arrays("float32", shape[1:2], elements=st.floats(width=32)))
        g, t = g.astype(one), t.astype(other)
        found = pattern._describe(g, t, bound, kernel, bias)
    assert found == describe_pattern(g, t, bound, kernel=kernel, bias=bias)
    assert found == "" or " wrong" in found


def test_the_guard_answers_where_the_rules_cannot(monkeypatch):
    monkeypatch.setattr(pattern, "_values", lambda case: 1 / 0)
    assert describe_pattern(np.arange(9.0), np.ones(9)) == ""


@pytest.mark.parametrize(
    ("got", "wanted", "dtype", "distance"),
    [
        (1.0, 1.0, "float32", 0.0),
        (1 + 2.0**-23, 1.0, "float32", 1.0),
        (1 + 2.0**-22, 1.0, "float32", 2.0),
        (2 - 2.0**-22, 2.0, "float32", 1.0),
        (1 + 2.0**-7, 1.0, "bfloat16", 1.0),
        (1 + 2.0**-10, 1.0, "float16", 1.0),
        (1 + 2.0**-10, 1.0, "tf32", 1.0),
        (1 + 2.0**-52, 1.0, "float64", 1.0),
        (1 + 2.0**-24, 1.0, "float32", 0.5),
        (3 * 2.0**-149, 0.0, "float32", 3.0),
        (5e-324, 0.0, "float64", 1.0),
        (0.0, 2.0**-126, "float32", 2.0**23),
        (math.inf, 3.0e38, "float32", math.inf),
        (math.nan, 1.0, "float32", math.inf),
        (math.nan, math.nan, "float32", 0.0),
        (math.inf, math.inf, "float32", 0.0),
        (-math.inf, math.inf, "float32", math.inf),
    ],
)
def test_units_in_the_last_place(got, wanted, dtype, distance):
    assert ulps(np.array([1.0, got]), np.array([1.0, wanted]), dtype) == distance


@pytest.mark.parametrize("name", ["float64", "float32", "float16"])
def test_units_agree_with_the_spacing_of_numpy(name):
    values = np.random.default_rng(0).standard_normal(200).astype(name) * np.array(2, name) ** np.arange(-8, 8).repeat(
        13
    )[:200].astype(name)
    next_ = np.nextafter(values, np.array(np.inf, name))
    for a, b in zip(values, next_, strict=True):
        assert ulps(np.array([b]), np.array([a]), name) == float(
            abs(b.astype("f8") - a.astype("f8")) / np.spacing(abs(a))
        )
    assert ulps(np.zeros(0), np.zeros(0), name) == 0.0
