"""Right but different orders of summation: no law may fail them."""

from dataclasses import replace

import numpy as np

import harness
from harness.problems.calling import bind_operator
from harness.problems.taps import EVERY, pad_or_crop, tap_slices
from tests.faulty.right import Right

BLOCK = 8


def _terms(x, w, window):
    """Products of one convolution before they are summed, one group at a time: k terms of n o/g *p, in float32."""
    out = window.output_shape(x.shape[2:], w.shape[2:])
    padded = pad_or_crop(x, window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
    o, c = w.shape[0] // window.groups, w.shape[1]
    for g in range(window.groups):
        part, kernel = padded[:, g * c : (g + 1) * c], w[g * o : (g + 1) * o]
        terms = [
            kernel[(slice(None), channel, *tap)].reshape(1, o, *(1,) * window.axes)
            * part[(*EVERY, *at)][:, channel : channel + 1]
            for tap, at in tap_slices(out, w.shape[2:], window)
            for channel in range(c)
        ]
        yield terms, (x.shape[0], o, *out)


def _sum_dtype(x):
    return np.float64 if x.dtype == np.float64 else np.float32


class InOrder(Right):
    """Sums its products in an order of its own, in the accumulator that it declares."""

    takes_complex = False
    numerics = harness.Numerics(deterministic=False)

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        wide = _sum_dtype(x)
        groups = [self.add(terms, shape, wide) for terms, shape in _terms(x.astype(wide), w.astype(wide), window)]
        y = np.concatenate(groups, axis=1)
        return (y if b is None else y + b.astype(wide).reshape(1, -1, *(1,) * window.axes)).astype(x.dtype)


class Shuffled(InOrder):
    """Another order in every call."""

    name = "control:shuffled"

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def add(self, terms, shape, wide):
        total = np.zeros(shape, wide)
        for k in self.rng.permutation(len(terms)):
            total += terms[k]
        return total


class Blocked(InOrder):
    """Blocks of eight products are summed, then the blocks."""

    name = "control:blocked"
    numerics = harness.Numerics()

    def add(self, terms, shape, wide):
        total = np.zeros(shape, wide)
        for start in range(0, len(terms), BLOCK):
            block = np.zeros(shape, wide)
            for term in terms[start : start + BLOCK]:
                block += term
            total += block
        return total


class Rounded(Right):
    """Inputs rounded to TF32 where the problem permits it and the declaration says so, sums in float32."""

    name = "control:tf32"
    numerics = harness.Numerics(algorithm="gemm")

    def numerics_for(self, problem):
        return replace(self.numerics, rounds_input_to="tf32") if _permits(problem) else self.numerics

    def prepare(self, problem, arrays):
        if not _permits(problem):
            return super().prepare(problem, arrays)
        return lambda: bind_operator(
            self, problem, {k: a if k == "b" else round_to_tf32(a) for k, a in arrays.items()}
        )()


def _permits(problem):
    return problem.math == "tf32" and problem.dtype == "float32" and not problem.operator.pools


def round_to_tf32(a):
    """Nearest number of eleven significand bits."""
    bits = np.array(a, dtype=np.float32, order="C").view(np.uint32)
    return ((bits + 0x0FFF + ((bits >> 13) & 1)) & 0xFFFFE000).view(np.float32)


@harness.hookimpl
def register_backends(register):
    for control in (Shuffled, Blocked, Rounded):
        register(control())
