"""PyTorch's own functions with nothing in between: what the laws find in it as it is released.

python -m harness run correctness --plugin ./examples/torch_as_released.py --backend torch-as-released
"""

from typing import ClassVar

import harness


def pads(window):
    if any(begin != end for begin, end in window.padding):
        raise ValueError("torch has one padding for both sides")
    return [begin for begin, _ in window.padding]


class TorchAsReleased(harness.Backend):
    name = "torch-as-released"
    dtypes: ClassVar = ("float64", "float32", "float16", "bfloat16")
    numerics = harness.Numerics(algorithm="gemm")

    def supports(self, problem):
        if any(begin != end for begin, end in problem.window.padding):
            return "torch has one padding for both sides"
        if problem.operator == "max_pool" or problem.operator == "avg_pool":
            if any(2 * begin > m for (begin, _), m in zip(problem.window.padding, problem.kernel, strict=True)):
                return "torch pads pools by half the kernel at most"
            if problem.operator == "avg_pool" and set(problem.window.dilation) != {1}:
                return "torch has no dilation in avg_pool"
            if problem.operator == "avg_pool" and problem.axes == 3 and problem.dtype == "float16":
                return "torch has no float16 avg_pool3d on a CPU"
        return None

    def numerics_for(self, problem):
        if problem.dtype not in ("float16", "bfloat16") or problem.operator == "conv":
            return self.numerics
        taps = 1
        for m in problem.kernel:
            taps *= m
        return harness.Numerics(algorithm="gemm", output_roundings=taps + problem.x[0])

    def conv(self, x, w, b, window):
        return self.function("conv", x)(x, w, b, window.stride, pads(window), window.dilation, window.groups)

    def conv_transpose(self, x, w, b, window, output_padding):
        call = self.function("conv_transpose", x)
        return call(x, w, b, window.stride, pads(window), output_padding, window.groups, window.dilation)

    def conv_input_grad(self, dy, w, x_shape, window):
        return self.gradients(dy, dy.new_empty(x_shape), w, window)[0]

    def conv_weight_grad(self, dy, x, w_shape, window):
        return self.gradients(dy, x, dy.new_empty(w_shape), window)[1]

    def gradients(self, dy, x, w, window):
        import torch

        zeros = [0] * window.axes
        return torch.ops.aten.convolution_backward(
            dy,
            x,
            w,
            None,
            window.stride,
            pads(window),
            window.dilation,
            False,
            zeros,
            window.groups,
            [True, True, False],
        )

    def max_pool(self, x, window):
        call = self.function("max_pool", x)
        return call(
            x, window.kernel, window.stride, pads(window), window.dilation, window.ceil_mode, return_indices=True
        )

    def avg_pool(self, x, window):
        if set(window.dilation) != {1}:
            raise ValueError("torch has no dilation in avg_pool")
        call = self.function("avg_pool", x)
        return call(x, window.kernel, window.stride, pads(window), window.ceil_mode, window.count_include_pad)

    def function(self, name, x):
        from torch.nn import functional

        return getattr(functional, f"{name}{x.ndim - 2}d")

    def to_device(self, array):
        import torch

        if array.dtype.name == "bfloat16":
            import numpy as np

            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)

    def to_host(self, array):
        if str(array.dtype) == "torch.bfloat16":
            import ml_dtypes
            import torch

            return array.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return array.numpy()

    def versions(self):
        import torch

        return {"torch": torch.__version__}


@harness.hookimpl
def register_backends(register):
    register(TorchAsReleased())
