"""Array helpers that the reference, the derivations and backends share: padding by cropping, and tap slices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from harness.problems.window import Padding, Sizes, Window

Slices = tuple[slice, ...]
ALL: Any = slice(None)
EVERY: tuple[Any, ...] = (ALL, ALL)  # all images and channels


def pad_or_crop(x: Any, padding: Padding, value: float, xp: Any) -> Any:
    """Pad the spatial axes of x with a value; a negative end crops what lies beyond.

    x: n c *s. padding: begin and end per axis, in elements. value: of the padding. xp: the array namespace of x, with
    `full` and slice assignment. Gives x itself where nothing changes.
    """
    if not any(side for pair in padding for side in pair):
        return x
    spatial = x.shape[2:]
    extent = tuple(n + b + e for n, (b, e) in zip(spatial, padding, strict=True))
    kept = tuple(max(0, min(n, size - b)) for n, size, (b, _) in zip(spatial, extent, padding, strict=True))
    x = x[(*EVERY, *map(slice, kept))]
    if kept == extent:
        return x
    out = xp.full((*x.shape[:2], *extent), value, dtype=x.dtype, **device_options(x))
    out[(*EVERY, *inner_slices(kept, padding))] = x
    return out


def inner_slices(spatial: Sizes, padding: Padding) -> Slices:
    """Slices of an array's spatial axes inside its padded form."""
    return tuple(slice(b, b + n) for n, (b, _) in zip(spatial, padding, strict=True))


def tap_slices(out: Sizes, kernel: Sizes, window: Window) -> Iterator[tuple[Sizes, Slices]]:
    """Every tap in row-major order, with the strided slices that it reads from the covered input.

    out, kernel: spatial sizes of the output and of the kernel. window: its padding is not read, as the input is
    covered: `pad_or_crop(x, window.cover(...), ...)`.
    """
    axes = [
        [slice(u * d, u * d + (p - 1) * s + 1, s) for u in range(m)]
        for m, d, p, s in zip(kernel, window.dilation, out, window.stride, strict=True)
    ]
    return zip(itertools.product(*map(range, kernel)), itertools.product(*axes), strict=True)


def window_slices(out: Sizes, kernel: Sizes, window: Window) -> Iterator[tuple[Sizes, Slices]]:
    """Every window in row-major order, with the slices of the covered input that its taps read.

    out, kernel: spatial sizes of the output and of the kernel. window: as in `tap_slices`.
    """
    axes = [
        [slice(i * s, i * s + (m - 1) * d + 1, d) for i in range(p)]
        for m, d, p, s in zip(kernel, window.dilation, out, window.stride, strict=True)
    ]
    return zip(itertools.product(*map(range, out)), itertools.product(*axes), strict=True)


def view_windows(padded: NDArray[Any], out: Sizes, kernel: Sizes, window: Window) -> NDArray[Any]:
    """Every window of the covered input, taps before positions: a read-only view of shape n c *k *out.

    padded: n c *s, covered as in `tap_slices`. out, kernel: spatial sizes of the output and of the kernel. window:
    gives stride and dilation.
    """
    steps = padded.strides[2:]
    taps = (step * d for step, d in zip(steps, window.dilation, strict=True))
    moves = (step * s for step, s in zip(steps, window.stride, strict=True))
    return as_strided(padded, (*padded.shape[:2], *kernel, *out), (*padded.strides[:2], *taps, *moves), writeable=False)


def device_options(x: Any) -> dict[str, Any]:
    """Keyword arguments that make a new array on the device of x: `device` for torch, none for others."""
    return {"device": x.device} if type(x).__module__.partition(".")[0] == "torch" else {}


def mean_divisors(spatial: Sizes, window: Window) -> list[list[int]]:
    """Per axis, how many taps of each mean-pooling window count (SPEC section 4): the divisor is their product.

    With count_include_pad those inside input and explicit padding, else those inside the input; never the
    ceil overhang. A window of padding only counts 1, so that 0/0 gives 0.
    """
    assert window.kernel is not None
    out = window.output_shape(spatial, window.kernel)
    counts = []
    for n, p, m, s, d, (begin, end) in zip(
        spatial, out, window.kernel, window.stride, window.dilation, window.padding, strict=True
    ):
        low, high = (-begin, n + end) if window.count_include_pad else (0, n)
        starts = range(-begin, p * s - begin, s)
        # taps u with low <= start + u d < high: from ceil((low - start) / d) up to ceil((high - start) / d)
        counts.append([max(1, min(m, -((at - high) // d)) - max(0, -((at - low) // d))) for at in starts])
    return counts
