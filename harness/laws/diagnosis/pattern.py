"""Pattern of a wrong answer in words: which values replace the wanted ones, and where.

A rule is stated only if it is exact: it explains every wrong element, within the error allowed there, and contradicts
no right one. Each rule is first tried on a few wrong elements, so that an array of a million takes milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from harness.laws.diagnosis.rearrangement import BLOCK, LEAST, Case, agree, describe_rearrangement
from harness.laws.diagnosis.region import describe_region
from harness.problems.arrays import Array, Flags, Reals
from harness.problems.numerics import FORMATS

SAMPLES = 64  # wrong elements on which a rule is tried first
LOUD = 4.0  # times the allowed error: smaller differences are not explained
SHORT = ((8, "bfloat16"), (11, "float16 or tf32"), (24, "float32"))


def describe_pattern(
    got: Array, wanted: Array, bound: Array | float = 0.0, *, kernel: bool = False, bias: Array | None = None
) -> str:
    """Describe in a few words how a wrong answer differs from the wanted one; "" if there is nothing to say.

    got, wanted: any dtype, n c *s; with `kernel` o c *k; or (o,).
    bound: allowed |got - wanted|, of the same shape or a scalar.
    kernel: whether the arrays are gradients of the kernel.
    bias: b (o,) of the problem, if it has one.
    Never raises.
    """
    try:
        with np.errstate(all="ignore"):
            return apply_rules(got, wanted, bound, kernel, bias)
    except Exception:  # a diagnosis must not turn a failed comparison into an error
        return ""


def ulps(got: Array, wanted: Array, dtype_name: str) -> float:
    """Return the distance of the worst element, in units in the last place of the wanted value in a format.

    got, wanted: same shape, any dtype.
    dtype_name: a key of FORMATS, else KeyError.
    0 if all are equal, inf if NaN or an infinity is on one side only. Below the normal range a unit is the smallest
    subnormal.
    """
    form = FORMATS[dtype_name]
    g, t = np.asarray(got).astype(np.float64), np.asarray(wanted).astype(np.float64)
    differ = ~((g == t) | (np.isnan(g) & np.isnan(t)))
    if not differ.any():
        return 0.0
    g, t = g[differ], t[differ]
    with np.errstate(all="ignore"):
        last = np.where(t == 0, 0.0, np.ldexp(1.0, np.frexp(t)[1] - form.bits))
        unit = np.maximum(last, form.smallest)
        distance = np.abs(g - t) / unit
    return float(np.where(np.isfinite(distance), distance, math.inf).max())


def apply_rules(got: Array, wanted: Array, bound: Array | float, kernel: bool, bias: Array | None) -> str:
    """Describe a wrong output as `describe_pattern` does, without its guard against errors.

    got, wanted: outputs n c *p. bound: of the difference, likewise or a scalar. kernel: True for the gradient of a
    kernel. bias: that was added, or None.
    """
    got, wanted = np.asarray(got), np.asarray(wanted)
    if got.shape != wanted.shape or got.size < 2 or "c" in (got.dtype.kind, wanted.dtype.kind):
        return ""
    g, t = (np.ascontiguousarray(a.astype(np.float64, copy=False)) for a in (got, wanted))
    limit = np.broadcast_to(np.asarray(bound).astype(np.float64), t.shape)
    limit = limit if np.ndim(bound) == 0 else np.ascontiguousarray(limit)
    wrong = np.empty(g.shape, dtype=bool)
    flat = [a.reshape(-1) for a in (wrong, g, t, limit)]
    for i in range(0, g.size, BLOCK):
        flat[0][i : i + BLOCK] = ~agree(*(a[i : i + BLOCK] for a in flat[1:]))
    places = np.flatnonzero(wrong)
    if not places.size:
        return ""
    some = places[np.unique(np.linspace(0, places.size - 1, SAMPLES).astype(np.intp))]
    case = Case(
        g=g, t=t, limit=limit, wrong=wrong, count=places.size, names=_name_axes(g.ndim, kernel),
        flat=some, at=np.unravel_index(some, g.shape), bits=_count_bits(got, g.reshape(-1)[some]),
    )  # fmt: skip
    point = "tap" if kernel else "position"
    whole = _constant(case) or describe_rearrangement(case)
    if whole:
        parts = [whole]
    else:
        parts = [_offset(case, bias, kernel) or _values(case), describe_region(wrong, case.names, point)]
    text = "; ".join(part for part in parts if part)
    return f"{case.count} of {g.size} wrong" + (f": {text}" if text else "")


def _name_axes(axes: int, kernel: bool) -> tuple[str, ...]:
    if axes == 1:
        return ("filter",)
    if kernel:
        taps = ("tap",) if axes == 3 else tuple(f"tap axis {axis}" for axis in range(axes - 2))
        return ("filter", "channel", *taps)
    return ("image", "channel", *(f"axis {axis}" for axis in range(axes - 2)))


def _count_bits(got: Array, values: Reals) -> int:
    """Return the significand bits of the answer; for one that was widened to float64, as found from its values."""
    name = str(got.dtype)
    bits = FORMATS[name].bits if name in FORMATS else 53
    return 24 if bits == 53 and bool(np.all(_is_short(values, 24))) else bits


def _is_short(values: Reals, bits: int) -> Flags:
    """Return True for numbers that fit a significand of `bits` bits."""
    scaled = np.ldexp(np.frexp(values)[0], bits)
    return np.asarray(scaled == np.rint(scaled))


def _number(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value + 0.0:.6g}"  # no -0


def _constant(case: Case) -> str:
    first = float(case.g.flat[0])
    values = case.g[case.at]
    if agree(values, first, 0.0).all() and agree(case.g, first, 0.0).all():
        return f"got {_number(first)} everywhere"
    return ""


def _offset(case: Case, bias: Array | None, kernel: bool) -> str:
    """Describe a constant offset of each channel, image or map."""
    shape, space = case.g.shape, tuple(range(2, case.g.ndim))
    if kernel or not space:
        return ""
    part = (case.at[0][:1], case.at[1][:1])  # one map with a wrong element: does it move as a whole?
    error, allowed = case.g[part] - case.t[part], case.limit[part]
    if not np.ptp(error) <= 2 * LOUD * allowed.max() or error.size * shape[0] < LEAST:
        return ""
    difference = case.g - case.t
    high, low, room = difference.max(axis=space), difference.min(axis=space), case.limit.max(axis=space)
    wrong = case.wrong.any(axis=space)
    for kept, words in (((1,), "channel"), ((0,), "image"), ((0, 1), "map (image, channel)")):
        if case.g.size // math.prod(shape[axis] for axis in kept) < LEAST:
            continue
        others = tuple(axis for axis in (0, 1) if axis not in kept)
        top, bottom, most = (np.asarray(f(a, axis=others, keepdims=True)) for f, a in (
            (np.max, high), (np.min, low), (np.max, room),
        ))  # fmt: skip
        middle, loud = (top + bottom) / 2, np.abs(top + bottom) > 2 * LOUD * most
        if not (top - bottom <= 4 * most).all() or (wrong & ~loud).any():
            continue
        known = _describe_bias(middle, loud, most, bias) if kept == (1,) else ""
        if known:
            return known
        if np.ptp(middle[loud]) <= 4 * most.max():
            return ""  # one constant for all elements: `_added` describes it
        hint = ", as of a bias lost or added twice" if kept == (1,) and bias is None else ""
        return f"got each {words} off by a constant of its own{hint}"
    return ""


def _describe_bias(middle: Reals, loud: Flags, room: Reals, bias: Array | None) -> str:
    """Describe an error in the bias, if its values are known; arrays: 1 c."""
    if bias is None or np.size(bias) != middle.size:
        return ""
    b = np.asarray(bias).astype(np.float64).reshape(middle.shape)
    for factor, words in ((-1, "without the bias"), (1, "with the bias added twice"), (-2, "with the bias subtracted")):
        if (np.abs(middle - factor * b) <= 4 * room)[loud].all():
            return f"got the wanted answer {words}"
    return ""


def _values(case: Case) -> str:
    g, t, limit = case.g[case.at], case.t[case.at], case.limit[case.at]
    if agree(g, g[:1], 0.0).all():
        return _same_value(case, float(g[0]))
    if case.count < LEAST:
        return ""
    return _scaled(case, g, t, limit) or _added(case, g, t, limit) or _shortened(case, g, t, limit)


def _same_value(case: Case, value: float) -> str:
    """Describe one value in place of all wrong ones: nothing written, NaN, or cut off."""
    few = case.count < LEAST
    if (few and value and math.isfinite(value)) or not case.every_wrong(lambda g, t, limit: agree(g, value, 0.0)):
        return ""
    if not few and case.g.min() == value and case.every_wrong(lambda g, t, limit: t < value):
        return f"got {_number(value)} wherever wanted is {'negative' if not value else 'less'}"
    if not few and case.g.max() == value and case.every_wrong(lambda g, t, limit: t > value):
        return f"got {_number(value)} wherever wanted is {'positive' if not value else 'more'}"
    return f"got {_number(value)}"


def _scaled(case: Case, g: Reals, t: Reals, limit: Reals) -> str:
    """Describe the wanted value times one factor, written with as few digits as the data allow."""
    pivot = int(np.argmax(np.abs(t)))
    factor = float(g[pivot] / t[pivot]) if t[pivot] else math.nan
    if not math.isfinite(factor) or not factor:
        return ""
    own = abs(factor) * float(limit[pivot] / abs(t[pivot]))  # the factor's own uncertainty

    def room(g: Reals, t: Reals, limit: Reals) -> Reals:
        return np.asarray(abs(factor) * limit + own * np.abs(t) + 2.0 ** (2 - case.bits) * np.abs(g))

    within = room(g, t, limit)
    loud = np.minimum(np.abs(g - t), np.abs(g)) > LOUD * within
    if np.count_nonzero(loud) < LEAST or not (np.abs(g - factor * t) <= within).all():
        return ""
    value, text = next((s for s in _round(factor) if (np.abs(g - s[0] * t) <= within).all()), (factor, repr(factor)))
    if not case.every_wrong(lambda g, t, limit: np.abs(g - value * t) <= room(g, t, limit)):
        return ""
    return "got the wanted value negated" if value == -1 else f"got the wanted value times {text}"


def _round(factor: float) -> Iterator[tuple[float, str]]:
    """Yield simpler numbers near a factor: one or two digits, small fraction, one over a whole number, more digits."""
    digits = [f"{factor:.{d}g}" for d in range(1, 17)]
    yield from ((float(text), text) for text in digits[:2])
    small = Fraction(factor).limit_denominator(64)
    yield float(small), str(small)
    if 1 < abs(round(1 / factor)) < 10_000:
        one = Fraction(1, round(1 / factor))
        yield float(one), str(one)
    yield from ((float(text), text) for text in digits[2:])


def _added(case: Case, g: Reals, t: Reals, limit: Reals) -> str:
    """Describe the wanted value plus one constant."""
    difference = g - t
    constant = float(difference.max() + difference.min()) / 2
    if not (np.abs(difference - constant) <= 2 * limit).all() or not (abs(constant) > 2 * LOUD * limit).all():
        return ""
    if not case.every_wrong(lambda g, t, limit: np.abs(g - t - constant) <= 2 * limit):
        return ""
    return f"got the wanted value {'plus' if constant > 0 else 'minus'} {_number(abs(constant))}"


def _shortened(case: Case, g: Reals, t: Reals, limit: Reals) -> str:
    """Describe the wanted value rounded to fewer bits than the answer has."""
    for bits, name in SHORT:
        if bits >= case.bits or _is_short(t, bits).any():
            continue

        def holds(g: Reals, t: Reals, limit: Reals, bits: int = bits) -> Flags:
            return np.asarray((np.abs(g - t) <= 2.0 ** (1 - bits) * np.abs(t) + limit) & _is_short(g, bits))

        if holds(g, t, limit).all() and case.every_wrong(holds):
            return f"got the wanted value rounded to {bits} bits ({name})"
    return ""
