"""Faults of the gradients and of transposed convolution."""

from dataclasses import replace

import numpy as np

import harness
from harness.problems import rot180
from tests.faulty.right import Right


class InputGradFlipped(Right):
    """rot180 on the wrong side (specification 1.9)."""

    name = "faulty:input-grad-flipped"

    def conv_input_grad(self, dy, w, x_shape, window):
        return super().conv_input_grad(dy, rot180(w), x_shape, window)


class InputGradPadsSwapped(Right):
    """Begin and end of the padding are mixed up when cropping."""

    name = "faulty:input-grad-pads-swapped"

    def conv_input_grad(self, dy, w, x_shape, window):
        swapped = replace(window, padding=tuple((e, b) for b, e in window.padding))
        return super().conv_input_grad(dy, w, x_shape, swapped)


class InputGradOverwrites(Right):
    """Overlapping windows overwrite instead of adding up: only the last tap counts."""

    name = "faulty:input-grad-overwrites"

    def conv_input_grad(self, dy, w, x_shape, window):
        one = np.zeros_like(w)
        one.reshape(*w.shape[:2], -1)[:, :, -1] = w.reshape(*w.shape[:2], -1)[:, :, -1]
        return super().conv_input_grad(dy, one, x_shape, window)


class WeightGradFirstImage(Right):
    """The batch is not summed over."""

    name = "faulty:weight-grad-first-image"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return super().conv_weight_grad(dy[:1], x[:1], w_shape, window)


class WeightGradFlipped(Right):
    """The gradient of a true convolution's kernel."""

    name = "faulty:weight-grad-flipped"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return rot180(super().conv_weight_grad(dy, x, w_shape, window)).copy()


class WeightGradHalved(Right):
    """A kernel shared by two groups is counted once."""

    name = "faulty:weight-grad-grouped"

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        return dw / window.groups if window.groups > 1 else dw


class BiasGradMean(Right):
    """The bias gradient is a mean over the batch."""

    name = "faulty:bias-grad-mean"

    def conv_bias_grad(self, dy):
        return super().conv_bias_grad(dy) / dy.dtype.type(dy.shape[0] * dy.shape[-1])


class TransposeDropsTail(Right):
    """Output padding shifts the result instead of appending to it."""

    name = "faulty:transpose-shifted"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, b, window, output_padding)
        return np.roll(y, 1, axis=-1)


FAULTS = (
    InputGradFlipped, InputGradPadsSwapped, InputGradOverwrites, WeightGradFirstImage, WeightGradFlipped,
    WeightGradHalved, BiasGradMean, TransposeDropsTail,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())
