"""Convolution is linear over the complex numbers, where a backend says that its `conv` takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, law, worst_of
from harness.backend import UnsupportedError, refusal_reason
from harness.laws import NotExactError, is_exact
from harness.problems import Array, DeviceArray, apply_layout, rot180
from suites.laws.common import equal, kernel_shape, step, wide
from suites.laws.shapes import filled_conv

COMPLEX: dict[str, np.dtype[Any]] = {"float32": np.dtype(np.complex64), "float64": np.dtype(np.complex128)}


@law(tolerance="exact", when=lambda p: filled_conv(p) and p.dtype in COMPLEX)
def complex_linearity(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv(x + iu, w + iv) = conv(x, w) - conv(u, v) + i (conv(u, w) + conv(x, v)), also for v = 0; bias b + id

    Nothing is conjugated. The complex arrays go straight to the backend's own `conv`, the real ones too. Any window,
    flipped or not; u, v and d of -1, 0 and 1 keep the sums exact.
    """
    _refuse(subject, problem)
    shape, b, d, c = kernel_shape(problem), None, None, None
    x, w = wide(problem, "x", problem.x), wide(problem, "w", shape)
    u, v = step(problem, "u", problem.x), step(problem, "v", shape)
    if problem.bias:
        b, d = wide(problem, "b", shape[:1]), step(problem, "d", shape[:1])
        c = b + 1j * d
    real, turned = subject.conv(x, w, b, flip=problem.flip), subject.conv(u, w, d, flip=problem.flip)
    crossed = subject.conv(x, v, flip=problem.flip)
    squared = subject.conv(u, v, flip=problem.flip)
    return worst_of(
        _equal(_conv(subject, problem, x + 1j * u, w, c), real, turned, "conv(x + iu, w)"),
        _equal(
            _conv(subject, problem, x + 1j * u, w + 1j * v, c), real - squared, turned + crossed, "conv(x + iu, w + iv)"
        ),
    )


def _refuse(subject: BackendUnderTest, problem: Problem) -> None:
    """Raise UnsupportedError where the backend's own method does not take complex arrays."""
    if not subject.backend.takes_complex:
        raise UnsupportedError(f"{subject.backend.name} takes no complex arrays")
    reason = refusal_reason(subject.backend, problem.with_(flip=False))
    if reason is not None:
        raise UnsupportedError(reason)


def _conv(subject: BackendUnderTest, problem: Problem, x: Array, w: Array, b: Array | None) -> Array:
    """The backend's own `conv` on complex arrays in the problem's layout. Raises NotExactError, ValueError."""
    backend, numerics, dtype = subject.backend, subject.numerics(problem), COMPLEX[problem.dtype]
    sizes = {"x": _size(x), "w": _size(w)} | ({} if b is None else {"b": _size(b)})
    if not is_exact(problem, numerics, sizes):
        raise NotExactError(f"complex sums of {problem.line} are not exact in {dtype} ({numerics.algorithm})")
    given: tuple[Array | None, ...] = (x, rot180(w) if problem.flip else w, b)
    devices = [None if a is None else backend.to_device(apply_layout(a.astype(dtype), problem.layout)) for a in given]
    conv: Callable[..., DeviceArray] = getattr(backend, Operator.conv.value)  # _refuse() has seen it
    y = conv(*devices, problem.window)
    backend.synchronize()
    host = np.array(backend.to_host(y))
    if host.dtype != dtype or host.shape != problem.y:
        raise ValueError(f"conv gave y as {host.dtype} of shape {host.shape}, wanted {dtype} of shape {problem.y}")
    host = host.astype(np.complex128)
    return np.rint(host.real) + 1j * np.rint(host.imag) if numerics.normwise else host


def _size(a: Array) -> Array:
    """|Re| + |Im|, which bounds every product of the parts."""
    return np.asarray(np.abs(a.real) + np.abs(a.imag))


def _equal(got: Array, real: Array, imaginary: Array, what: str) -> Deviation:
    return equal(np.stack([got.real, got.imag]), np.stack([real, imaginary]), f"Re and Im of {what}")
