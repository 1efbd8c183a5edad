"""Guards that run before a backend computes: refuse windows that do not fit, and answer empty problems.

They take arrays of any library, so that no backend's own arithmetic divides by zero or reshapes an empty array.
The checks take shapes and cost some microseconds; they raise GeometryError.
"""

from __future__ import annotations

from typing import Any, TypeVar

from harness import GeometryError, Window
from harness.problems import Sizes, device_options, find_namespace

A = TypeVar("A", bound=Any)  # an array, of any library


def conv_shape(x: Sizes, w: Sizes, window: Window) -> Sizes:
    """Return the shape of y of `conv`.

    x, w: shapes of the input (N, C, *S) and the kernel (O, C/groups, *K). Raises GeometryError if `window` does not
    fit.
    """
    window.check_conv(x, w)
    return (x[0], w[0], *window.output_shape(x[2:], w[2:]))


def transposed_shape(x: Sizes, w: Sizes, window: Window, output_padding: Sizes) -> Sizes:
    """Return the shape of y of `conv_transpose`.

    x, w: shapes of the input (N, C, *S) and the kernel (C, O/groups, *K). output_padding: one number per axis.
    Raises GeometryError if `window` does not fit.
    """
    window.check_transposed(x, w, output_padding)
    return (x[0], w[1] * window.groups, *window.transposed_shape(x[2:], w[2:], output_padding))


def pool_shape(x: Sizes, window: Window) -> Sizes:
    """Shape of y of a pooling operator."""
    if window.kernel is None:
        raise GeometryError("impossible geometry: got no kernel size, wanted one per axis")
    return (*x[:2], *window.output_shape(x[2:], window.kernel))


def check_gradient(dy: Sizes, y: Sizes) -> None:
    """Raise GeometryError unless dy has the shape of the forward operator's y."""
    if tuple(dy) != y:
        raise GeometryError(f"impossible geometry: got dy of shape {tuple(dy)}, wanted {y} as the window gives")


def is_empty(*shapes: Sizes) -> bool:
    """Return True if an array of one of these shapes has no elements, so that all sums over it are empty."""
    return any(0 in shape for shape in shapes)


def sum_of_nothing(like: A, shape: Sizes, b: A | None = None) -> A:
    """Return the answer to an empty problem: zeros, or the bias of each channel.

    like: array of the library, dtype and device. shape: n c *s of the answer. b: bias (c,) or None.
    """
    y: A = find_namespace(like).zeros(shape, dtype=like.dtype, **device_options(like))
    if b is not None:
        y += b.reshape(1, -1, *(1,) * (len(shape) - 2))
    return y
