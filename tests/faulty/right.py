"""A right implementation of all nine operators on the float64 reference; the faulty ones change one thing in it."""

import numpy as np

import harness
from harness.problems import reference


def _narrow(value, like):
    return np.asarray(value).astype(like.dtype)


class Right(harness.Backend):
    name = "right"
    dtypes = ("float64", "float32", "float16", "bfloat16")
    takes_complex = True

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        if x.dtype.kind == "c":
            return self.conv_complex(x, w, b, window)
        return _narrow(reference.conv(x, w, b, window), x)

    def conv_complex(self, x, w, b, window):
        """(x + iu) * (w + iv) = x * w - u * v + i (u * w + x * v)"""
        bias = (None, None) if b is None else (b.real, b.imag)
        real = reference.conv(x.real, w.real, bias[0], window) - reference.conv(x.imag, w.imag, None, window)
        imaginary = reference.conv(x.imag, w.real, bias[1], window) + reference.conv(x.real, w.imag, None, window)
        return _narrow(real + 1j * imaginary, x)

    def conv_input_grad(self, dy, w, x_shape, window):
        window.check_conv(x_shape, w.shape)
        return _narrow(reference.conv_input_grad(dy, w, x_shape, window), dy)

    def conv_weight_grad(self, dy, x, w_shape, window):
        window.check_conv(x.shape, w_shape)
        return _narrow(reference.conv_weight_grad(dy, x, w_shape, window), dy)

    def conv_bias_grad(self, dy):
        return _narrow(reference.conv_bias_grad(dy), dy)

    def conv_transpose(self, x, w, b, window, output_padding):
        window.check_transposed(x.shape, w.shape, output_padding)
        return _narrow(reference.conv_transpose(x, w, b, window, output_padding), x)

    def max_pool(self, x, window):
        window.check(x.shape[2:], window.kernel)
        return reference.max_pool(x, window)

    def max_pool_grad(self, dy, x, indices, window):
        if dy.shape[2:] != window.output_shape(x.shape[2:], window.kernel):
            raise harness.HarnessError(f"dy has the shape {dy.shape}, which the window does not give")
        return _narrow(reference.max_pool_grad(dy, x, indices, window), dy)

    def avg_pool(self, x, window):
        window.check(x.shape[2:], window.kernel)
        return _narrow(reference.avg_pool(x, window), x)

    def avg_pool_grad(self, dy, x_shape, window):
        window.check(x_shape[2:], window.kernel)
        return _narrow(reference.avg_pool_grad(dy, x_shape, window), dy)


@harness.hookimpl
def register_backends(register):
    register(Right())
