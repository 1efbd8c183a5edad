"""Pooling by PyTorch: each operator is a plan, after which a call without arguments is left."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from math import inf, prod
from typing import Any

from backends.guards import check_gradient, is_empty, pool_shape, sum_of_nothing
from backends.torch_calls import aten, begins, blank, canonical, function, grown, is_symmetric, opposite, refit
from harness import Problem, Window
from harness.problems import Call, DeviceArray, Sizes, mean_divisors

# --- geometry ----------------------------------------------------------------------------------------------------


def _is_direct(spatial: Sizes, window: Window) -> bool:
    """True if torch's pooling accepts this window.

    It rejects a padding of more than half of the kernel and, on three axes, an input smaller than the kernel.
    """
    assert window.kernel is not None
    return is_symmetric(window) and all(
        2 * b <= m <= n for n, (b, _), m in zip(spatial, window.padding, window.kernel, strict=True)
    )


def _first_places(x: DeviceArray, window: Window) -> DeviceArray:
    """Flat index of the first position of every window inside the input; every window has one (see `supports`)."""
    import torch

    assert window.kernel is not None
    rows = [
        torch.tensor([i * s - b + max(0, -((i * s - b) // d)) * d for i in range(p)], device=x.device)
        for p, s, d, (b, _) in zip(
            window.output_shape(x.shape[2:], window.kernel),
            window.stride,
            window.dilation,
            window.padding,
            strict=True,
        )
    ]
    return reduce(lambda flat, row: flat[..., None] * x.shape[2 + flat.ndim] + row, rows)


def has_empty_window(problem: Problem) -> bool:
    """Return True if a pooling window lies in the padding alone."""
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


def _divisor_map(like: DeviceArray, counts: list[list[int]]) -> DeviceArray:
    """Divisor of every window, wide enough to hold sums: float32 at least."""
    import torch

    wide = torch.promote_types(like.dtype, torch.float32)
    rows = [torch.tensor(axis, dtype=wide, device=like.device) for axis in counts]
    return reduce(lambda a, b: a[..., None] * b, rows)


# --- the operators -----------------------------------------------------------------------------------------------


def plan_max_pool(x: DeviceArray, window: Window) -> Call:
    """y and indices. Torch takes a batch of nothing, but no images without channels."""
    shape = pool_shape(x.shape, window)
    if is_empty(shape):
        return lambda: (sum_of_nothing(x, shape), sum_of_nothing(x, shape).long())
    x, direct = canonical(x), _is_direct(x.shape[2:], window)
    pool, kernel, stride, dilation = function("max_pool", window.axes), window.kernel, window.stride, window.dilation
    if direct and (x.is_contiguous() or (window.axes < 3 and x.device.type == "cpu")):
        return partial(pool, x, kernel, stride, begins(window), dilation, window.ceil_mode, True)
    # Where a window holds nothing but -inf, torch indexes the padding that is put around here and, with channels last
    # on three axes or on a CUDA device, a place of another window: it is the first element of the input.
    first = _first_places(x, window)
    if direct:
        found: Call = partial(pool, x, kernel, stride, begins(window), dilation, window.ceil_mode, True)
    else:
        found = _padded_max_pool(x, window)

    def call() -> tuple[DeviceArray, DeviceArray]:
        y, indices = found()
        return y, indices.where(y != -inf, first)

    return call


def _padded_max_pool(x: DeviceArray, window: Window) -> Callable[[], tuple[DeviceArray, DeviceArray]]:
    """Pool the input in its padding; places of the padded input are turned into those of x."""
    import torch

    assert window.kernel is not None
    pool, spatial, cover = function("max_pool", window.axes), x.shape[2:], window.cover(x.shape[2:], window.kernel)
    places = torch.arange(prod(spatial), device=x.device).reshape(spatial)
    places, widen = refit(spatial, cover, -1)(places).flatten(), refit(spatial, cover, -inf)

    def call() -> tuple[DeviceArray, DeviceArray]:
        y, padded = pool(widen(x), window.kernel, window.stride, 0, window.dilation, False, True)
        return y, places[padded]

    return call


def plan_max_pool_grad(dy: DeviceArray, x: DeviceArray, indices: DeviceArray, window: Window) -> Call:
    """Return the call that computes dx: each dy added at its index.

    dy, indices: tensors n c *p, of the outputs. x: tensor n c *s, the input of the pooling. window: of the pooling.
    """
    check_gradient(dy.shape, pool_shape(x.shape, window))
    check_gradient(indices.shape, tuple(dy.shape))
    if is_empty(dy.shape):
        return partial(sum_of_nothing, dy, x.shape)
    if window.axes == 1:
        return _on_row(plan_max_pool_grad, window, dy, x, indices)
    if _is_direct(x.shape[2:], window):
        backward = aten(f"max_pool{window.axes}d_with_indices_backward")
        geometry = (window.kernel, window.stride, begins(window), window.dilation, window.ceil_mode)
        return partial(backward, dy, x, *geometry, indices)
    shape, maps = x.shape, (*x.shape[:2], prod(x.shape[2:]))
    return lambda: dy.new_zeros(maps).scatter_add_(2, indices.flatten(2), dy.flatten(2)).view(shape)


def plan_avg_pool(x: DeviceArray, window: Window) -> Call:
    """y, the mean over each window."""
    shape = pool_shape(x.shape, window)
    if is_empty(shape):
        return partial(sum_of_nothing, x, shape)
    if window.axes == 1:
        return _on_row(plan_avg_pool, window, x)
    assert window.kernel is not None
    pool, kernel, stride = function("avg_pool", window.axes), window.kernel, window.stride
    if _is_direct(x.shape[2:], window):
        return partial(pool, x, kernel, stride, begins(window), window.ceil_mode, window.count_include_pad)
    widen = refit(x.shape[2:], window.cover(x.shape[2:], kernel))
    divisor = _divisor_map(x, mean_divisors(x.shape[2:], window))
    # Sums are larger than means: a short format could overflow.
    return lambda: (pool(widen(x).to(divisor.dtype), kernel, stride, 0, False, True, 1) / divisor).to(x.dtype)


def plan_avg_pool_grad(dy: DeviceArray, x_shape: Sizes, window: Window) -> Call:
    """Return the call that computes dx: each dy spread evenly over its window.

    dy: tensor n c *p. x_shape: n c *s of the input of the pooling. window: of the pooling.
    """
    check_gradient(dy.shape, pool_shape(x_shape, window))
    if is_empty(dy.shape):
        return partial(sum_of_nothing, dy, x_shape)
    if window.axes == 1:
        return _on_row(plan_avg_pool_grad, window, dy, x_shape)
    assert window.kernel is not None
    backward, kernel, stride = aten(f"avg_pool{window.axes}d_backward"), window.kernel, window.stride
    if _is_direct(x_shape[2:], window):
        modes = (window.ceil_mode, window.count_include_pad, None)
        return partial(backward, dy, blank(dy, x_shape), kernel, stride, begins(window), *modes)
    cover, divisor = window.cover(x_shape[2:], kernel), _divisor_map(dy, mean_divisors(x_shape[2:], window))
    padded = blank(dy, grown(x_shape, cover)).to(divisor.dtype)
    crop, zeros = refit(padded.shape[2:], opposite(cover)), (0,) * window.axes
    return lambda: crop(backward(dy / divisor, padded, kernel, stride, zeros, False, True, 1)).to(dy.dtype)
