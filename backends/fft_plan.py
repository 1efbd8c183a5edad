"""Plans of a convolution by Fourier transforms: stride phases, transform lengths, tiles and blocks.

Strides: position s*i + d*u - begin is place i + t of stride phase r, with t = (d*u - begin) // s and r the remainder.
Every phase of the input is a channel of its own, correlated at stride 1, so that no product is wasted.
Padding: the kernel's taps are at t modulo the length L, and L leaves enough zeros for wrapped positions to read 0.
Large feature maps are cut into tiles, transformed like further images, so that the kernel's spectrum stays small.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from harness import Window
from harness.problems import Sizes

TILE_LENGTHS = (16, 32, 48, 64, 96, 128, 256, 1024, 4096, 16384)


@dataclass(frozen=True, slots=True)
class Tile:
    """A section of one axis: the source from `low` to `high` determines the targets from `first` to `last`.

    In the transform the source begins at place 0, and the target at place first - low.
    """

    low: int
    high: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a plan: transform length, tiles, and for each stride phase its taps and their shifts t."""

    length: int
    tiles: tuple[Tile, ...]
    phases: tuple[int, ...]
    taps: tuple[tuple[int, ...], ...]
    shifts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The division of a convolution into transforms.

    inner: channels of x per group, once for each stride phase; outer: channels of y per group.
    item: bytes of a real number; real: True if the arrays are real, so that half of a spectrum is enough.
    backward: dy is the source and dx the target; otherwise x is the source and y (or dy) the target.
    """

    axes: tuple[Axis, ...]
    stride: Sizes
    images: int
    groups: int
    inner: int
    outer: int
    item: int
    real: bool
    backward: bool
    block_bytes: int

    @property
    def lengths(self) -> Sizes:
        """Transform lengths."""
        return tuple(axis.length for axis in self.axes)

    @property
    def phases(self) -> tuple[Sizes, ...]:
        """Stride phases that hold a tap."""
        return tuple(itertools.product(*(axis.phases for axis in self.axes)))

    @property
    def dtype(self) -> str:
        """Name of the dtype of the transformed arrays."""
        return f"float{8 * self.item}" if self.real else f"complex{16 * self.item}"

    @property
    def points(self) -> int:
        """Points of one transform."""
        return math.prod(self.lengths)

    @property
    def spectrum(self) -> Sizes:
        """Frequencies of one transform, axis by axis."""
        return (*self.lengths[:-1], self.lengths[-1] // 2 + 1) if self.real else self.lengths

    @property
    def frequencies(self) -> int:
        """Frequencies of one transform."""
        return math.prod(self.spectrum)

    @property
    def maps(self) -> int:
        """Images times tiles."""
        return self.images * math.prod(len(axis.tiles) for axis in self.axes)

    @property
    def map_bytes(self) -> int:
        """Bytes that one tile of one image takes, as numbers and as spectrum."""
        numbers = self.points * (1 if self.real else 2) + 2 * self.frequencies
        return self.groups * (self.inner + self.outer) * numbers * self.item

    @property
    def spectrum_bytes(self) -> int:
        """Bytes of the kernel's spectrum."""
        return 2 * self.item * self.frequencies * self.groups * self.inner * self.outer

    @property
    def per_block(self) -> int:
        """Images times tiles that are transformed at once."""
        return max(1, min(self.maps, self.block_bytes // self.map_bytes))

    @property
    def one_transform(self) -> float:
        """Operations of a real transform."""
        return 2.5 * self.points * max(1.0, math.log2(self.points))

    @property
    def kernel_flops(self) -> float:
        """Operations of transforming the kernel, or its gradient."""
        return self.groups * self.inner * self.outer * self.one_transform

    @property
    def transform_flops(self) -> float:
        """Operations of transforming all maps."""
        return self.maps * self.groups * (self.inner + self.outer) * self.one_transform

    @property
    def product_flops(self) -> float:
        """Operations of the complex products over channels."""
        return 8.0 * self.frequencies * self.maps * self.groups * self.inner * self.outer

    @property
    def cost(self) -> float:
        """Estimated time, in products' operations: transforms run ten times slower, a byte of spectrum costs twelve."""
        moved = 60.0 * self.points * self.maps * self.groups * (self.inner + self.outer)
        spectra = 12.0 * self.spectrum_bytes * -(-self.maps // self.per_block)
        return 10.0 * self.transform_flops + moved + self.product_flops + spectra

    def blocks(self) -> Iterator[list[tuple[tuple[Tile, ...], slice]]]:
        """Tiles with the images that are transformed together: several tiles of all images, or some images of one."""
        tiles = list(itertools.product(*(axis.tiles for axis in self.axes)))
        step = min(self.images, self.per_block)
        together = max(1, self.per_block // self.images)
        for first in range(0, len(tiles), together):
            for low in range(0, self.images, step):
                yield [(tile, slice(low, min(low + step, self.images))) for tile in tiles[first : first + together]]


@lru_cache(maxsize=4096)  # thousands of problems share their axes, and each is planned at a dozen lengths
def _make_axis(size: int, out: int, kernel: int, s: int, d: int, begin: int, backward: bool, wanted: int) -> Axis:
    from scipy.fft import next_fast_len

    places = [divmod(u * d - begin, s) for u in range(kernel)]
    shifts = [t for t, _ in places]
    least, most = (-max(shifts), -min(shifts)) if backward else (min(shifts), max(shifts))
    source, target = (out, -(-size // s)) if backward else (-(-size // s), out)
    step = min(target, max(1, wanted - (most - least)))
    step = -(-target // -(-target // step))  # tiles of equal size
    tiles, length = [], most - least + 1
    for first in range(0, target, step):
        last = min(first + step, target)
        low = max(0, first + min(least, 0))
        high = max(low, min(source, last + most))
        tiles.append(Tile(low, high, first, last))
        # what is read before place 0 or behind the source must be zeros of the transform's end
        length = max(length, high - low - min(0, first - low + least), last - low + max(0, most))
    phases = sorted({r for _, r in places})
    taps = [tuple(u for u, (_, r) in enumerate(places) if r == phase) for phase in phases]
    return Axis(
        length=next_fast_len(length, real=True),
        tiles=tuple(tiles),
        phases=tuple(phases),
        taps=tuple(taps),
        shifts=tuple(tuple(shifts[u] for u in group) for group in taps),
    )


@lru_cache(maxsize=16)  # the planner asks for work and workspace of the same problem
def make_plan(
    x: Sizes, w: Sizes, window: Window, item: int, block_bytes: int, backward: bool, real: bool = True
) -> Plan:
    """Choose the tile length whose plan is the cheapest.

    x: shape (N, C, *S) of the input. w: shape (O, C/groups, *K) of the kernel. window: stride, padding, dilation,
    groups.
    item: bytes of a real number. block_bytes: memory limit of the transforms of one block.
    backward: plan the input gradient, with dy as the source. real: True if the arrays are real.
    """
    out, groups = window.output_shape(x[2:], w[2:]), window.groups

    def cut(wanted: int) -> tuple[Axis, ...]:
        return tuple(
            _make_axis(n, p, m, s, d, begin, backward, wanted)
            for n, p, m, s, d, (begin, _) in zip(
                x[2:], out, w[2:], window.stride, window.dilation, window.padding, strict=True
            )
        )

    def plan(axes: tuple[Axis, ...]) -> Plan:
        return Plan(
            axes=axes,
            stride=window.stride,
            images=x[0],
            groups=groups,
            inner=w[1] * math.prod(len(axis.phases) for axis in axes),
            outer=w[0] // groups,
            item=item,
            real=real,
            backward=backward,
            block_bytes=block_bytes,
        )

    ways = dict.fromkeys(map(cut, (*TILE_LENGTHS, 1 << 62)))  # small problems are cut in one way only
    return min(map(plan, ways), key=lambda one: one.cost)
