"""The arithmetic of a backend, measured by probes and compared with its declaration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness import BackendUnderTest, Deviation, Numerics, Operator, Problem, Window, declaration, law
from harness.laws import input_rounding, magnitude
from harness.problems import FORMATS, Array, array_generator, dtype_of, longest_sum, make_arrays, reference
from suites.laws.common import ALL

TRIALS = 16
NORMWISE = "an error per norm"
HUGE = 2.0**14
BITS = (8, 11, 24, 53)  # significands of bfloat16, float16 and TF32, float32, float64
NAMES = {8: "bfloat16", 11: "11 bits (TF32 or float16)", 24: "float32", 53: "float64"}


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Significand bits that survive in inputs, and in sums."""

    inputs: int
    sums: int

    def __str__(self) -> str:
        """The class in words."""
        return f"inputs in {NAMES[self.inputs]}, sums in {NAMES[self.sums]}"


def inner_products(subject: BackendUnderTest, problem: Problem, a: Array, b: Array) -> Array:
    """Compute <a[t], b> for every trial t, by the problem's operator on a kernel of one tap: a (trials, k), b (k,).

    subject: the backend. problem: the operator, dtype and `math`.
    The prepared call is used: it is the one that is timed, and it knows the problem's `math`.
    """
    (trials, terms), ones = a.shape, (1,) * problem.axes
    plain, operator = Window.of(problem.axes), problem.operator
    extra = ones if operator is Operator.conv_transpose else None
    if operator is Operator.conv_weight_grad:  # dw[0, t] = sum over positions of dy x[t]
        rest = (terms, *ones[1:])
        shape, w, first, second = (
            (1, trials, *rest),
            (1, trials, *ones),
            b.reshape(1, 1, *rest),
            a.reshape(1, trials, *rest),
        )
    elif operator is Operator.conv_input_grad:  # dx[t, 0] = sum over o of w[o] dy[t, o]
        shape, w = (trials, 1, *ones), (terms, 1, *ones)
        first, second = a.reshape(trials, terms, *ones), b.reshape(w)
    else:
        shape = (trials, terms, *ones)
        w = (terms, 1, *ones) if operator is Operator.conv_transpose else (1, terms, *ones)
        first, second = a.reshape(shape), b.reshape(w)
    probe = problem.with_(
        x=shape, w=w, window=plain, bias=False, output_padding=None if extra is None else (0,) * problem.axes,
        layout="channels-first", data="normal",
    )  # fmt: skip
    names = operator.spec.factors
    with subject.together():
        out = subject.prepare(probe, {names[0]: first, names[1]: second}).answer()[operator.outputs[0]]
    return np.asarray(out.astype(np.float64).reshape(-1))


def measure_inputs(subject: BackendUnderTest, problem: Problem, terms: int) -> int:
    """Return the bits of a single factor that reach the result if all other terms are zero; the worse of both operands.

    subject: the backend. problem: the operator, dtype and `math`. terms: of a sum.
    """
    rng, dtype = array_generator(problem, "inputs"), dtype_of(problem.dtype)
    values = (1.0 + rng.random(TRIALS)).astype(dtype).astype(np.float64)
    at = int(rng.integers(terms))
    one = np.zeros(terms)
    one[at] = 1.0
    first = inner_products(subject, problem, np.outer(values, one), one)
    second = [inner_products(subject, problem, one[None], value * one)[0] for value in values[:4]]
    error = max(float(np.max(np.abs(first / values - 1))), float(np.max(np.abs(np.array(second) / values[:4] - 1))))
    if not math.isfinite(error):
        return BITS[0]
    kept = FORMATS[problem.dtype].bits if error == 0 else -math.log2(error)
    return max((bits for bits in BITS if bits <= kept + 0.5), default=BITS[0])


def measure_sums(subject: BackendUnderTest, problem: Problem, terms: int) -> int:
    """Return the bits of the accumulator: the most of BITS for which 2^(bits-1) + 1 - 2^(bits-1) is 1.

    subject: the backend. problem: the operator, dtype and `math`. terms: of a sum.
    It holds for all places of the terms: each trial moves them. Products of powers of two reach beyond the range of
    short
    formats.
    """
    rng = array_generator(problem, "sums")
    best = BITS[0]
    for bits in BITS:
        if bits > 24 and problem.dtype != "float64":
            break
        high, low = (bits - 1 + 1) // 2, (bits - 1) // 2
        a = np.zeros((TRIALS, terms))
        b = np.full(terms, 2.0**low)
        for row in a:
            big, small, gone = rng.choice(terms, 3, replace=False)
            row[big], row[gone], row[small] = 2.0**high, -(2.0**high), 2.0**-low
        if not np.array_equal(inner_products(subject, problem, a, b), np.ones(TRIALS)):
            break
        best = bits
    return best


def declared_arithmetic(problem: Problem, numerics: Numerics) -> Arithmetic:
    """Arithmetic that the declaration implies for a problem."""
    own = FORMATS[problem.dtype].bits
    rounded = input_rounding(problem, numerics) > 0 and numerics.rounds_input_to is not None
    inputs = FORMATS[numerics.rounds_input_to].bits if rounded and numerics.rounds_input_to else own
    return Arithmetic(inputs=min(own, inputs), sums=min(numerics.sums_in(problem.dtype).bits, max(24, own)))


@law(
    tolerance="declared",
    when=lambda p: p.operator.spec.multiplies and p.data == "normal" and not p.flip,
    role="arithmetic",
)
def arithmetic_is_declared(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<v e_k, e_k> = v to p_in bits;  2^(p-1) + 1 - 2^(p-1) = 1 for p up to the bits of the sums

    Probes of one tap, with as many terms as the problem has; the measurement must equal the declaration. A norm-wise
    declaration must be needed: next to a number 2^14 times larger, a transform loses numbers that a window keeps.
    """
    numerics = subject.numerics()
    if numerics.normwise:
        observed = _measure_locality(subject, problem)
        return declaration(observed == NORMWISE, NORMWISE, observed)
    terms = min(4096, max(8, longest_sum(problem)))
    measured = Arithmetic(inputs=measure_inputs(subject, problem, terms), sums=measure_sums(subject, problem, terms))
    promise = declared_arithmetic(problem, numerics)
    return declaration(measured == promise, str(promise), str(measured))


def _measure_locality(subject: BackendUnderTest, problem: Problem) -> str:
    """True if one huge number increases the errors of windows without it, as only transforms of a whole input do.

    Measured only if it can show: for convolution in a dtype whose own rounding does not hide it.
    """
    hidden = problem.operator is not Operator.conv or problem.dtype not in ("float32", "float64")
    if hidden or subject.numerics().algorithm == "winograd":
        return NORMWISE
    probe = problem.with_(
        x=(1, 2, *(9,) * (problem.axes - 1), 33), w=(3, 2, *(2,) * (problem.axes - 1), 3), bias=False,
        window=Window.of(problem.axes), layout="channels-first",
    )  # fmt: skip
    arrays, errors = make_arrays(probe), []
    for corner in (1.0, HUGE):
        arrays["x"][(0, ALL, *(0,) * problem.axes)] = corner
        prepared = subject.prepare(probe, arrays)
        error = np.abs(prepared.answer()["y"] - reference.compute(probe, arrays)["y"])
        error[(0, ALL, *(0,) * problem.axes)] = 0.0  # the window that holds the number
        errors.append(float(error.max()))
    if errors[1] > 32 * errors[0]:
        return NORMWISE
    size = float(magnitude(probe, make_arrays(probe)).max())
    return f"an error per element, of {-math.log2(max(errors[0], 1e-300) / size):.0f} bits"
