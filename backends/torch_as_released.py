"""PyTorch's own functions on the CPU, without corrections: the faults that laws find in the released library.

The backend `torch` avoids the faults of torch, so that its answers are right. This one avoids none: arrays are passed
to torch with the strides that NumPy has given them, empty problems are passed to torch, and gradients are computed by
`convolution_backward` with all outputs of the layer requested. It runs only where it is named.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from backends.torch_calls import aten, begins, function, is_symmetric
from backends.torch_cudnn import MEAN_POOLS, SHORT, Torch
from harness import Backend, Numerics, Problem, Window, hookimpl
from harness.problems import Array, Call, DeviceArray, DeviceArrays, Sizes, bind_operator


def _pads(window: Window) -> Sizes:
    if not is_symmetric(window):
        raise ValueError("torch has one padding for both sides")
    return begins(window)


def _beyond_half(padding: int, kernel: int, dilation: int) -> bool:
    """True if torch rejects a padding: it allows half of the kernel, including the dilation."""
    return 2 * padding > (kernel - 1) * dilation + 1


def _tall(array: DeviceArray) -> DeviceArray:
    """View of arrays with one spatial axis as arrays with two, as torch does it for pooling."""
    return array.unsqueeze(2) if array.ndim == 3 else array


def _of_two(sizes: Sizes, other: int) -> Sizes:
    return sizes if len(sizes) > 1 else (other, *sizes)


class TorchAsReleased(Torch):
    """PyTorch on the CPU without anything that the backend `torch` does for it."""

    name = "torch-as-released"
    listed: ClassVar[bool] = False
    numerics: ClassVar[Numerics] = Numerics(algorithm="gemm")
    takes_complex = False

    def supports(self, problem: Problem) -> str | None:
        """Paddings that differ, wide paddings and what torch lacks are not its own functions."""
        window = problem.window
        if not is_symmetric(window):
            return "torch has one padding for both sides"
        if problem.operator.pools and any(map(_beyond_half, begins(window), problem.kernel, window.dilation)):
            return "torch pads pools by half the kernel at most"
        if problem.operator in MEAN_POOLS and set(window.dilation) != {1}:
            return f"torch has no dilation in {problem.operator}"
        if problem.operator in MEAN_POOLS and problem.axes == 3 and problem.dtype in SHORT:
            return f"torch has no {problem.dtype} in 3-D {problem.operator} on the CPU"
        return None

    def numerics_for(self, problem: Problem) -> Numerics:
        """One rounding of the output and nothing declared away: neither roundings per tap nor flushed subnormals."""
        return self.numerics

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """Call torch.nn.functional.conv1d, conv2d or conv3d."""
        call = function("conv", x.ndim - 2)
        return call(x, w, b, window.stride, _pads(window), window.dilation, window.groups)

    def conv_transpose(
        self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window, output_padding: Sizes
    ) -> DeviceArray:
        """Call torch.nn.functional.conv_transpose1d, 2d or 3d."""
        call = function("conv_transpose", x.ndim - 2)
        return call(x, w, b, window.stride, _pads(window), output_padding, window.groups, window.dilation)

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Give dx of `convolution_backward`."""
        return self._gradients(dy, dy.new_empty(x_shape), w, window)[0]

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """Give dw of `convolution_backward`."""
        return self._gradients(dy, x, dy.new_empty(w_shape), window)[1]

    def _gradients(self, dy: DeviceArray, x: DeviceArray, w: DeviceArray, window: Window) -> tuple[DeviceArray, ...]:
        backward, zeros = aten("convolution_backward"), [0] * (x.ndim - 2)
        rest = (None, window.stride, _pads(window), window.dilation, False, zeros, window.groups)
        gradients: tuple[DeviceArray, ...] = backward(dy, x, w, *rest, [True, True, False])
        return gradients

    def max_pool(self, x: DeviceArray, window: Window) -> tuple[DeviceArray, DeviceArray]:
        """Call torch.nn.functional.max_pool1d, 2d or 3d."""
        call, pads = function("max_pool", x.ndim - 2), _pads(window)
        found: tuple[DeviceArray, DeviceArray] = call(
            x, window.kernel, window.stride, pads, window.dilation, window.ceil_mode, return_indices=True
        )
        return found

    def max_pool_grad(self, dy: DeviceArray, x: DeviceArray, indices: DeviceArray, window: Window) -> DeviceArray:
        """Call `max_pool2d_with_indices_backward` or that of three axes."""
        assert window.kernel is not None
        backward = aten(f"max_pool{max(2, x.ndim - 2)}d_with_indices_backward")
        geometry = [_of_two(sizes, other) for sizes, other in (
            (window.kernel, 1), (window.stride, 1), (_pads(window), 0), (window.dilation, 1)
        )]  # fmt: skip
        dx = backward(_tall(dy), _tall(x), *geometry, window.ceil_mode, _tall(indices))
        return dx.view(x.shape)

    def avg_pool(self, x: DeviceArray, window: Window) -> DeviceArray:
        """Call torch.nn.functional.avg_pool1d, 2d or 3d."""
        self._refuse_dilation(window)
        call = function("avg_pool", x.ndim - 2)
        return call(x, window.kernel, window.stride, _pads(window), window.ceil_mode, window.count_include_pad)

    def avg_pool_grad(self, dy: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """Call `avg_pool2d_backward` or `avg_pool3d_backward`."""
        self._refuse_dilation(window)
        assert window.kernel is not None
        x = _tall(dy.new_empty(x_shape))
        backward = aten(f"avg_pool{x.ndim - 2}d_backward")
        geometry = [_of_two(sizes, other) for sizes, other in (
            (window.kernel, 1), (window.stride, 1), (_pads(window), 0)
        )]  # fmt: skip
        return backward(_tall(dy), x, *geometry, window.ceil_mode, window.count_include_pad, None).view(x_shape)

    def _refuse_dilation(self, window: Window) -> None:
        if set(window.dilation) != {1}:
            raise ValueError("torch has no dilation in avg_pool")

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Bind the plain method."""
        return bind_operator(self, problem, arrays)

    def to_device(self, array: Array) -> DeviceArray:
        """Share the memory of the NumPy array, with its strides; torch takes no negative ones."""
        import torch

        if not array.flags.writeable or any(stride < 0 for stride in array.strides):
            array = array.copy(order="K")
        short = array.dtype.name == "bfloat16"
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16) if short else torch.from_numpy(array)


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register PyTorch as it is released."""
    register(TorchAsReleased())
