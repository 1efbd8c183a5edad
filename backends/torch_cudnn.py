"""PyTorch: oneDNN and its own kernels on the CPU (`torch`), cuDNN on a GPU (`torch-cudnn`).

Every operator is a plan: the geometry is settled beforehand, and the timed call has no arguments. If torch supports
the window itself (the same padding on both sides, for pooling at most half of the kernel), that call is the torch
function and nothing else. Otherwise the input is padded or cropped first, inside the call.

Empty problems are answered here: without input channels torch 2.13 returns (N, 0, *P) from `conv` instead of the bias,
and rejects `conv_transpose` and pooling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from backends.guards import check_gradient, conv_shape, is_empty, sum_of_nothing, transposed_shape
from backends.torch_calls import (
    aten,
    begins,
    blank,
    canonical,
    function,
    grown,
    is_symmetric,
    opposite,
    refit,
)
from backends.torch_pooling import (
    has_empty_window,
    plan_avg_pool,
    plan_avg_pool_grad,
    plan_max_pool,
    plan_max_pool_grad,
)
from harness import Backend, Numerics, Operator, Problem, Window, hookimpl
from harness.problems import Array, Call, DeviceArray, DeviceArrays, Math, Outputs, Sizes, dtype_of, operator_arguments

NOT_INSTALLED = "torch is not installed; install the extra: pip install 'conv-harness[torch]'"
SHORT = ("float16", "bfloat16")
CONVOLUTIONS = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)
LARGEST_TILED = 11  # taps an axis up to which Winograd's saving in operations is at least that of FFT in tiles
MAX_POOLS = (Operator.max_pool, Operator.max_pool_grad)
MEAN_POOLS = (Operator.avg_pool, Operator.avg_pool_grad)


# --- the operators but pooling -----------------------------------------------------------------------------------


def _gradient(
    which: int, window: Window, padding: Sizes
) -> Callable[[DeviceArray, DeviceArray, DeviceArray], DeviceArray]:
    """Make the function of dy, x and w that computes one gradient of `conv` alone: 0 is dx, 1 is dw."""
    backward, zeros = aten("convolution_backward"), (0,) * window.axes
    mask = [which == 0, which == 1, False]
    rest = (None, window.stride, padding, window.dilation, False, zeros, window.groups, mask)
    return lambda dy, x, w: backward(dy, x, w, *rest)[which]


def _is_short_last(a: DeviceArray) -> bool:
    """True for bfloat16 with channels last on a CPU, for which oneDNN 3.12 computes some wrong numbers."""
    return str(a.dtype) == "torch.bfloat16" and a.device.type == "cpu" and not a.is_contiguous()


def _is_strided_point(x: DeviceArray, w_shape: Sizes, window: Window) -> bool:
    """True if oneDNN reduces a strided 1x1 problem with channels last by a copy, which is wrong with AVX2.

    The weight gradient is then wrong, or the process dies (oneDNN issue 6035, seen with oneDNN 3.12 on Zen 3).
    """
    strided, point = any(s > 1 for s in window.stride), all(m == 1 for m in w_shape[2:])
    return strided and point and x.device.type == "cpu" and not x.is_contiguous()


def _channels_first(call: Callable[..., DeviceArray]) -> Callable[..., DeviceArray]:
    """Make the same function of two operands that copies them where their channels are not first."""
    return lambda a, b, *rest: call(a.contiguous(), b.contiguous(), *rest)


def _plan_conv(x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> Call:
    shape = conv_shape(x.shape, w.shape, window)
    if is_empty(x.shape, w.shape):
        return partial(sum_of_nothing, x, shape, b)
    x, w = canonical(x), canonical(w)
    # A dilation between no taps says nothing, but with bfloat16 and channels last it lets oneDNN 3.12 crash.
    dilation = tuple(d if m > 1 else 1 for m, d in zip(w.shape[2:], window.dilation, strict=True))
    convolve, rest = function("conv", window.axes), (dilation, window.groups)
    if _is_short_last(x) and window.groups > 1:
        convolve = _channels_first(convolve)  # groups over tiny maps, on CPUs with AVX-512
    if is_symmetric(window):
        return partial(convolve, x, w, b, window.stride, begins(window), *rest)
    widen = refit(x.shape[2:], window.cover(x.shape[2:], w.shape[2:]))
    return lambda: convolve(widen(x), w, b, window.stride, 0, *rest)


def _plan_conv_input_grad(dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> Call:
    check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
    if is_empty(dy.shape, w.shape):
        return partial(sum_of_nothing, dy, x_shape)
    dy, w = canonical(dy), canonical(w)
    if is_symmetric(window):
        return partial(_gradient(0, window, begins(window)), dy, blank(dy, x_shape), w)
    cover = window.cover(x_shape[2:], w.shape[2:])
    padded, gradient = blank(dy, grown(x_shape, cover)), _gradient(0, window, (0,) * window.axes)
    crop = refit(padded.shape[2:], opposite(cover))
    return lambda: crop(gradient(dy, padded, w))


def _plan_conv_weight_grad(dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> Call:
    check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
    if is_empty(dy.shape, x.shape):
        return partial(sum_of_nothing, dy, w_shape)
    dy, x, w = canonical(dy), canonical(x), blank(dy, w_shape)
    gradient = _gradient(1, window, begins(window) if is_symmetric(window) else (0,) * window.axes)
    if _is_short_last(x) or _is_short_last(dy) or _is_strided_point(x, w_shape, window):
        # In bfloat16, dilated kernels and taps that meet little but padding come out wrong or as what was in memory.
        gradient, w = _channels_first(gradient), dy.new_empty(w_shape)
    if is_symmetric(window):
        return partial(gradient, dy, x, w)
    widen = refit(x.shape[2:], window.cover(x.shape[2:], w_shape[2:]))
    return lambda: gradient(dy, widen(x), w)


def _plan_conv_bias_grad(dy: DeviceArray) -> Call:
    return partial(dy.sum, (0, *range(2, dy.ndim)))


def _plan_conv_transpose(
    x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window, output_padding: Sizes
) -> Call:
    shape = transposed_shape(x.shape, w.shape, window, output_padding)
    if is_empty(x.shape, w.shape):
        return partial(sum_of_nothing, x, shape, b)
    x, w = canonical(x), canonical(w)
    transpose, rest = function("conv_transpose", window.axes), (output_padding, window.groups, window.dilation)
    if is_symmetric(window):
        return partial(transpose, x, w, b, window.stride, begins(window), *rest)
    crop = refit(grown(shape, window.padding)[2:], opposite(window.padding))
    return lambda: crop(transpose(x, w, b, window.stride, 0, *rest))


PLANS: dict[Operator, Callable[..., Call]] = {
    Operator.conv: _plan_conv,
    Operator.conv_input_grad: _plan_conv_input_grad,
    Operator.conv_weight_grad: _plan_conv_weight_grad,
    Operator.conv_bias_grad: _plan_conv_bias_grad,
    Operator.conv_transpose: _plan_conv_transpose,
    Operator.max_pool: plan_max_pool,
    Operator.max_pool_grad: plan_max_pool_grad,
    Operator.avg_pool: plan_avg_pool,
    Operator.avg_pool_grad: plan_avg_pool_grad,
}


# --- the backends ------------------------------------------------------------------------------------------------


class TorchOperators(Backend):
    """The nine operators on torch tensors, and conversion to and from NumPy arrays; the base of both backends."""

    dtypes = ("float64", "float32", "float16", "bfloat16")
    rate = 5e9
    takes_complex = True
    numerics = Numerics(algorithm="gemm", nan_index="last")  # its loops take every NaN that they meet

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """Correlate x with w and add b."""
        return self.settle(_plan_conv(x, w, b, window))()

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Give dx: the backward function with only its first output asked for."""
        return self.settle(_plan_conv_input_grad(dy, w, x_shape, window))()

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """Give dw: the backward function with only its second output asked for."""
        return self.settle(_plan_conv_weight_grad(dy, x, w_shape, window))()

    def conv_bias_grad(self, dy: DeviceArray) -> DeviceArray:
        """Give db, the sum over all but the channels."""
        return self.settle(_plan_conv_bias_grad(dy))()

    def conv_transpose(
        self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window, output_padding: Sizes
    ) -> DeviceArray:
        """Apply the transpose of `conv` to x and add b."""
        return self.settle(_plan_conv_transpose(x, w, b, window, output_padding))()

    def max_pool(self, x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
        """Give y and indices; the first of equals wins, and of several NaN the last one is indexed."""
        y, indices = self.settle(plan_max_pool(x, window))()
        return y, indices

    def max_pool_grad(self, dy: DeviceArray, x: DeviceArray, indices: DeviceArray, window: Window) -> DeviceArray:
        """Give dx, each dy added at its index."""
        return self.settle(plan_max_pool_grad(dy, x, indices, window))()

    def avg_pool(self, x: DeviceArray, window: Window) -> DeviceArray:
        """Give y, the mean over each window."""
        return self.settle(plan_avg_pool(x, window))()

    def avg_pool_grad(self, dy: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Give dx, each dy spread evenly over its window."""
        return self.settle(plan_avg_pool_grad(dy, x_shape, window))()

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Settle the geometry; the call that is left is the torch function itself where torch has the window."""
        return self.settle(PLANS[problem.operator](*operator_arguments(problem, arrays)), problem.math)

    def settle(self, call: Call, math: Math = "ieee") -> Call:
        """Make the call that sets the switches of the device first; the CPU has none to set."""
        return call

    def supports(self, problem: Problem) -> str | None:
        """Torch dilates no mean pooling, and has no index for a maximum over padding alone."""
        if problem.operator in MEAN_POOLS and any(d > 1 for d in problem.window.dilation):
            return f"torch has no dilation in {problem.operator}"
        if problem.operator in MAX_POOLS and has_empty_window(problem):
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

    def to_device(self, array: Array) -> DeviceArray:
        """Copy a NumPy array into a tensor of the same layout; bfloat16 travels as whole numbers of 16 bits.

        A copy, because torch reads a layout from strides: NumPy leaves those of axes of size 1 undefined, and with
        such strides torch 2.13 computes wrong kernel gradients (float16, groups, channels last).
        """
        import torch

        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy(order="K")  # torch takes neither
        short = array.dtype.name == "bfloat16"
        tensor = torch.from_numpy(array.view("int16")).view(torch.bfloat16) if short else torch.from_numpy(array)
        return blank(tensor, tensor.shape, self.device).copy_(tensor)

    def to_host(self, array: DeviceArray) -> Array:
        """Turn a tensor into a NumPy array of the same dtype and layout."""
        import torch

        short = array.dtype == torch.bfloat16
        host: Array = (array.cpu().view(torch.int16) if short else array.cpu()).numpy()
        return host.view(dtype_of("bfloat16")) if short else host

    def versions(self) -> dict[str, str]:
        """Versions of torch and of the oneDNN inside it."""
        import torch

        found = re.search(r"(?:MKL-DNN|oneDNN) v([\w.]+)", torch.__config__.show())
        return {"torch": torch.__version__} | ({"onednn": found[1]} if found else {})


class Torch(TorchOperators):
    """PyTorch on the CPU."""

    name = "torch"
    instruction_sets = ("onednn", "aten", "mkl")

    def set_threads(self, threads: int) -> int:
        """Set the threads of one operator, in ATen, oneDNN and oneMKL; give the number that is in effect."""
        import torch

        torch.set_num_threads(threads)
        return int(torch.get_num_threads())

    def supports(self, problem: Problem) -> str | None:
        """Refuse mean pooling of short formats on three axes as well."""
        if problem.operator in MEAN_POOLS and problem.axes == 3 and problem.dtype in SHORT:
            return f"torch has no {problem.dtype} in 3-D {problem.operator} on the CPU"
        return super().supports(problem)

    def numerics_for(self, problem: Problem) -> Numerics:
        """Forward operators and db round short formats once; what scatters or adds images up rounds on its way.

        Measured on a CPU without half-precision instructions: input gradients round after each tap, the kernel's
        gradient after each image, gradients of pooling after each window. With bfloat16 instructions, which flush
        subnormals, oneDNN convolves, and multiplies elements outside a window by zero.
        """
        taps = prod(problem.kernel)
        roundings = {
            Operator.conv_input_grad: taps, Operator.conv_transpose: taps + problem.bias,
            Operator.conv_weight_grad: max(1, problem.x[0]), Operator.max_pool_grad: taps, Operator.avg_pool_grad: taps,
        }  # fmt: skip
        declared = self.numerics
        if problem.dtype in SHORT:
            declared = replace(declared, output_roundings=roundings.get(problem.operator, 1))
        convolves = problem.operator in CONVOLUTIONS or (problem.operator in MEAN_POOLS and self.supports(problem))
        if problem.dtype == "bfloat16" and convolves:
            declared = replace(declared, keeps_subnormals=False, nan_local=False)
        return declared

    def workspace(self, problem: Problem) -> int:
        """Columns of one group, made for the whole batch at once; for float32 one array that oneDNN lays out anew.

        Short formats are summed in a float32 copy. Measured on arrays of 4 GiB and more.
        """
        if problem.operator is Operator.conv_bias_grad and problem.dtype in SHORT:
            return 4 * prod(problem.y)
        if problem.operator not in CONVOLUTIONS:
            return 0
        if problem.dtype == "float32":
            return 4 * max(map(prod, problem.shapes.values()))
        backwards = problem.operator is Operator.conv_transpose
        positions, channels = (problem.x, problem.y[1]) if backwards else (problem.y, problem.x[1])
        images = 1 if any(d > 1 for d in problem.window.dilation) else problem.x[0]  # dilated, one image at a time
        elements = images * channels // problem.window.groups * prod(problem.kernel) * prod(positions[2:])
        return elements * dtype_of(problem.dtype).itemsize


class TorchCudnn(TorchOperators):
    """PyTorch on a CUDA device, its convolutions by cuDNN."""

    name = "torch-cudnn"
    device = "cuda"
    clock = "cuda"

    def numerics_for(self, problem: Problem) -> Numerics:
        """CuDNN may choose Winograd or FFT where it has them; only the norm of the error is bounded then.

        It has both for windows without stride and dilation; beyond LARGEST_TILED taps an axis, FFT alone. The bound of
        the largest Winograd tile covers FFT too (160 against 12 log2(n), which is 160 for n = 10^4). Gradients add by
        atomic operations in some kernels: in the dtype itself for pooling, in an order that changes.
        """
        gradient = problem.operator not in (Operator.conv, Operator.max_pool, Operator.avg_pool)
        declared = replace(self.numerics, deterministic=not gradient)
        if problem.operator in (Operator.max_pool_grad, Operator.avg_pool_grad):
            declared = replace(declared, accumulator={})
        if problem.dtype == "float32" and problem.math == "tf32":
            return replace(declared, rounds_input_to="tf32")
        if problem.operator not in CONVOLUTIONS or not _may_transform(problem):
            return declared
        if max(problem.kernel) > LARGEST_TILED:
            return replace(declared, algorithm="fft", nan_local=False)
        return replace(declared, algorithm="winograd", tile=6, nan_local=False)

    def synchronize(self, result: Outputs = None) -> None:
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

    def settle(self, call: Call, math: Math = "ieee") -> Call:
        """Make the call that allows TF32 where the problem does, and forbids it elsewhere."""
        import torch

        return partial(_with_tf32, torch.backends.cudnn, torch.backends.cuda.matmul, math == "tf32", call)


def _may_transform(problem: Problem) -> bool:
    """True if cuDNN has Winograd or FFT kernels for a problem (cuDNN API reference, forward algorithms)."""
    window = problem.window
    moved = any(s > 1 for s in window.stride) or any(d > 1 for d in window.dilation)
    return problem.dtype in ("float32", "float16") and not moved and prod(problem.kernel) > 1


def _with_tf32(cudnn: Any, matmul: Any, allowed: bool, call: Call) -> Outputs:
    """Call with TF32 on or off, both in cuDNN and in cuBLAS. The switches are found beforehand: this is timed.

    These switches also set the ones that torch 2.9 added (`fp32_precision`). Set alone, the new ones contradict the
    old ones, and torch 2.11 refuses matrix products and queries with a RuntimeError.
    """
    cudnn.allow_tf32 = matmul.allow_tf32 = allowed
    return call()


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register PyTorch on the CPU and on a CUDA device."""
    register(Torch())
    register(TorchCudnn())
