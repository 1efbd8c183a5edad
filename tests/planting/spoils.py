"""Ways in which a right answer goes wrong, each as a function of (answer, operator, arguments of the call)."""

import numpy as np

from harness.problems import reference
from harness.problems.operator import Operator
from harness.problems.taps import EVERY, inner_slices, pad_or_crop, tap_slices

KERNELED_FIRST = (Operator.conv, Operator.conv_input_grad, Operator.conv_transpose)


def _unwritten(a, at):
    """Put what was never written at some places: never what belongs there."""
    spoiled = np.array(a)
    spoiled[at] = np.where(spoiled[at] == 0, 1, 0)
    return spoiled


def last_element(y, operator, args):
    """The last element in memory is not written."""
    return _unwritten(y, (-1,) * y.ndim)


def last_channel(y, operator, args):
    """The last channel is not written."""
    return _unwritten(y, (slice(None), -1) if y.ndim > 1 else -1)


def last_image(y, operator, args):
    """The last image is not written; of a sum over images, it is left out."""
    if operator is Operator.conv_bias_grad:
        return reference.conv_bias_grad(args[0][:-1])
    if operator is Operator.conv_weight_grad:
        dy, x, w_shape, window = args
        return reference.conv_weight_grad(dy[:-1], x[:-1], w_shape, window)
    return _unwritten(y, -1)


def tap_lost(y, operator, args):
    """The last tap of every window is left out; of sums without a window, the last position."""
    if operator in KERNELED_FIRST:
        kernel = np.array(args[1])
        kernel[(*EVERY, *(-1,) * (kernel.ndim - 2))] = 0
        return getattr(reference, operator)(args[0], kernel, *args[2:])
    if operator is Operator.conv_weight_grad:
        return _unwritten(y, (*EVERY, *(-1,) * (y.ndim - 2)))
    if operator in (Operator.conv_bias_grad, Operator.max_pool_grad):
        dy = np.array(args[0])
        dy[(*EVERY, *(-1,) * (dy.ndim - 2))] = 0
        return getattr(reference, operator)(dy, *args[1:])
    if operator is Operator.avg_pool_grad:
        return y - _last_share(*args)
    return _pool_without_last_tap(y, operator, *args)


def _pool_without_last_tap(y, operator, x, window):
    spatial = x.shape[2:]
    out, outside = window.output_shape(spatial, window.kernel), -np.inf if operator is Operator.max_pool else 0.0
    padded = pad_or_crop(x.astype(np.float64), window.cover(spatial, window.kernel), outside, np)
    taps = [padded[(*EVERY, *at)] for _, at in tap_slices(out, window.kernel, window)]
    if operator is Operator.max_pool:
        return np.max(taps[:-1], axis=0) if len(taps) > 1 else np.zeros_like(y)
    return y - taps[-1] / reference.divisor_map(spatial, window)


def _last_share(dy, x_shape, window):
    """Return what the last tap adds to dx."""
    spatial, kernel = x_shape[2:], window.kernel
    cover = window.cover(spatial, kernel)
    padded = np.zeros((*x_shape[:2], *(n + b + max(0, e) for n, (b, e) in zip(spatial, cover, strict=True))))
    *_, (_, at) = tap_slices(dy.shape[2:], kernel, window)
    padded[(*EVERY, *at)] = dy.astype(np.float64) / reference.divisor_map(spatial, window)
    return padded[(*EVERY, *inner_slices(spatial, cover))]


def small_factor(y, operator, args):
    """Every element is one unit in the last place too large, and a mean, which may be rounded so, by one in 64."""
    return y.astype(np.float64) * (1 + _step(y, operator))


def small_factor_in_last_channel(y, operator, args):
    """The same in the last channel alone."""
    spoiled, at = y.astype(np.float64), (slice(None), -1) if y.ndim > 1 else -1
    spoiled[at] *= 1 + _step(y, operator)
    return spoiled


def _step(y, operator):
    import ml_dtypes

    return 2.0**-6 if operator.spec.divides else float(ml_dtypes.finfo(y.dtype).eps)


def shifted_by_one(y, operator, args):
    """Every element is written one place too far."""
    return np.roll(y, 1)


def zeros(y, operator, args):
    """Nothing is written at all, into memory that was cleared."""
    return np.zeros_like(y)


def last_row(y, operator, args):
    """The last position of the first axis is not written."""
    return _unwritten(y, (*EVERY, -1))


def last_column(y, operator, args):
    """The last position of the last axis is not written."""
    return _unwritten(y, (..., -1))


def later_images(y, operator, args):
    """The images after the first four are not written."""
    return _unwritten(y, slice(4, None))


def bias_alone(y, operator, args):
    """The products are left out."""
    b = args[2]
    return np.zeros_like(y) if b is None else np.broadcast_to(b.reshape(1, -1, *(1,) * (y.ndim - 2)), y.shape)


def short_factors(y, operator, args):
    """Factors keep the eleven bits of TF32; products and sums are exact."""
    return getattr(reference, operator)(*(_keep_bits(a, 11) if hasattr(a, "ndim") and a.ndim > 1 else a for a in args))


def short_sums(y, operator, args):
    """Sums are kept in the format of the data: a partial sum as large as all magnitudes was rounded to it."""
    sizes = [np.abs(a) if hasattr(a, "ndim") else a for a in args]
    most = np.asarray(getattr(reference, operator)(*sizes)).astype(y.dtype).astype(np.float64)
    return (y.astype(np.float64) + most).astype(y.dtype).astype(np.float64) - most


def _keep_bits(a, bits):
    fraction, exponent = np.frexp(a.astype(np.float64))
    return np.ldexp(np.rint(fraction * 2.0**bits), exponent - bits)


PUBLIC = {
    function.__name__.replace("_", "-"): function
    for function in (last_row, last_column, later_images, bias_alone, short_factors, short_sums)
}  # public reports that are not spoils of the family
SPOILS = {
    function.__name__.replace("_", "-"): function
    for function in (
        last_element, last_channel, last_image, tap_lost, small_factor, small_factor_in_last_channel, shifted_by_one,
        zeros,
    )
}  # fmt: skip
