"""Laws of the convolution theorem: wide convolution of one channel seen through its Fourier transform."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness import BackendUnderTest, Deviation, Problem, compare_arrays, law, worst_of
from harness.laws import magnitude, rounding_bound, sum_bound
from harness.problems import Array, Sizes, make_arrays, rot180
from suites.laws.convolution import is_wide

U = 2.0**-53  # of the transforms on the side of the law
TRANSFORM = 7.0  # relative error of a transform per unit roundoff and level


@dataclass(frozen=True, slots=True)
class Wide:
    """A wide convolution on real data as it was answered: y = x ⊛ k, all of space alone and in float64.

    error: bound on |y - x ⊛ k|, element by element, of the class that the backend declares.
    """

    x: Array
    k: Array
    y: Array
    error: Array

    @property
    def lengths(self) -> Sizes:
        """Powers of two that hold S + K - 1, so that nothing wraps around."""
        return tuple(1 << (n - 1).bit_length() for n in self.y.shape)

    @property
    def product(self) -> Array:
        """F(x) F(k)."""
        return spectrum(self.x, self.lengths) * spectrum(self.k, self.lengths)


def answer(subject: BackendUnderTest, problem: Problem) -> Wide:
    """Ask for the problem's convolution on data of full significands; a correlation is turned into one."""
    real = problem.with_(data="normal")
    arrays = make_arrays(real)
    y, numerics = subject.run(real, arrays)["y"].astype(np.float64), subject.numerics(real)
    error = sum_bound(real, numerics, arrays, magnitude(real, arrays)) + rounding_bound(real, y)
    x, w = (arrays[name].astype(np.float64) for name in ("x", "w"))
    return Wide(x[0, 0], (w if problem.flip else rot180(w))[0, 0], y[0, 0], np.broadcast_to(error, y.shape)[0, 0])


def spectrum(a: Array, lengths: Sizes) -> Array:
    """F_N(a): the Fourier transform of these lengths; longer arrays are wrapped around first."""
    padded = np.pad(a, tuple((0, -size % n) for size, n in zip(a.shape, lengths, strict=True)))
    for axis, n in enumerate(lengths):
        shape = (*padded.shape[:axis], -1, n, *padded.shape[axis + 1 :])
        padded = padded.reshape(shape).sum(axis=axis)
    return np.asarray(np.fft.fftn(padded))


def bound_transforms(wide: Wide, lengths: Sizes) -> float:
    """Rounding of the law's own three transforms: |F(x) F(k) - F(y)| <= 3 eta log2(N) sqrt(N) |x|_1 |k|_1.

    A transform of N numbers has ||error|| <= eta log2(N) ||F(a)|| with eta = 7 u (Higham 2002, theorem 24.2, with
    twiddle factors rounded once), ||F(a)|| = sqrt(N) ||a|| <= sqrt(N) |a|_1, |F(a)[f]| <= |a|_1, |y|_1 <= |x|_1 |k|_1.
    """
    points = math.prod(lengths)
    sizes = float(np.abs(wide.x).sum() * np.abs(wide.k).sum())
    return 3 * TRANSFORM * U * max(1.0, math.log2(points)) * math.sqrt(points) * sizes


def _parts(a: Array) -> Array:
    """A complex array as its real and its imaginary part."""
    return np.stack([a.real, a.imag])


@law(tolerance="norm", when=is_wide)
def convolution_theorem(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """F_N(x ⊛_wide k) = F_N(x) F_N(k), for N >= S + K - 1; for every N, where what is longer is wrapped around

    One channel, stride and dilation 1, real data; k is w, turned where the problem is a correlation. The second half
    says that circular convolution is the wide one wrapped: N is the largest power of two within S.
    Bound: |F(y)[f] - F(x ⊛ k)[f]| <= sum of the backend's own bound over all elements, as every factor of the transform
    has size 1; to it comes the rounding of the law's own transforms, in float64.
    """
    wide = answer(subject, problem)
    deviations = []
    for lengths in (wide.lengths, tuple(1 << (n.bit_length() - 1) for n in wide.x.shape)):
        wanted = spectrum(wide.x, lengths) * spectrum(wide.k, lengths)
        allowed = float(wide.error.sum()) + bound_transforms(wide, lengths)
        got, name = spectrum(wide.y, lengths), "x".join(map(str, lengths))
        deviations.append(compare_arrays(_parts(got), _parts(wanted), allowed, what=f"F_{name}(x ⊛ k)", kind="norm"))
    return worst_of(*deviations)


@law(tolerance="norm", when=is_wide)
def parseval_identity(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """N ‖x ⊛_wide k‖² = sum over f of |F_N(x)[f] F_N(k)[f]|²

    One channel, stride and dilation 1, real data, N >= S + K - 1. The energy of the answer is that of the spectra's
    product, which owes nothing to the backend. Compared as norms: | ‖a‖ - ‖b‖ | <= ‖a - b‖.
    """
    wide = answer(subject, problem)
    points = math.prod(wide.lengths)
    wanted = np.linalg.norm(wide.product.reshape(-1)) / math.sqrt(points)
    allowed = np.linalg.norm(wide.error.reshape(-1)) + bound_transforms(wide, wide.lengths)
    got = np.linalg.norm(wide.y.reshape(-1))
    return compare_arrays(np.asarray([got]), np.asarray([wanted]), float(allowed), what="‖x ⊛ k‖", kind="norm")


@law(tolerance="norm", when=is_wide)
def young_inequality(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """‖x ⊛_wide k‖_p <= ‖x‖_p |k|_1, for p = 1, 2 and infinity

    One channel, stride and dilation 1, real data. What is reported is the larger of both sides against the right one.
    """
    wide = answer(subject, problem)
    y, x, error = (a.reshape(-1) for a in (wide.y, wide.x, wide.error))
    mass, orders = float(np.abs(wide.k).sum()), (1, 2, np.inf)
    most = np.asarray([np.linalg.norm(x, p) * mass for p in orders])
    got = np.asarray([np.linalg.norm(y, p) for p in orders])
    allowed = np.asarray([np.linalg.norm(error, p) for p in orders]) + y.size * U * most
    return compare_arrays(np.maximum(got, most), most, allowed, what="‖x ⊛ k‖_p against ‖x‖_p |k|_1", kind="norm")
