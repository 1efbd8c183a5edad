"""The probes tell arithmetic apart that is declared from arithmetic that is not, in every order of summation."""

from dataclasses import replace

import numpy as np
import pytest

from harness import Numerics, parse_line
from harness.laws.subject import BackendUnderTest
from suites.geometries import CONVOLUTIONS
from suites.laws import precision
from tests.faulty.right import Right

BITS = {"float64": 53, "float32": 24, "float16": 24, "bfloat16": 24}
ORDERS = {
    "forwards": lambda terms: _chain(terms),
    "backwards": lambda terms: _chain(terms[::-1]),
    "shuffled": lambda terms: _chain([terms[i] for i in np.random.default_rng(5).permutation(len(terms))]),
    "pairwise": lambda terms: _pairwise(terms),
    "in blocks": lambda terms: _chain([terms[i : i + 4] for i in range(0, len(terms), 4)]),
}


def _chain(terms):
    return ("chain", terms)


def _pairwise(terms):
    return terms if len(terms) < 2 else [_pairwise(terms[: len(terms) // 2]), _pairwise(terms[len(terms) // 2 :])]


def _short(a, bits):
    fraction, exponent = np.frexp(a)
    return np.ldexp(np.rint(np.ldexp(fraction, bits)), exponent - bits)


def _add(tree, bits):
    if isinstance(tree, np.ndarray):
        return tree
    parts = tree[1] if isinstance(tree, tuple) else tree
    total = _add(parts[0], bits)
    for part in parts[1:]:
        total = _short(total + _add(part, bits), bits)
    return total


class Ordered(Right):
    """Adds exact products one after another, rounding each sum to a number of bits."""

    name = "ordered"

    def __init__(self, order, bits):
        self.order, self.bits = order, bits

    def conv(self, x, w, b, window):
        terms = []
        for place in range(w[0].size):
            one = np.where(np.arange(w[0].size).reshape(w.shape[1:]) == place, w, 0)
            terms.append(super().conv(x.astype(np.float64), one.astype(np.float64), None, window))
        return _add(ORDERS[self.order](terms), self.bits).astype(x.dtype)


def _apply(law, backend, line):
    problem = parse_line(line)
    assert law.applies(problem), line
    return law.check(BackendUnderTest(backend, problem), problem)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("dtype", BITS)
def test_the_declared_accumulator_passes_in_any_order_and_one_two_bits_shorter_in_none(order, dtype):
    for shape in ("row", "grouped", "pointwise"):
        line = f"conv {CONVOLUTIONS[shape]} dtype={dtype} data=integer"
        assert _apply(precision.sums_keep_small_terms, Ordered(order, BITS[dtype]), line).passed
        assert not _apply(precision.sums_keep_small_terms, Ordered(order, BITS[dtype] - 2), line).passed


def test_sums_in_float16_pass_only_where_they_are_declared():
    line = f"conv {CONVOLUTIONS['row']} dtype=float16 data=integer"
    backend = Ordered("forwards", 11)
    assert not _apply(precision.sums_keep_small_terms, backend, line).passed
    backend.numerics = Numerics(accumulator={})
    assert _apply(precision.sums_keep_small_terms, backend, line).passed


def test_norm_wise_classes_are_asked_with_as_large_an_m_as_their_bound_bears():
    line = f"conv {CONVOLUTIONS['uneven']} data=integer"
    backend = Right()
    direct = _apply(precision.sums_keep_small_terms, backend, line)
    backend.numerics = Numerics(algorithm="fft", nan_local=False)
    transformed = _apply(precision.sums_keep_small_terms, backend, line)
    exponents = [int(d.what.rpartition("^")[2]) for d in (direct, transformed)]
    assert direct.passed and transformed.passed
    assert exponents[0] == 22 and 6 <= exponents[1] < 16


class Rounds(Right):
    """Rounds its inputs to eleven bits."""

    name = "rounds"

    def conv(self, x, w, b, window):
        x, w = (_short(a.astype(np.float64), 11).astype(a.dtype) for a in (x, w))
        return super().conv(x, w, b, window)


def test_rounded_inputs_pass_only_where_they_are_declared_and_permitted():
    line = f"conv {CONVOLUTIONS['uneven']}"
    backend = Rounds()
    assert not _apply(precision.one_term_is_a_copy, backend, line).passed
    backend.numerics = replace(backend.numerics, rounds_input_to="tf32")
    assert not _apply(precision.one_term_is_a_copy, backend, line).passed
    assert _apply(precision.one_term_is_a_copy, backend, f"{line} math=tf32").passed


@pytest.mark.parametrize("operator", ["conv", "conv_input_grad", "conv_weight_grad"])
@pytest.mark.parametrize("shape", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_every_sum_of_the_copy_has_at_most_one_term_and_the_copy_is_not_empty(operator, shape):
    problem = parse_line(f"{operator} {shape}")
    fixed = precision.make_one_term(problem)
    first = {"conv": ("x", problem.x), "conv_input_grad": ("dy", problem.y), "conv_weight_grad": ("x", problem.x)}
    name, size = first[operator]
    arrays = {name: np.ones(size), "dy" if operator == "conv_weight_grad" else "w": fixed}
    counts = BackendUnderTest(Right(), problem).run(problem, arrays)[problem.operator.outputs[0]]
    assert set(np.unique(counts)) <= {0.0, 1.0}
    assert counts.sum() > 0


def test_an_output_below_the_normal_numbers_may_be_off_by_the_smallest_one():
    problem = parse_line("conv x=1x1x3 w=1x1x1 dtype=float16")
    y = np.array([1.0, 2.0**-14, 2.0**-15])
    assert precision.find_underflow(problem, y, 8.0).tolist() == [0, 0, 9 * 2.0**-24]
    assert precision.find_underflow(problem, y, 0.5).tolist() == [0, 1.5 * 2.0**-24, 1.5 * 2.0**-24]


class Flushes(Right):
    """Takes small inputs for zero."""

    name = "flushes"

    def conv_transpose(self, x, w, b, window, output_padding):
        return super().conv_transpose(np.where(np.abs(x) < 2.0**-10, 0, x), w, b, window, output_padding)


def test_a_threshold_breaks_the_scaling_and_a_nondeterministic_backend_keeps_its_bound():
    line = "conv_transpose x=2x4x6 w=4x3x3 stride=2 pad=1:0 output_padding=1"
    assert not _apply(precision.scales_by_powers_of_two, Flushes(), line).passed
    backend = Right()
    backend.numerics = Numerics(deterministic=False)
    assert _apply(precision.scales_by_powers_of_two, backend, line).kind == "bound"


def test_sums_that_would_overflow_float16_are_refused():
    problem = parse_line("conv x=1x9000x1 w=1x9000x1 dtype=float16 data=uniform")
    arrays = {"x": np.full(problem.x, 1.0), "w": np.full(problem.w, 1.0)}
    precision.refuse_overflow(problem, arrays, 1.0)
    with pytest.raises(precision.NotExactError, match="float16"):
        precision.refuse_overflow(problem, arrays, 8.0)
