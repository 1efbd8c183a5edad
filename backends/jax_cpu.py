"""JAX's own functions on the processor: `lax.conv_general_dilated`, `lax.reduce_window`, and their gradients by JAX.

It runs only where it is named: JAX compiles each shape anew, which takes longer than a law. Arrays of JAX cannot be
written, and calls return before they are computed: the harness renews arrays by `to_device`, and waits for results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from math import prod
from typing import Any, ClassVar

from harness import Backend, Numerics, Problem, Window, hookimpl
from harness.problems import (
    Array,
    Call,
    DeviceArray,
    DeviceArrays,
    Outputs,
    Padding,
    Sizes,
    mean_divisors,
    operator_arguments,
)

Compiled = Callable[..., Any]
LAYOUTS = {1: ("NCH", "OIH", "NCH"), 2: ("NCHW", "OIHW", "NCHW"), 3: ("NCDHW", "OIDHW", "NCDHW")}


class Jax(Backend):
    """JAX on the processor."""

    name = "jax"
    listed: ClassVar[bool] = False
    rate = 1e9
    dtypes = ("float64", "float32", "float16", "bfloat16")
    numerics: ClassVar[Numerics] = Numerics(algorithm="gemm")

    def probe(self) -> str | None:
        """Compile and run one tiny convolution, whose answer must be right."""
        import numpy as np

        try:
            one = self.to_device(np.ones((1, 1, 2), np.float32))
            found = float(self.to_host(self.conv(one, one, None, Window.of(1)))[0, 0, 0])
        except ImportError as error:
            return f"JAX cannot be imported: {error}; it needs pip install 'conv-harness[jax]'"
        except Exception as error:  # of any kind: a library without its compiled part, or without a processor
            return f"JAX does not run here: {type(error).__name__}: {error}; try pip install 'conv-harness[jax]'"
        return None if found == 2.0 else f"JAX gives {found:g} for a convolution that gives 2"

    def versions(self) -> dict[str, str]:
        """Versions of JAX and of its compiled part."""
        from importlib.metadata import version

        return {"jax": version("jax"), "jaxlib": version("jaxlib")}

    def to_device(self, array: Array) -> DeviceArray:
        """Return an array of JAX, in C order: JAX knows no other."""
        return import_jax().numpy.array(array)

    def to_host(self, array: DeviceArray) -> Array:
        """Return a NumPy array."""
        import numpy as np

        return np.asarray(array)

    def synchronize(self, result: Outputs = None) -> None:
        """Wait for a result."""
        import_jax().block_until_ready(result)

    def refusal_types(self) -> tuple[type[Exception], ...]:
        """Return the exception by which JAX says that it has no rule for an operation."""
        return (NotImplementedError,)

    def numerics_for(self, problem: Problem) -> Numerics:
        """Sums flush subnormals; those of float16, which are numbers of full size in float32, are kept."""
        return replace(self.numerics, keeps_subnormals=problem.dtype == "float16")

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Compile the call for its shapes; the call reads its arrays when it is made."""
        method = getattr(self, problem.operator.value)
        import_jax().block_until_ready(method(*operator_arguments(problem, arrays)))
        return lambda: method(*operator_arguments(problem, arrays))

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """Convolve by lax.conv_general_dilated."""
        window.check_conv(x.shape, w.shape)
        return compile_conv(window, b is not None)(x, w, *([] if b is None else [b]))

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Return JAX's gradient with respect to the input."""
        window.check_conv(x_shape, w.shape)
        return compile_conv_gradient(window, "x", tuple(x_shape))(dy, w)

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """Return JAX's gradient with respect to the kernel."""
        window.check_conv(x.shape, w_shape)
        return compile_conv_gradient(window, "w", tuple(w_shape))(dy, x)

    def conv_bias_grad(self, dy: DeviceArray) -> DeviceArray:
        """Sum over images and positions."""
        return compile_sum()(dy)

    def max_pool(self, x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
        """Reduce values together with their positions: JAX has no indices of maxima of its own."""
        window.check(x.shape[2:], window.kernel or ())
        found: tuple[DeviceArray, DeviceArray] = compile_max_pool(window)(x)
        return found

    def max_pool_grad(self, dy: DeviceArray, x: DeviceArray, indices: DeviceArray, window: Window) -> DeviceArray:
        """Add dy at the positions of the maxima."""
        if tuple(dy.shape[2:]) != window.output_shape(x.shape[2:], window.kernel or ()):
            raise ValueError(f"dy has the shape {dy.shape}, which the window does not give")
        return compile_scatter(tuple(x.shape))(dy, indices)

    def avg_pool(self, x: DeviceArray, window: Window) -> DeviceArray:
        """Sum by lax.reduce_window, and divide."""
        window.check(x.shape[2:], window.kernel or ())
        return compile_avg_pool(window)(x)

    def avg_pool_grad(self, dy: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Return JAX's gradient of the mean."""
        window.check(x_shape[2:], window.kernel or ())
        return compile_avg_pool_gradient(window, tuple(x_shape))(dy)


@cache
def import_jax() -> Any:
    """Import JAX with float64, on the processor, with the threads that the environment grants.

    XLA reads NPROC once, when it makes its pool; a limit that is set later does not reach it.
    """
    import os
    from importlib import import_module

    if granted := os.environ.get("OMP_NUM_THREADS"):
        os.environ.setdefault("NPROC", granted)
    jax: Any = import_module("jax")  # its types are not complete
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return jax


def convolve(x: DeviceArray, w: DeviceArray, window: Window) -> DeviceArray:
    """Return the convolution without a bias.

    x, w: n c *s and o c/g *k. window: of the problem.
    """
    return import_jax().lax.conv_general_dilated(
        x, w, window.stride, window.padding, rhs_dilation=window.dilation, feature_group_count=window.groups,
        dimension_numbers=LAYOUTS[x.ndim - 2], preferred_element_type=x.dtype,
    )  # fmt: skip


@cache
def compile_conv(window: Window, bias: bool) -> Compiled:
    """Return a compiled convolution, with a bias or without."""

    def apply(x: DeviceArray, w: DeviceArray, b: DeviceArray | None = None) -> DeviceArray:
        y = convolve(x, w, window)
        return y + b.reshape((1, -1) + (1,) * (x.ndim - 2)) if bias and b is not None else y

    compiled: Compiled = import_jax().jit(apply)
    return compiled


@cache
def compile_conv_gradient(window: Window, name: str, shape: Sizes) -> Compiled:
    """Return JAX's compiled gradient of a convolution, which is linear in x and in w.

    window: of the problem. name: `x` or `w`. shape: of that array.
    """
    jax = import_jax()

    def apply(dy: DeviceArray, other: DeviceArray) -> DeviceArray:
        function = (lambda x: convolve(x, other, window)) if name == "x" else (lambda w: convolve(other, w, window))
        _, pull = jax.vjp(function, jax.numpy.zeros(shape, dy.dtype))
        return pull(dy)[0]

    compiled: Compiled = jax.jit(apply)
    return compiled


@cache
def compile_sum() -> Compiled:
    """Return the compiled sum over images and positions."""
    compiled: Compiled = import_jax().jit(lambda dy: dy.sum(axis=(0, *range(2, dy.ndim))))
    return compiled


def cover_padding(x_shape: Sizes, window: Window) -> Padding:
    """Return the padding of pooling: at the end as far as the last window reaches, which ceil mode may lengthen.

    x_shape: n c *s. A negative number crops.
    """
    kernel = window.kernel or ()
    return window.cover(x_shape[2:], kernel)


def reduce_windows(operands: Any, initial: Any, join: Callable[..., Any], window: Window) -> Any:
    """Reduce windows by lax.reduce_window over the spatial axes, of arrays that are padded already.

    operands: one array n c *s, or several. initial: a value for each. join: joins two values of each.
    window: of the problem.
    """
    kernel = window.kernel or ()
    return import_jax().lax.reduce_window(
        operands, initial, join, (1, 1, *kernel), (1, 1, *window.stride), "VALID",
        window_dilation=(1, 1, *window.dilation),
    )  # fmt: skip


def crop(x: DeviceArray, padding: Padding, value: float) -> DeviceArray:
    """Pad or crop the spatial axes by lax.pad, which takes negative numbers.

    x: n c *s. padding: (begin, end) per axis. value: of the padding.
    """
    jax = import_jax()
    sides = ((0, 0, 0), (0, 0, 0), *((begin, end, 0) for begin, end in padding))
    return jax.lax.pad(x, jax.numpy.asarray(value, x.dtype), sides)


@cache
def compile_max_pool(window: Window) -> Compiled:
    """Return the compiled maxima with their flat positions; NaN wins, and of equal ones the first."""
    jax = import_jax()
    np = jax.numpy

    def join(one: Any, other: Any) -> Any:
        (x, i), (y, j) = one, other
        first = i < j
        either, both = np.isnan(x) | np.isnan(y), np.isnan(x) & np.isnan(y)
        left = np.where(both | (x == y), first, np.where(either, np.isnan(x), x > y))
        return np.where(left, x, y), np.where(left, i, j)

    def apply(x: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
        padding = cover_padding(x.shape, window)
        places = np.arange(prod(x.shape[2:]), dtype="int64").reshape((1, 1, *x.shape[2:]))
        largest = np.iinfo("int64").max
        kept = crop(x, padding, -np.inf)
        there = crop(np.broadcast_to(places, x.shape), padding, largest)
        initial = (np.asarray(-np.inf, x.dtype), np.asarray(largest, "int64"))
        y, indices = reduce_windows((kept, there), initial, join, window)
        return y, indices

    compiled: Compiled = jax.jit(apply)
    return compiled


@cache
def compile_scatter(x_shape: Sizes) -> Compiled:
    """Return a compiled sum of dy at flat positions of each map; sums of short formats are in float32."""
    jax = import_jax()
    maps, size = x_shape[0] * x_shape[1], prod(x_shape[2:])

    def apply(dy: DeviceArray, indices: DeviceArray) -> DeviceArray:
        wide = dy.astype("float32") if dy.dtype.itemsize < 4 else dy
        count = prod(dy.shape[2:])
        rows = jax.numpy.arange(maps)[:, None]
        dx = jax.numpy.zeros((maps, size), wide.dtype)
        dx = dx.at[rows, indices.reshape((maps, count))].add(wide.reshape((maps, count)))
        return dx.reshape(x_shape).astype(dy.dtype)

    compiled: Compiled = jax.jit(apply)
    return compiled


def average(x: DeviceArray, window: Window) -> DeviceArray:
    """Return the mean of each window: sums of short formats in float32, divided by the counts of the window."""
    import numpy as np

    jax = import_jax()
    wide = x.astype("float32") if x.dtype.itemsize < 4 else x
    kept = crop(wide, cover_padding(x.shape, window), 0.0)
    zero = np.zeros((), kept.dtype)  # a constant: JAX differentiates sums from a zero that it sees, and no others
    sums = reduce_windows(kept, zero, jax.lax.add, window)
    divisors = 1.0
    for axis, counts in enumerate(mean_divisors(x.shape[2:], window)):
        shape = tuple(-1 if axis == other else 1 for other in range(x.ndim - 2))
        divisors = divisors * jax.numpy.asarray(counts, kept.dtype).reshape(shape)
    return (sums / divisors).astype(x.dtype)


@cache
def compile_avg_pool(window: Window) -> Compiled:
    """Return the compiled mean."""
    compiled: Compiled = import_jax().jit(partial(average, window=window))
    return compiled


@cache
def compile_avg_pool_gradient(window: Window, x_shape: Sizes) -> Compiled:
    """Return JAX's compiled gradient of the mean, which is linear."""
    jax = import_jax()

    def apply(dy: DeviceArray) -> DeviceArray:
        _, pull = jax.vjp(partial(average, window=window), jax.numpy.zeros(x_shape, dy.dtype))
        return pull(dy)[0]

    compiled: Compiled = jax.jit(apply)
    return compiled


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register JAX."""
    register(Jax())
