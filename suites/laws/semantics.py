"""Declared semantics: choices that a backend is free to make, and must declare; each law compares both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, declaration, law
from harness.backend import UnsupportedError
from harness.laws import check_outputs, input_rounding
from harness.problems import FORMATS, Array, DeviceArray, Outputs, make_arrays, reference
from suites.laws.refusals import TYPED

MAX, AVG = Operator.max_pool, Operator.avg_pool


def _indices_with(subject: BackendUnderTest, problem: Problem, x: Array) -> tuple[Array, Array]:
    """The backend's maxima of x and where it found them."""
    found = subject.run(problem, {"x": x})
    return found["y"], found["indices"]


def _which(indices: Array, rules: Mapping[str, Array]) -> str:
    """The name of the rule that all indices follow, or the share that follows each."""
    for name, wanted in rules.items():
        if np.array_equal(indices, wanted):
            return name
    shares = [f"{name} in {float(np.mean(indices == wanted)):.0%}" for name, wanted in rules.items()]
    return f"neither always: {', '.join(shares)}"


@law(tolerance="declared", when=lambda p: p.operator is MAX and p.data == "integer")
def ties_are_indexed_as_declared(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """all x equal  =>  indices[i] is the first, or the last, place of window i, as declared

    In row-major order. Asked on a constant array and on one of two values.
    """
    promise = subject.numerics().ties
    few = (make_arrays(problem)["x"] > 0).astype(float)
    for x in (np.ones(problem.x), few):
        _, indices = _indices_with(subject, problem, x)
        rules = {rule: reference.max_pool(x, problem.window, ties=rule)[1] for rule in ("first", "last")}
        observed = _which(indices, {promise: rules[promise], **rules})
        if observed != promise:
            return declaration(False, f"{promise} of several maxima", observed)
    return declaration(True, promise, promise)


@law(tolerance="declared", when=lambda p: p.operator is MAX and p.data == "integer")
def nan_is_indexed_as_declared(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """all x NaN  =>  y[i] = NaN, and indices[i] is the first, or the last, place of window i, as declared

    In row-major order; also where half of the elements are NaN.
    """
    promise = subject.numerics().nan_index
    some = np.where(make_arrays(problem)["x"] > 0, np.nan, 1.0)
    for x in (np.full(problem.x, np.nan), some):
        y, indices = _indices_with(subject, problem, x)
        held = np.isnan(reference.max_pool(x, problem.window)[0])
        if not np.array_equal(np.isnan(y), held):
            return declaration(
                False, "NaN wins over all", f"NaN in {int(np.isnan(y).sum())} of {int(held.sum())} windows"
            )
        rules = {r: reference.max_pool(x, problem.window, nan_index=r)[1][held] for r in ("first", "last")}
        observed = _which(indices[held], {promise: rules[promise], **rules})
        if observed != promise:
            return declaration(False, f"{promise} of several NaN", observed)
    return declaration(True, promise, promise)


@law(tolerance="declared", when=lambda p: p.operator is MAX and p.data == "integer")
def signed_zeros_as_declared(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x of -0 and +0  =>  y[i] is the zero that lies first in window i, or the positive one, as declared

    The sign of a zero is a bit that IEEE 754 leaves to the maximum.
    """
    promise = subject.numerics().signed_zeros
    x = np.where(make_arrays(problem)["x"] > 0, 0.0, -0.0)
    y, _ = _indices_with(subject, problem, x)
    first = np.signbit(reference.max_pool(x, problem.window)[0])
    positive = np.signbit(reference.max_pool(np.where(np.signbit(x), -1.0, 0.0), problem.window)[0])
    rules = {"first": first, "positive": positive}
    observed = _which(np.signbit(y), {promise: rules[promise], **rules})
    return declaration(observed == promise, f"the {promise} zero", observed)


def _shape_of(subject: BackendUnderTest, problem: Problem, arrays: Mapping[str, Array]) -> tuple[int, ...] | str:
    """Shape of the first output, before the harness checks it; or the error that was raised."""
    try:
        result: Outputs = subject.plain(problem, subject.devices(problem, arrays)).run()
    except UnsupportedError:
        raise
    except TYPED as error:
        return f"raises {type(error).__name__}"
    return tuple((result[0] if isinstance(result, tuple) else result).shape)


@law(tolerance="declared", when=lambda p: p.operator.pools and p.window.ceil_mode and p.data == "integer")
def ceil_rule(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """P = ceil((n + b + e - m') / s) + 1, and one less if (P-1) s >= n + b

    The rule (specification, section 4) is not the backend's to choose:
    a window that starts in the end padding is dropped.
    """
    window, wanted = problem.window, problem.shapes[problem.operator.outputs[0]]
    if problem.operator not in (MAX, AVG):
        return declaration(True, "the forward rule", "follows the forward operator")
    sizes = zip(problem.x[2:], window.reach(problem.kernel), window.stride, window.padding, strict=True)
    kept = tuple(-(-(n + b + e - r) // s) + 1 for n, r, s, (b, e) in sizes)
    shape = _shape_of(subject, problem, make_arrays(problem))
    said = {wanted: "drops a window that starts in the end padding"}
    if kept != wanted[2:]:
        said[(*wanted[:2], *kept)] = "keeps a window that starts in the end padding"
    observed = shape if isinstance(shape, str) else said.get(shape, f"shape {shape}")
    return declaration(shape == wanted, said[wanted], observed)


@law(tolerance="declared", when=lambda p: p.operator is AVG and p.data == "integer")
def divisor_rule(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """avg_pool(1) = taps inside x / divisor; the divisor counts explicit padding if asked, never the ceil overhang

    The rule (specification, section 4) is not the backend's to choose. Where rules agree on a geometry,
    the first is named.
    """
    window, y = problem.window, subject.run(problem, {"x": np.ones(problem.x)})["y"].astype(np.float64)
    counted = reference.avg_pool(np.ones(problem.x), window) * reference.divisor_map(problem.x[2:], window)
    divisor = np.divide(counted, y, out=np.ones_like(y), where=(counted > 0) & (y > 0))
    from dataclasses import replace

    include, exclude = (
        reference.divisor_map(problem.x[2:], replace(window, count_include_pad=count)) for count in (True, False)
    )
    rules = {
        "padding counts, overhang does not": include,
        "only what lies in the input counts": exclude,
        "all taps count": np.full_like(include, np.prod(problem.kernel)),
    }
    promise = list(rules)[0 if window.count_include_pad else 1]
    close = {name: np.rint(np.where(counted > 0, np.broadcast_to(rule, y.shape), 1.0)) for name, rule in rules.items()}
    observed = _which(np.rint(divisor), {promise: close[promise], **close})
    return declaration(observed == promise, promise, observed)


def _empty(problem: Problem) -> bool:
    """Geometries for laws of empty arrays: whole numbers, no turned kernel."""
    return problem.data == "integer" and not problem.flip


@law(tolerance="declared", when=_empty)
def empty_batch(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x of no images  =>  y of no images; dw = 0 and db = 0

    Where a backend declares that it takes no empty batch, it must refuse.
    """
    return _ask_empty(subject, problem.with_(x=(0, *problem.x[1:])), subject.numerics().empty_batch, "an empty batch")


def _without_channels(problem: Problem) -> Problem:
    """The problem with nothing to sum over."""
    window, x = problem.window, (problem.x[0], 0, *problem.x[2:])
    if problem.w is None:
        return problem.with_(x=x)
    from dataclasses import replace

    inputs = 0 if problem.operator is Operator.conv_transpose else 1
    w = tuple(0 if axis == inputs else size for axis, size in enumerate(problem.w))
    return problem.with_(x=x, w=w, window=replace(window, groups=1))


@law(tolerance="declared", when=_empty)
def zero_channels(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x of no channels  =>  y[n,o,i] = b[o], and 0 without a bias: a sum over nothing

    Where a backend declares that it takes none, it must refuse.
    """
    return _ask_empty(subject, _without_channels(problem), subject.numerics().zero_channels, "zero input channels")


def _ask_empty(subject: BackendUnderTest, problem: Problem, takes: bool, what: str) -> Deviation:
    """Ask for nothing, and compare with the reference or with the refusal that was declared."""
    arrays = make_arrays(problem)
    shape = _shape_of(subject, problem, arrays)
    wanted = problem.shapes[problem.operator.outputs[0]]
    promise = "taken" if takes else "refused"
    if isinstance(shape, str):
        return declaration(not takes, f"{what} {promise}", shape)
    if shape != wanted:
        return declaration(False, f"{what} {promise}, shape {wanted}", f"gives shape {shape}")
    right = check_outputs(
        problem, subject.numerics(), arrays, subject.run(problem, arrays), reference.compute(problem, arrays)
    )
    return declaration(right.passed and takes, f"{what} {promise}", "taken" if right.passed else right.describe())


@law(tolerance="declared", when=lambda p: _empty(p) and p.layout == "channels-last")
def layouts_are_taken(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x with channels last) = f(x); in which order the answer lies is shown

    Shapes stay N, C, *S: the layout is an order in memory.
    """
    arrays = make_arrays(problem)
    call = subject.plain(problem, subject.devices(problem, arrays))
    result: Outputs = call.run()
    wanted = reference.compute(problem, arrays)
    right = check_outputs(problem, subject.numerics(), arrays, call.fetch(result), wanted)
    first = result[0] if isinstance(result, tuple) else result
    return declaration(right.passed, "right in both", _order(first) if right.passed else right.describe())


def _order(a: DeviceArray) -> str:
    """In which order an array of the backend lies in memory."""
    if a.ndim < 3:
        return ""  # one axis lies in one way
    strides = a.stride() if callable(getattr(a, "stride", None)) else a.strides
    last = strides[1] == min(strides[axis] for axis in range(a.ndim) if a.shape[axis] > 1 or axis == 1)
    return "taken; answers with channels last" if last and a.shape[1] > 1 else "taken; answers with channels first"


def _keeps_subnormals(got: Array, wanted: Array, smallest: float) -> str:
    representable = np.abs(wanted) >= smallest
    flushed = (got.astype(np.float64) == 0) & representable
    return "kept" if not flushed.any() else f"flushed to zero in {float(flushed[representable].mean()):.0%}"


@law(tolerance="declared", when=lambda p: p.data == "subnormal")
def subnormals_as_declared(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """x a whole multiple of the smallest subnormal  =>  f(x) is not flushed to zero, if so declared

    A norm-wise algorithm promises nothing at that scale.
    """
    arrays, name = make_arrays(problem), problem.operator.outputs[0]
    wanted = reference.compute(problem, arrays)
    observed = _keeps_subnormals(subject.run(problem, arrays)[name], wanted[name], FORMATS[problem.dtype].smallest)
    numerics = subject.numerics()
    keeps = numerics.keeps_subnormals and not numerics.normwise and not input_rounding(problem, numerics)
    promise = "kept" if keeps else "flushed"
    return declaration(promise == "flushed" or observed == "kept", f"subnormals {promise}", observed)
