"""PyTorch: oneDNN and its own kernels on the CPU (`torch`), cuDNN on a GPU (`torch-cudnn`).

Every operator is a plan: what can be settled beforehand is, and a call without arguments is left. Where the window
is one that torch has itself (the same padding on both sides, for pooling at most half of the kernel), that call is
the torch function and nothing else. Elsewhere the input is padded or cropped first, inside the call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, reduce
from math import inf, prod
from typing import Any

from harness.plugins.backend import Backend
from harness.plugins.hookspecs import hookimpl
from harness.spec.calling import arguments
from harness.spec.numerics import Numerics, dtype_of
from harness.spec.operator import Operator
from harness.spec.problem import Problem
from harness.spec.taps import divisors
from harness.spec.window import Padding, Sizes, Window

Array = Any
Call = Callable[[], Any]

NOT_INSTALLED = "torch is not installed; install the extra: pip install 'conv-harness[torch]'"
SHORT = ("float16", "bfloat16")
CONVOLUTIONS = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)
MAX_POOLS = (Operator.max_pool, Operator.max_pool_grad)
MEAN_POOLS = (Operator.avg_pool, Operator.avg_pool_grad)


# --- geometry ----------------------------------------------------------------------------------------------------


def _symmetric(window: Window) -> bool:
    """Whether torch's padding, one number per axis, can say this window."""
    return all(begin == end for begin, end in window.padding)


def _pools_directly(spatial: Sizes, window: Window) -> bool:
    """Whether torch's pooling takes this window.

    It refuses a padding of more than half of the kernel and, on three axes, an input smaller than the kernel.
    """
    assert window.kernel is not None
    return _symmetric(window) and all(
        2 * b <= m <= n for n, (b, _), m in zip(spatial, window.padding, window.kernel, strict=True)
    )


def _begins(window: Window) -> Sizes:
    return tuple(begin for begin, _ in window.padding)


def _grown(shape: Sizes, cover: Padding) -> Sizes:
    return (*shape[:2], *(n + b + e for n, (b, e) in zip(shape[2:], cover, strict=True)))


def _opposite(padding: Padding) -> Padding:
    return tuple((-begin, -end) for begin, end in padding)


def _first_taps(spatial: Sizes, window: Window) -> list[list[int]]:
    """Per axis and window, the first position inside the input; every window has one (see `supports`)."""
    assert window.kernel is not None
    out = window.output_shape(spatial, window.kernel)
    return [
        [i * s - b + max(0, -((i * s - b) // d)) * d for i in range(p)]
        for p, s, d, (b, _) in zip(out, window.stride, window.dilation, window.padding, strict=True)
    ]


def _has_empty_window(problem: Problem) -> bool:
    window = problem.window
    return any(
        all(not 0 <= i * s - b + u * d < n for u in range(m))
        for n, p, m, s, d, (b, _) in zip(
            problem.x[2:], problem.y[2:], problem.kernel, window.stride, window.dilation, window.padding, strict=True
        )
        for i in (range(p) if d > 1 else (0, p - 1))  # without holes between taps only the ends can miss the input
    )


def _tall(window: Window) -> Window:
    """Turn the window of one axis into a window of two, over an input of one row."""
    assert window.kernel is not None
    return Window(
        stride=(1, *window.stride), padding=((0, 0), *window.padding), dilation=(1, *window.dilation),
        kernel=(1, *window.kernel), ceil_mode=window.ceil_mode, count_include_pad=window.count_include_pad,
    )  # fmt: skip


def _on_row(plan: Callable[..., Call], window: Window, *given: Any) -> Call:
    """Plan a 2-D operator for arrays and shapes of one axis, as torch does itself where it has the 1-D one."""
    call = plan(*((*a[:2], 1, *a[2:]) if isinstance(a, tuple) else a.unsqueeze(2) for a in given), _tall(window))
    return lambda: call().squeeze(2)


# --- torch's functions -------------------------------------------------------------------------------------------


def _function(name: str, axes: int) -> Callable[..., Any]:
    from torch.nn import functional

    return getattr(functional, f"{name}{axes}d")  # type: ignore[no-any-return]


def _aten(name: str) -> Callable[..., Any]:
    """Backward function that has no public name; `.default` spares the search for the overload in every call."""
    import torch

    return getattr(torch.ops.aten, name).default  # type: ignore[no-any-return]


def _refit(padding: Padding, value: float = 0.0) -> Callable[[Array], Array]:
    """Make the function that pads the spatial axes by (begin, end), and crops where a side is negative."""
    from torch.nn.functional import pad

    return partial(pad, pad=[side for pair in reversed(padding) for side in pair], value=value)


def _blank(like: Array, shape: Sizes, device: Any = None) -> Array:
    """Make an uninitialised tensor in the layout of another one: channels first or channels last.

    As a stand-in for an array of which torch reads only the shape and the layout, it costs no time.
    """
    import torch

    places = {"dtype": like.dtype, "device": device or like.device}
    if like.is_contiguous() or not like.movedim(1, -1).is_contiguous():
        return torch.empty(shape, **places)
    return torch.empty((shape[0], *shape[2:], shape[1]), **places).movedim(-1, 1)


def _gradient(which: int, window: Window, padding: Sizes) -> Callable[[Array, Array, Array], Array]:
    """Make the function of dy, x and w that computes one gradient of `conv` alone: 0 is dx, 1 is dw."""
    backward, zeros = _aten("convolution_backward"), (0,) * window.axes
    mask = [which == 0, which == 1, False]
    rest = (None, window.stride, padding, window.dilation, False, zeros, window.groups, mask)
    return lambda dy, x, w: backward(dy, x, w, *rest)[which]


def _divisor_map(like: Array, counts: list[list[int]]) -> Array:
    """Divisor of every window, wide enough to hold sums: float32 at least."""
    import torch

    wide = torch.promote_types(like.dtype, torch.float32)
    rows = [torch.tensor(axis, dtype=wide, device=like.device) for axis in counts]
    return reduce(lambda a, b: a[..., None] * b, rows)


# --- the operators -----------------------------------------------------------------------------------------------


def _plan_conv(x: Array, w: Array, b: Array | None, window: Window) -> Call:
    convolve, rest = _function("conv", window.axes), (window.dilation, window.groups)
    if _symmetric(window):
        return partial(convolve, x, w, b, window.stride, _begins(window), *rest)
    widen = _refit(window.cover(x.shape[2:], w.shape[2:]))
    return lambda: convolve(widen(x), w, b, window.stride, 0, *rest)


def _plan_conv_input_grad(dy: Array, w: Array, x_shape: Sizes, window: Window) -> Call:
    if _symmetric(window):
        return partial(_gradient(0, window, _begins(window)), dy, _blank(dy, x_shape), w)
    cover = window.cover(x_shape[2:], w.shape[2:])
    gradient, crop = _gradient(0, window, (0,) * window.axes), _refit(_opposite(cover))
    blank = _blank(dy, _grown(x_shape, cover))
    return lambda: crop(gradient(dy, blank, w))


def _plan_conv_weight_grad(dy: Array, x: Array, w_shape: Sizes, window: Window) -> Call:
    blank = _blank(dy, w_shape)
    if _symmetric(window):
        return partial(_gradient(1, window, _begins(window)), dy, x, blank)
    gradient, widen = _gradient(1, window, (0,) * window.axes), _refit(window.cover(x.shape[2:], w_shape[2:]))
    return lambda: gradient(dy, widen(x), blank)


def _plan_conv_bias_grad(dy: Array) -> Call:
    return partial(dy.sum, (0, *range(2, dy.ndim)))


def _plan_conv_transpose(x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Call:
    transpose, rest = _function("conv_transpose", window.axes), (output_padding, window.groups, window.dilation)
    if _symmetric(window):
        return partial(transpose, x, w, b, window.stride, _begins(window), *rest)
    crop = _refit(_opposite(window.padding))
    return lambda: crop(transpose(x, w, b, window.stride, 0, *rest))


def _plan_max_pool(x: Array, window: Window) -> Call:
    pool, kernel, stride, dilation = _function("max_pool", window.axes), window.kernel, window.stride, window.dilation
    if _pools_directly(x.shape[2:], window):
        return partial(pool, x, kernel, stride, _begins(window), dilation, window.ceil_mode, True)
    assert kernel is not None
    import torch

    cover = window.cover(x.shape[2:], kernel)
    places = torch.arange(prod(x.shape[2:]), device=x.device).reshape(x.shape[2:])
    places, widen = _refit(cover, -1)(places).flatten(), _refit(cover, -inf)
    firsts = [torch.tensor(axis, device=x.device) for axis in _first_taps(x.shape[2:], window)]
    first = reduce(lambda flat, axis: flat[..., None] * x.shape[2 + flat.ndim] + axis, firsts)

    def call() -> tuple[Array, Array]:
        y, padded = pool(widen(x), kernel, stride, 0, dilation, False, True)
        indices = places[padded]
        # A window of nothing but -inf gives the padding as its winner; the first element of the input it is.
        return y, torch.where(indices < 0, first, indices)

    return call


def _plan_max_pool_grad(dy: Array, x: Array, indices: Array, window: Window) -> Call:
    if window.axes == 1:
        return _on_row(_plan_max_pool_grad, window, dy, x, indices)
    if _pools_directly(x.shape[2:], window):
        backward = _aten(f"max_pool{window.axes}d_with_indices_backward")
        geometry = (window.kernel, window.stride, _begins(window), window.dilation, window.ceil_mode)
        return partial(backward, dy, x, *geometry, indices)
    shape, maps = x.shape, (*x.shape[:2], prod(x.shape[2:]))
    return lambda: dy.new_zeros(maps).scatter_add_(2, indices.flatten(2), dy.flatten(2)).view(shape)


def _plan_avg_pool(x: Array, window: Window) -> Call:
    if window.axes == 1:
        return _on_row(_plan_avg_pool, window, x)
    assert window.kernel is not None
    pool, kernel, stride = _function("avg_pool", window.axes), window.kernel, window.stride
    if _pools_directly(x.shape[2:], window):
        return partial(pool, x, kernel, stride, _begins(window), window.ceil_mode, window.count_include_pad)
    widen, divisor = _refit(window.cover(x.shape[2:], kernel)), _divisor_map(x, divisors(x.shape[2:], window))
    # Sums are larger than means: a short format could overflow.
    return lambda: (pool(widen(x).to(divisor.dtype), kernel, stride, 0, False, True, 1) / divisor).to(x.dtype)


def _plan_avg_pool_grad(dy: Array, x_shape: Sizes, window: Window) -> Call:
    if window.axes == 1:
        return _on_row(_plan_avg_pool_grad, window, dy, x_shape)
    assert window.kernel is not None
    backward, kernel, stride = _aten(f"avg_pool{window.axes}d_backward"), window.kernel, window.stride
    if _pools_directly(x_shape[2:], window):
        modes = (window.ceil_mode, window.count_include_pad, None)
        return partial(backward, dy, _blank(dy, x_shape), kernel, stride, _begins(window), *modes)
    cover, divisor = window.cover(x_shape[2:], kernel), _divisor_map(dy, divisors(x_shape[2:], window))
    blank, crop = _blank(dy, _grown(x_shape, cover)).to(divisor.dtype), _refit(_opposite(cover))
    zeros = (0,) * window.axes
    return lambda: crop(backward(dy / divisor, blank, kernel, stride, zeros, False, True, 1)).to(dy.dtype)


PLANS: dict[Operator, Callable[..., Call]] = {
    Operator.conv: _plan_conv,
    Operator.conv_input_grad: _plan_conv_input_grad,
    Operator.conv_weight_grad: _plan_conv_weight_grad,
    Operator.conv_bias_grad: _plan_conv_bias_grad,
    Operator.conv_transpose: _plan_conv_transpose,
    Operator.max_pool: _plan_max_pool,
    Operator.max_pool_grad: _plan_max_pool_grad,
    Operator.avg_pool: _plan_avg_pool,
    Operator.avg_pool_grad: _plan_avg_pool_grad,
}


# --- the backends ------------------------------------------------------------------------------------------------


class TorchOperators(Backend):
    """What both backends share: the nine operators, and the way of arrays to and from torch."""

    dtypes = ("float64", "float32", "float16", "bfloat16")
    rate = 5e9

    def conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Array:
        """Correlate x with w and add b."""
        return self._settled(_plan_conv(x, w, b, window))()

    def conv_input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
        """Give dx: the backward function with only its first output asked for."""
        return self._settled(_plan_conv_input_grad(dy, w, x_shape, window))()

    def conv_weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
        """Give dw: the backward function with only its second output asked for."""
        return self._settled(_plan_conv_weight_grad(dy, x, w_shape, window))()

    def conv_bias_grad(self, dy: Array) -> Array:
        """Give db, the sum over all but the channels."""
        return self._settled(_plan_conv_bias_grad(dy))()

    def conv_transpose(self, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
        """Apply the transpose of `conv` to x and add b."""
        return self._settled(_plan_conv_transpose(x, w, b, window, output_padding))()

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Give y and indices; the first of equals wins, and of several NaN the last one is indexed."""
        y, indices = self._settled(_plan_max_pool(x, window))()
        return y, indices

    def max_pool_grad(self, dy: Array, x: Array, indices: Array, window: Window) -> Array:
        """Give dx, each dy added at its index."""
        return self._settled(_plan_max_pool_grad(dy, x, indices, window))()

    def avg_pool(self, x: Array, window: Window) -> Array:
        """Give y, the mean over each window."""
        return self._settled(_plan_avg_pool(x, window))()

    def avg_pool_grad(self, dy: Array, x_shape: Sizes, window: Window) -> Array:
        """Give dx, each dy spread evenly over its window."""
        return self._settled(_plan_avg_pool_grad(dy, x_shape, window))()

    def prepare(self, problem: Problem, arrays: Mapping[str, Any]) -> Call:
        """Settle the geometry; the call that is left is the torch function itself where torch has the window."""
        return self._settled(PLANS[problem.operator](*arguments(problem, arrays)), problem.math)

    def _settled(self, call: Call, math: str = "ieee") -> Call:
        """Make the call that sets the switches of the device first; the CPU has none to set."""
        return call

    def supports(self, problem: Problem) -> str | None:
        """Torch dilates no mean pooling, and has no index for a maximum over padding alone."""
        if problem.operator in MEAN_POOLS and any(d > 1 for d in problem.window.dilation):
            return f"torch has no dilation in {problem.operator}"
        if problem.operator in MAX_POOLS and _has_empty_window(problem):
            return f"torch has no index for a window of padding only in {problem.operator}"
        return None

    def probe(self) -> str | None:
        """Run one convolution on the device."""
        try:
            import torch
        except ModuleNotFoundError:
            return NOT_INSTALLED
        except (ImportError, OSError) as error:
            return f"torch cannot be imported: {type(error).__name__}: {error}"
        if not hasattr(torch, "__version__"):  # a folder that happens to be called torch imports without an error
            return NOT_INSTALLED
        try:
            return self._try()
        except Exception as error:
            return f"torch {torch.__version__} cannot run conv on {self.device}: {type(error).__name__}: {error}"

    def _try(self) -> str | None:
        import torch

        ones = torch.ones((1, 1, 3), device=self.device)
        got = self.conv(ones, ones, None, Window.of(1)).item()
        return None if got == 3.0 else f"torch {torch.__version__} gives 1+1+1 = {got} on {self.device}"

    def to_device(self, array: Any) -> Array:
        """Copy a NumPy array into a tensor of the same layout; bfloat16 travels as whole numbers of 16 bits.

        A copy, because torch reads a layout from strides: NumPy leaves those of axes of size 1 undefined, and with
        such strides torch 2.13 computes wrong kernel gradients (float16, groups, channels last).
        """
        import torch

        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy(order="K")  # torch takes neither
        short = array.dtype.name == "bfloat16"
        tensor = torch.from_numpy(array.view("int16")).view(torch.bfloat16) if short else torch.from_numpy(array)
        return _blank(tensor, tensor.shape, self.device).copy_(tensor)

    def to_host(self, array: Array) -> Any:
        """Turn a tensor into a NumPy array of the same dtype and layout."""
        import torch

        if array.dtype != torch.bfloat16:
            return array.cpu().numpy()
        return array.cpu().view(torch.int16).numpy().view(dtype_of("bfloat16"))

    def versions(self) -> dict[str, str]:
        """Versions of torch and of the oneDNN inside it."""
        import torch

        found = re.search(r"(?:MKL-DNN|oneDNN) v([\w.]+)", torch.__config__.show())
        return {"torch": torch.__version__} | ({"onednn": found[1]} if found else {})


class Torch(TorchOperators):
    """PyTorch on the CPU."""

    name = "torch"
    numerics = Numerics(algorithm="gemm")

    def supports(self, problem: Problem) -> str | None:
        """Beside what torch lacks everywhere: mean pooling of short formats on three axes."""
        if problem.operator in MEAN_POOLS and problem.axes == 3 and problem.dtype in SHORT:
            return f"torch has no {problem.dtype} in 3-D {problem.operator} on the CPU"
        return super().supports(problem)

    def numerics_for(self, problem: Problem) -> Numerics:
        """Forward operators and db sum short formats in float32; what scatters or adds images up does not.

        Measured on a CPU without half-precision instructions: input gradients round after each tap, the kernel's
        gradient after each image, gradients of pooling after each window.
        """
        rounds = problem.operator not in (Operator.conv, Operator.conv_bias_grad, Operator.max_pool, Operator.avg_pool)
        return replace(self.numerics, accumulator={}) if rounds else self.numerics

    def workspace(self, problem: Problem) -> int:
        """Columns of one group, made for the whole batch at once; oneDNN, for float32, needs none."""
        if problem.operator not in CONVOLUTIONS or problem.dtype == "float32":
            return 0
        backwards = problem.operator is Operator.conv_transpose
        positions, channels = (problem.x, problem.y[1]) if backwards else (problem.y, problem.x[1])
        images = 1 if any(d > 1 for d in problem.window.dilation) else problem.x[0]  # dilated, one image at a time
        elements = images * channels // problem.window.groups * prod(problem.kernel) * prod(positions[2:])
        return elements * dtype_of(problem.dtype).itemsize


class TorchCudnn(TorchOperators):
    """PyTorch on a CUDA device, its convolutions by cuDNN."""

    name = "torch-cudnn"
    device = "cuda"
    numerics = Numerics(algorithm="gemm")

    def numerics_for(self, problem: Problem) -> Numerics:
        """CuDNN may choose Winograd or FFT for float32 and float16, for which only the norm of the error is bounded.

        Gradients add by atomic operations in some kernels: in the dtype itself for pooling, in an order that changes.
        """
        gradient = problem.operator not in (Operator.conv, Operator.max_pool, Operator.avg_pool)
        declared = replace(self.numerics, deterministic=not gradient)
        if problem.operator in (Operator.max_pool_grad, Operator.avg_pool_grad):
            declared = replace(declared, accumulator={})
        if problem.dtype == "float32" and problem.math == "tf32":
            return replace(declared, rounds_input_to="tf32")
        if problem.dtype in ("float32", "float16") and problem.operator in CONVOLUTIONS:
            return replace(declared, algorithm="fft", nan_local=False)
        return declared

    def synchronize(self) -> None:
        """Wait for the device."""
        import torch

        torch.cuda.synchronize()

    def versions(self) -> dict[str, str]:
        """Versions of torch, CUDA and cuDNN."""
        import torch

        cudnn: Any = torch.backends.cudnn
        return super().versions() | {"cuda": str(torch.version.cuda), "cudnn": str(cudnn.version())}

    def _try(self) -> str | None:
        import torch

        if not torch.cuda.is_available():
            return f"no CUDA device: torch.cuda.is_available() is False (torch {torch.__version__})"
        cudnn: Any = torch.backends.cudnn
        if not cudnn.is_available():
            return f"no cuDNN: torch.backends.cudnn.is_available() is False (torch {torch.__version__})"
        return super()._try()

    def _settled(self, call: Call, math: str = "ieee") -> Call:
        return partial(_with_precision, "tf32" if math == "tf32" else "ieee", call)


def _with_precision(precision: str, call: Call) -> Any:
    """Call with TF32 on or off, both in cuDNN and in cuBLAS; torch 2.9 gave the switches new names."""
    import torch

    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if hasattr(cudnn, "conv"):
        cudnn.conv.fp32_precision = matmul.fp32_precision = precision
    else:
        cudnn.allow_tf32 = matmul.allow_tf32 = precision == "tf32"
    return call()


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Hand over PyTorch on the CPU and on a CUDA device."""
    register(Torch())
    register(TorchCudnn())
