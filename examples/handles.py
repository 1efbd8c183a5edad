"""A library with opaque handles: `python -m harness run speed-short --plugin examples/handles.py --backend handles`."""

import numpy as np

import harness


class Tensor:
    """A stand-in for a tensor of a library in C: no shape, no strides, no arithmetic, and no way to write into it."""

    __slots__ = ("secret",)


class LacksError(Exception):
    """Raised by the library for something that it does not support."""


def upload(array):
    tensor = Tensor()
    tensor.secret = array.copy()  # the harness writes into its own array later
    return tensor


def convolve(x, w, steps, taps):
    if max(taps) > 1:
        raise LacksError("dilation is not implemented")
    windows = np.lib.stride_tricks.sliding_window_view(x.secret, w.secret.shape[2:], axis=(2, 3))
    wide = np.promote_types(x.secret.dtype, "f4")
    return upload(
        np.einsum("nchwij,ocij->nohw", windows[:, :, :: steps[0], :: steps[1]], w.secret, dtype=wide).astype(
            x.secret.dtype
        )
    )


class Handles(harness.Backend):
    name = "handles"
    axes = (2,)
    grouped = False

    def to_device(self, array):
        return upload(array)

    def to_host(self, tensor):
        return tensor.secret

    def refusal_types(self):
        return (LacksError,)

    def supports(self, problem):  # said before anything runs; dilation is left to the library, in the call
        if problem.bias or any(side for pair in problem.window.padding for side in pair):
            return "the library has neither bias nor padding"
        return None

    def conv(self, x, w, b, window):
        window.check_conv(x.secret.shape, w.secret.shape)
        if b is not None:
            raise ValueError("the library has no bias")
        return convolve(x, w, window.stride, window.dilation)


@harness.hookimpl
def register_backends(register):
    register(Handles())
