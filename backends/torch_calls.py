"""PyTorch's functions and their arguments: windows, layouts and paddings in PyTorch's terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from harness import Window
from harness.problems import DeviceArray, Outputs, Padding, Sizes


def is_symmetric(window: Window) -> bool:
    """Return True if torch's padding, one number per axis, can express this window."""
    return all(begin == end for begin, end in window.padding)


def begins(window: Window) -> Sizes:
    """Padding at the begin of each axis."""
    return tuple(begin for begin, _ in window.padding)


def grown(shape: Sizes, cover: Padding) -> Sizes:
    """Shape of a padded, or cropped, array."""
    return (*shape[:2], *(n + b + e for n, (b, e) in zip(shape[2:], cover, strict=True)))


def opposite(padding: Padding) -> Padding:
    """Inverse of a padding: crops in its place."""
    return tuple((-begin, -end) for begin, end in padding)


def function(name: str, axes: int) -> Callable[..., Outputs]:
    """Torch's function of this name for a number of axes."""
    from torch.nn import functional

    found: Callable[..., Outputs] = getattr(functional, f"{name}{axes}d")
    return found


def aten(name: str) -> Callable[..., Outputs]:
    """Backward function that has no public name; `.default` spares the search for the overload in every call."""
    import torch

    found: Callable[..., Outputs] = getattr(torch.ops.aten, name).default
    return found


def refit(spatial: Sizes, padding: Padding, value: float = 0.0) -> Callable[[DeviceArray], DeviceArray]:
    """Return a function that pads arrays of this spatial size by (begin, end), and crops where a side is negative.

    spatial: sizes of the arrays. padding: (begin, end) per axis, in elements. value: of the padding.
    Where a side crops more than the array, the rest lies in the padding of the other side.
    """
    from torch.nn.functional import pad

    sides: list[int] = []
    for n, (begin, end) in zip(spatial, padding, strict=True):
        size = n + begin + end
        begin = min(max(begin, -n), size)
        sides = [begin, size - n - begin, *sides]  # torch begins with the last axis
    return partial(pad, pad=sides, value=value)


def blank(like: DeviceArray, shape: Sizes, device: Any = None) -> DeviceArray:
    """Return an uninitialised tensor in the layout of another one: channels first or channels last.

    like: tensor with the layout and dtype. shape: n c *s. device: of the new tensor.
    As a stand-in for an array of which torch reads only the shape and the layout, it costs no time.
    """
    import torch

    places = {"dtype": like.dtype, "device": device or like.device}
    if like.is_contiguous() or not like.movedim(1, -1).is_contiguous():
        return torch.empty(shape, **places)
    return torch.empty((shape[0], *shape[2:], shape[1]), **places).movedim(-1, 1)


def canonical(a: DeviceArray) -> DeviceArray:
    """View of the same memory with the strides that its layout has where no axis is of size 1.

    The stride of an axis of size 1 means nothing, but torch 2.13 reads a layout from it: convolutions of several
    groups give wrong numbers where two operands disagree.
    """
    if 1 not in a.shape:
        return a
    if a.is_contiguous():
        return a.view(-1).view(a.shape)
    last = a.movedim(1, -1)
    return last.view(-1).view(last.shape).movedim(-1, 1) if last.is_contiguous() else a
