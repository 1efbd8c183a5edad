"""Convolution as a product of real Fourier transforms over space, for NumPy arrays and arrays with their interface.

Strides: position s*i + d*u - begin is place i + t of stride phase r, with t = (d*u - begin) // s and r the remainder.
Every phase of the input is then a channel of its own, correlated at stride 1, and no product is wasted.
Padding: the kernel's taps stand at t modulo the length L, and L leaves enough zeros that whatever wraps around reads 0.
Large maps are cut into tiles, transformed like further images, so that the kernel's spectrum stays small.
Channels stand last, so that each frequency is one complex matrix product.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from harness.plugins.backend import Backend
from harness.plugins.hookspecs import hookimpl
from harness.spec.calling import arguments, bind
from harness.spec.numerics import Numerics
from harness.spec.operator import Operator
from harness.spec.problem import Problem
from harness.spec.taps import EVERY
from harness.spec.window import Sizes, Window

Array = Any
Slices = tuple[slice, ...]
TILE_LENGTHS = (16, 32, 48, 64, 96, 128, 256, 1024, 4096, 16384)


@dataclass(frozen=True, slots=True)
class Tile:
    """A stretch of one axis: the source from `low` to `high` gives the targets from `first` to `last`.

    In the transform the source begins at place 0, the target at place first - low.
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
    """How a convolution is cut up and transformed.

    inner: channels of x per group, once for each stride phase; outer: channels of y per group.
    backward: dy is the source and dx the target, else x is the source and y (or dy) the target.
    """

    axes: tuple[Axis, ...]
    stride: Sizes
    images: int
    groups: int
    inner: int
    outer: int
    item: int
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
    def points(self) -> int:
        """Points of one real transform."""
        return math.prod(self.lengths)

    @property
    def frequencies(self) -> int:
        """Frequencies of one real transform."""
        return math.prod(self.lengths[:-1]) * (self.lengths[-1] // 2 + 1)

    @property
    def maps(self) -> int:
        """Images times tiles."""
        return self.images * math.prod(len(axis.tiles) for axis in self.axes)

    @property
    def map_bytes(self) -> int:
        """Bytes that one tile of one image takes, as numbers and as spectrum."""
        return self.groups * (self.inner + self.outer) * (self.points + 2 * self.frequencies) * self.item

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


def _make_axis(size: int, out: int, kernel: int, window: Window, axis: int, backward: bool, wanted: int) -> Axis:
    from scipy.fft import next_fast_len

    s, d, begin = window.stride[axis], window.dilation[axis], window.padding[axis][0]
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


def _make_plan(x: Sizes, w: Sizes, window: Window, item: int, block_bytes: int, backward: bool) -> Plan:
    """Choose the tile length whose plan is the cheapest."""
    out, groups = window.output_shape(x[2:], w[2:]), window.groups

    def at_length(wanted: int) -> Plan:
        axes = tuple(
            _make_axis(n, p, m, window, number, backward, wanted)
            for number, (n, p, m) in enumerate(zip(x[2:], out, w[2:], strict=True))
        )
        return Plan(
            axes=axes,
            stride=window.stride,
            images=x[0],
            groups=groups,
            inner=w[1] * math.prod(len(axis.phases) for axis in axes),
            outer=w[0] // groups,
            item=item,
            backward=backward,
            block_bytes=block_bytes,
        )

    return min(map(at_length, (*TILE_LENGTHS, 1 << 62)), key=lambda plan: plan.cost)


class FFT(Backend):
    """Real transforms over space; float16 is computed in float32. On CuPy only the two transfers differ."""

    name = "fft"
    rate = 3e9
    numerics = Numerics(algorithm="fft", nan_local=False)
    block_bytes: ClassVar[int] = 64 << 20

    def versions(self) -> dict[str, str]:
        """Versions of NumPy and SciPy."""
        import numpy as np
        import scipy

        return {"numpy": np.__version__, "scipy": scipy.__version__}

    def work(self, problem: Problem) -> float:
        """Operations of the transforms and of the products between them."""
        if problem.operator not in _PREPARED:
            return float(problem.flops)
        plan = self._plan_problem(problem)
        kernel = plan.kernel_flops if problem.operator is Operator.conv_weight_grad else 0.0
        return plan.transform_flops + plan.product_flops + kernel

    def workspace(self, problem: Problem) -> int:
        """Kernel, its spectrum, and one block of maps with their spectra."""
        if problem.operator not in _PREPARED:
            return 0
        plan = self._plan_problem(problem)
        return 3 * plan.spectrum_bytes + plan.per_block * plan.map_bytes

    def prepare(self, problem: Problem, arrays: Mapping[str, Array]) -> Callable[[], Any]:
        """Plan, and transform the kernel; the call transforms and multiplies."""
        prepared = _PREPARED.get(problem.operator)
        return prepared(self, *arguments(problem, arrays)) if prepared else bind(self, problem, arrays)

    def conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Array:
        """y = inverse transform of (transform of x times conjugate transform of w), plus b."""
        return self._prepare_conv(x, w, b, window)()

    def conv_input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Array:
        """dx = inverse transform of (transform of dy times transform of w)."""
        return self._prepare_input_grad(dy, w, x_shape, window)()

    def conv_weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Array:
        """dw = inverse transform of (transform of x times conjugate transform of dy)."""
        return self._prepare_weight_grad(dy, x, w_shape, window)()

    def _plan(self, like: Array, x: Sizes, w: Sizes, window: Window, backward: bool = False) -> Plan:
        return _make_plan(x, w, window, max(4, like.dtype.itemsize), self.block_bytes, backward)

    def _plan_problem(self, problem: Problem) -> Plan:
        assert problem.w is not None
        item = 8 if problem.dtype == "float64" else 4
        backward = problem.operator is Operator.conv_input_grad
        return _make_plan(problem.x, problem.w, problem.window, item, self.block_bytes, backward)

    def _prepare_conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Callable[[], Array]:
        plan = self._plan(x, x.shape, w.shape, window)
        shape = (x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:]))
        return partial(_multiply, plan, x, _kernel_spectrum(plan, w).conj(), b, shape)

    def _prepare_input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Callable[[], Array]:
        plan = self._plan(dy, x_shape, w.shape, window, backward=True)
        return partial(_multiply, plan, dy, _kernel_spectrum(plan, w).swapaxes(-1, -2), None, x_shape)

    def _prepare_weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Callable[[], Array]:
        return partial(_correlate, self._plan(x, x.shape, w_shape, window), x, dy, w_shape)


_PREPARED: dict[Operator, Callable[..., Callable[[], Array]]] = {
    Operator.conv: FFT._prepare_conv,
    Operator.conv_input_grad: FFT._prepare_input_grad,
    Operator.conv_weight_grad: FFT._prepare_weight_grad,
}


def _namespace(a: Array) -> Any:
    from array_api_compat import array_namespace

    return array_namespace(a)


def _workers() -> int:
    """Threads of a transform: those that the environment grants, else the processors of this process."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() and int(granted) > 0 else os.cpu_count() or 1


def _forward(a: Array, axes: int) -> Array:
    """Real transform over the leading axes: *l ... to f ..."""
    if type(a).__module__.startswith("cupy"):
        from cupyx.scipy.fft import rfftn

        spectrum = rfftn(a, axes=tuple(range(axes)))
    else:
        from scipy.fft import rfftn

        spectrum = rfftn(a, axes=tuple(range(axes)), workers=_workers())
    return spectrum.reshape(-1, *a.shape[axes:])


def _inverse(spectrum: Array, lengths: Sizes) -> Array:
    """Inverse of `_forward`: f ... to *l ..."""
    axes = tuple(range(len(lengths)))
    spectrum = spectrum.reshape(*lengths[:-1], lengths[-1] // 2 + 1, *spectrum.shape[1:])
    if type(spectrum).__module__.startswith("cupy"):
        from cupyx.scipy.fft import irfftn

        return irfftn(spectrum, s=lengths, axes=axes)
    from scipy.fft import irfftn

    return irfftn(spectrum, s=lengths, axes=axes, workers=_workers(), overwrite_x=True)


def _contract(xp: Any, a: Array, b: Array) -> Array:
    """Matrix products, one for each frequency and group; products of single channels go element by element."""
    if a.shape[-1] == 1:
        return a * b
    if a.shape[-2] == b.shape[-1] == 1:
        return xp.sum(a * b.swapaxes(-1, -2), axis=-1, keepdims=True)
    return xp.matmul(a, b)


def _cuts(plan: Plan, tile: tuple[Tile, ...], phase: Sizes | None, target: bool) -> tuple[Slices, Slices]:
    """Where a tile of the source or of the target lies in its array, and where in the transform.

    phase: stride phase of an array of x's size; None for one of y's size.
    """
    inside, placed = [], []
    for number, t in enumerate(tile):
        low, high = (t.first, t.last) if target else (t.low, t.high)
        s, r = (1, 0) if phase is None else (plan.stride[number], phase[number])
        inside.append(slice(low * s + r, high * s + r, s))
        placed.append(slice(low - t.low, high - t.low))
    return tuple(inside), tuple(placed)


def _pairs(
    plan: Plan, block: list[tuple[tuple[Tile, ...], slice]], a: Array, laid: Array, target: bool
) -> Iterator[tuple[Array, Array]]:
    """Views of an array n c *s and of its laid-out block *l g n r c that hold the same elements: *s g n c."""
    groups, axes = plan.groups, len(plan.axes)
    by_group = a.reshape(a.shape[0], groups, a.shape[1] // groups, *a.shape[2:])
    phases: tuple[Sizes | None, ...] = plan.phases if target == plan.backward else (None,)
    row = 0
    for tile, images in block:
        rows = slice(row, row + images.stop - images.start)
        row = rows.stop
        for number, phase in enumerate(phases):
            inside, placed = _cuts(plan, tile, phase, target)
            part = by_group[(images, *EVERY, *inside)]
            part = part.transpose(*range(3, 3 + axes), 1, 0, 2)
            placed = tuple(slice(p.start, p.start + n) for p, n in zip(placed, part.shape, strict=False))
            yield part, laid[(*placed, slice(None), rows, number)]


def _spectrum_of(plan: Plan, block: list[tuple[tuple[Tile, ...], slice]], a: Array, target: bool) -> Array:
    """Lay a block of the source or the target out and transform it: f g n r*c."""
    xp = _namespace(a)
    count = sum(images.stop - images.start for _, images in block)
    phases = len(plan.phases) if target == plan.backward else 1
    dtype = xp.float64 if plan.item == 8 else xp.float32
    laid = xp.zeros((*plan.lengths, plan.groups, count, phases, a.shape[1] // plan.groups), dtype=dtype)
    for part, place in _pairs(plan, block, a, laid, target):
        place[...] = part
    spectrum = _forward(laid, len(plan.axes))
    return spectrum.reshape(*spectrum.shape[:3], -1)


def _multiply(plan: Plan, source: Array, kernel: Array, b: Array | None, shape: Sizes) -> Array:
    """Transform the source block by block, multiply by the kernel's spectrum, transform back and add the bias."""
    xp = _namespace(source)
    y = xp.zeros(shape, dtype=source.dtype)  # a phase without taps has no gradient
    phases = len(plan.phases) if plan.backward else 1
    bias = 0 if b is None else b.reshape(plan.groups, 1, -1)
    for block in plan.blocks():
        product = _contract(xp, _spectrum_of(plan, block, source, target=False), kernel)
        laid = _inverse(product.reshape(*product.shape[:3], phases, -1), plan.lengths)
        for part, place in _pairs(plan, block, y, laid, target=True):
            part[...] = place + bias
    return y


def _correlate(plan: Plan, x: Array, dy: Array, w_shape: Sizes) -> Array:
    """Sum over blocks the products of the spectra of x and dy; the gradient is read off at the shifts."""
    xp = _namespace(x)
    total: Any = 0
    for block in plan.blocks():
        first = _spectrum_of(plan, block, x, target=False)
        second = _spectrum_of(plan, block, dy, target=True).conj()
        total = total + _contract(xp, first.swapaxes(-1, -2), second)
    laid = _inverse(total, plan.lengths)
    dw = xp.empty(w_shape, dtype=x.dtype)
    seen, laid = _by_tap(plan, dw), laid.reshape(*plan.lengths, plan.groups, -1, *w_shape[1:2], plan.outer)
    for number, (taps, places) in enumerate(_tap_places(plan, xp)):
        seen[taps] = laid[..., number, :, :][places]
    return dw


def _kernel_spectrum(plan: Plan, w: Array) -> Array:
    """Spectrum of the kernel with its taps at their shifts: f g r*c o."""
    xp = _namespace(w)
    dtype = xp.float64 if plan.item == 8 else xp.float32
    laid = xp.zeros((*plan.lengths, plan.groups, len(plan.phases), w.shape[1], plan.outer), dtype=dtype)
    seen = _by_tap(plan, w)
    for number, (taps, places) in enumerate(_tap_places(plan, xp)):
        laid[..., number, :, :][places] = seen[taps]
    spectrum = _forward(laid, len(plan.axes))
    return spectrum.reshape(*spectrum.shape[:2], plan.inner, plan.outer)


def _by_tap(plan: Plan, w: Array) -> Array:
    """View of a kernel o c *k with its taps first: *k g c o/g."""
    by_group = w.reshape(plan.groups, plan.outer, *w.shape[1:])
    return by_group.transpose(*range(3, by_group.ndim), 0, 2, 1)


def _tap_places(plan: Plan, xp: Any) -> Iterator[tuple[Any, Any]]:
    """For every stride phase, open meshes of its taps and of their places in the transform."""
    for choice in itertools.product(*(range(len(axis.phases)) for axis in plan.axes)):
        chosen = list(zip(plan.axes, choice, strict=True))
        taps = (xp.asarray(axis.taps[k]) for axis, k in chosen)
        places = (xp.asarray(axis.shifts[k]) % axis.length for axis, k in chosen)
        yield xp.ix_(*taps), xp.ix_(*places)


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Hand over the backend."""
    register(FFT())
