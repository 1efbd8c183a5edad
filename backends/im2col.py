"""Convolution as gather and one matrix product per group; the input gradient as a product and a scatter-add.

Images are laid out with their channels last, so that the taps of a kernel row are one contiguous run and the gather
moves at the speed of memory; where channels are few, with their positions last. Columns are made block by block: part
of a large image, or several small images whose products are merged into one. The code goes through the library of its
arrays and runs on CuPy unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from backends.guards import check_gradient, conv_shape, is_empty, sum_of_nothing
from backends.reductions import Reductions, grown, module_of, widen
from harness import Backend, Numerics, Operator, Problem, Window, hookimpl
from harness.backend import SwitchName
from harness.problems import (
    EVERY,
    Call,
    DeviceArray,
    DeviceArrays,
    Namespace,
    Sizes,
    bind_operator,
    operator_arguments,
    tap_slices,
    window_slices,
)

if TYPE_CHECKING:
    import numpy as np

GATHER_CHANNELS = 8  # with fewer channels in a group, runs along space are the longer ones
SCATTER_RATIO = 8  # sums into strided places pay for channels last only where they far outnumber a line's positions
MERGE_BELOW = 200  # positions of a map below which products of single images are too small for full speed


@dataclass(frozen=True, slots=True)
class Block:
    """Images from `first` on and, if there is but one, lines of its first axis from `line` on."""

    first: int
    images: int
    line: int
    lines: int


@dataclass(frozen=True)
class Shape:
    """The geometry of a gather: sizes of the padded image and of the columns of one block; each computed once."""

    x: Sizes
    kernel: Sizes
    window: Window
    block_bytes: int
    item: int

    @property
    def images(self) -> int:
        """Number of images N."""
        return self.x[0]

    @property
    def channels(self) -> int:
        """Number of channels C."""
        return self.x[1]

    @property
    def spatial(self) -> Sizes:
        """Input sizes S."""
        return self.x[2:]

    @cached_property
    def out(self) -> Sizes:
        """Output sizes P."""
        return self.window.output_shape(self.spatial, self.kernel)

    @cached_property
    def rest(self) -> int:
        """Positions of one line of the first output axis."""
        return math.prod(self.out[1:])

    @property
    def depth(self) -> int:
        """Rows of a column: taps times channels of a group."""
        return self.channels // self.window.groups * math.prod(self.kernel)

    @cached_property
    def extent(self) -> Sizes:
        """Spatial size of the padded image."""
        return grown(self.spatial, self.window.cover(self.spatial, self.kernel))

    @property
    def inside(self) -> tuple[slice, ...]:
        """Slices of the image in its padded form."""
        return tuple(slice(begin, begin + n) for n, (begin, _) in zip(self.spatial, self.window.padding, strict=True))

    @cached_property
    def most(self) -> Block:
        """The largest block: its images and lines."""
        line_bytes = self.item * self.depth * self.window.groups * self.rest
        lines = max(1, self.block_bytes // line_bytes)
        if lines < self.out[0]:
            return Block(0, 1, 0, -(-self.out[0] // -(-self.out[0] // lines)))  # of equal size
        return Block(0, min(self.images, lines // self.out[0]), 0, self.out[0])

    def blocks(self) -> Iterator[Block]:
        """All blocks, image by image."""
        most = self.most
        for first in range(0, self.images, most.images):
            for line in range(0, self.out[0], most.lines):
                yield Block(first, min(most.images, self.images - first), line, min(most.lines, self.out[0] - line))

    @property
    def bytes(self) -> int:
        """Bytes of the padded images and of the columns."""
        most = self.most
        columns = math.prod(self.kernel) * most.lines * self.rest
        return self.item * self.channels * most.images * (math.prod(self.extent) + columns)


class Columns:
    """Buffers of one gather: padded images and their columns, both seen as g c/g [*k] n *s.

    In memory either the channels or the positions are last, in both.
    """

    def __init__(self, xp: Namespace, shape: Shape, dtype: np.dtype[Any], channels_last: bool) -> None:
        most, groups = shape.most, shape.window.groups
        c, axes = shape.channels // groups, len(shape.kernel)
        lines = (most.images, most.lines, *shape.out[1:])
        self.shape = shape
        if channels_last:
            padded = xp.zeros((most.images, *shape.extent, groups, c), dtype=dtype)
            self.image = xp.moveaxis(padded, (-2, -1), (0, 1))
            taps = xp.empty((groups, *lines, *shape.kernel, c), dtype=dtype)
            self.matrix = taps.reshape(groups, -1, shape.depth)  # g n*p k*c
            self.taps = xp.moveaxis(taps, (-1, *range(-1 - axes, -1)), (1, *range(2, 2 + axes)))
        else:
            self.image = xp.zeros((groups, c, most.images, *shape.extent), dtype=dtype)
            taps = xp.empty((groups, *shape.kernel, c, *lines), dtype=dtype)
            self.matrix = taps.reshape(groups, shape.depth, -1).swapaxes(1, 2)
            self.taps = xp.moveaxis(taps, 1 + axes, 1)
        self.windows = self._see_windows(xp)

    def _see_windows(self, xp: Namespace) -> DeviceArray:
        """Every window of the padded images, without a copy: g c/g *k n *p."""
        image, window, kernel = self.image, self.shape.window, self.shape.kernel
        steps = image.strides[3:]
        return xp.lib.stride_tricks.as_strided(
            image,
            (*image.shape[:2], *kernel, image.shape[2], *self.shape.out),
            (
                *image.strides[:2],
                *(step * d for step, d in zip(steps, window.dilation, strict=True)),
                image.strides[2],
                *(step * s for step, s in zip(steps, window.stride, strict=True)),
            ),
        )

    def load(self, x: DeviceArray, block: Block) -> None:
        """Copy the block's images into their padded form; the padding stays zero."""
        if block.line == 0:
            part = self._grouped(x, block)
            self.image[(*EVERY, slice(block.images), *self.shape.inside)] = part

    def store(self, dx: DeviceArray, block: Block) -> None:
        """Copy the padded images into the images of the block."""
        if block.line + block.lines == self.shape.out[0]:
            self._grouped(dx, block)[...] = self.image[(*EVERY, slice(block.images), *self.shape.inside)]

    def _grouped(self, x: DeviceArray, block: Block) -> DeviceArray:
        """View of the block's images: n c *s to g c/g n *s."""
        groups, c = self.image.shape[:2]
        part = x[block.first : block.first + block.images]
        return part.reshape(part.shape[0], groups, c, *part.shape[2:]).transpose(1, 2, 0, *range(3, x.ndim + 1))

    def gather(self, block: Block) -> DeviceArray:
        """Columns of a block whose images are loaded: g n*p k*c."""
        lines = slice(block.line, block.line + block.lines)
        whole = (slice(None),) * len(self.shape.kernel)
        self.taps[(*EVERY, *whole, slice(block.images), slice(block.lines))] = self.windows[
            (*EVERY, *whole, slice(block.images), lines)
        ]
        return self.part(block)

    def part(self, block: Block) -> DeviceArray:
        """The columns that a block fills."""
        return self.matrix[:, : block.images * block.lines * self.shape.rest]

    def scatter(self, block: Block) -> None:
        """Add the columns of a block to the padded images, tap by tap or window by window, whatever is fewer."""
        if block.line == 0:
            self.image[...] = 0
        images, lines, kernel = slice(block.images), slice(block.lines), self.shape.kernel
        out, step = (block.lines, *self.shape.out[1:]), block.line * self.shape.window.stride[0]
        if math.prod(kernel) <= math.prod(out):
            for tap, at in tap_slices(out, kernel, self.shape.window):
                self.image[(*EVERY, images, *_move(at, step))] += self.taps[(*EVERY, *tap, images, lines)]
        else:
            axes, whole = len(kernel), (slice(None),) * len(kernel)
            by_image = self.taps.transpose(
                0, 1, 2 + axes, *range(2, 2 + axes), *range(3 + axes, 3 + 2 * axes)
            )  # g c/g n *k *p
            for place, at in window_slices(out, kernel, self.shape.window):
                self.image[(*EVERY, images, *_move(at, step))] += by_image[(*EVERY, images, *whole, *place)]


def _move(at: tuple[slice, ...], step: int) -> tuple[slice, ...]:
    """The same slices further down the first axis."""
    first, *rest = at
    return (slice(first.start + step, first.stop + step, first.step), *rest)


class Im2col(Reductions, Backend):
    """Columns and matrix products; float16 is computed in float32. On CuPy only the two transfers differ."""

    name = "im2col"
    instruction_sets: ClassVar[tuple[SwitchName, ...]] = ("openblas", "numpy")
    rate = 5e9
    numerics = Numerics(algorithm="gemm")
    takes_complex = True
    block_bytes: ClassVar[int] = 4 << 20

    def versions(self) -> dict[str, str]:
        """Version of NumPy."""
        import numpy as np

        return {"numpy": np.__version__}

    def workspace(self, problem: Problem) -> int:
        """Padded images, columns, the merged product and the kernel's matrix."""
        if problem.w is None or problem.operator not in _PLANS or is_empty(problem.x, problem.w):
            return 0
        item = 8 if problem.dtype == "float64" else 4
        sums = math.prod(problem.w)
        least = item * sums if problem.operator is Operator.conv_weight_grad else 0
        shape = self._shape(problem.x, problem.w, problem.window, item, least)
        merged = shape.most.images * math.prod(problem.y[1:]) if shape.most.images > 1 else 0
        return shape.bytes + item * (merged + 2 * sums)

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Allocate the buffers and lay the kernel out as a matrix; the call gathers and multiplies."""
        plan = _PLANS.get(problem.operator)
        return plan(self, *operator_arguments(problem, arrays)) if plan else bind_operator(self, problem, arrays)

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """y = kernel matrix times columns, plus b."""
        return self._plan_conv(x, w, b, window)()

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """dx = scatter of (transposed kernel matrix times dy)."""
        return self._plan_input_grad(dy, w, x_shape, window)()

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """dw = dy times transposed columns."""
        return self._plan_weight_grad(dy, x, w_shape, window)()

    def _shape(self, x: Sizes, w: Sizes, window: Window, item: int, least: int = 0) -> Shape:
        return Shape(x, w[2:], window, max(self.block_bytes, least), item)

    def _plan_conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> Call:
        y_shape = conv_shape(x.shape, w.shape, window)
        if is_empty(x.shape, w.shape):
            return partial(sum_of_nothing, x, y_shape, b)
        matrix = _kernel_matrix(w, window.groups)
        if _is_pointwise(x.shape, w.shape, window):
            return partial(_multiply_maps, matrix, x, b)
        shape = self._shape(x.shape, w.shape, window, matrix.itemsize)
        columns = Columns(module_of(x), shape, matrix.dtype, w.shape[1] >= GATHER_CHANNELS)
        return partial(_conv, columns, x, matrix, b)

    def _plan_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> Call:
        check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
        if is_empty(dy.shape, w.shape):
            return partial(sum_of_nothing, dy, x_shape)
        matrix = _kernel_matrix(w, window.groups)
        if _is_pointwise(x_shape, w.shape, window):
            return partial(_multiply_maps, matrix.swapaxes(1, 2), dy, None)
        shape = self._shape(x_shape, w.shape, window, matrix.itemsize)
        columns = Columns(module_of(dy), shape, matrix.dtype, w.shape[1] > SCATTER_RATIO * dy.shape[-1])
        return partial(_input_grad, columns, dy, matrix)

    def _plan_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> Call:
        check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
        if is_empty(dy.shape, x.shape):
            return partial(sum_of_nothing, dy, w_shape)
        dtype = widen(x[:0]).dtype
        # every block adds a whole gradient to the sum, so that a block should be no smaller than that
        shape = self._shape(x.shape, w_shape, window, dtype.itemsize, dtype.itemsize * math.prod(w_shape))
        columns = Columns(module_of(x), shape, dtype, w_shape[1] >= GATHER_CHANNELS)
        sums = module_of(x).empty((2, window.groups, w_shape[0] // window.groups, shape.depth), dtype=dtype)
        return partial(_weight_grad, columns, dy, x, w_shape, sums)


_PLANS: dict[Operator, Callable[..., Call]] = {
    Operator.conv: Im2col._plan_conv,
    Operator.conv_input_grad: Im2col._plan_input_grad,
    Operator.conv_weight_grad: Im2col._plan_weight_grad,
}


def _kernel_matrix(w: DeviceArray, groups: int) -> DeviceArray:
    """The kernel with taps before channels, as columns have them: g o/g k*c."""
    xp = module_of(w)
    by_group = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return xp.ascontiguousarray(xp.moveaxis(widen(by_group), 2, -1).reshape(*by_group.shape[:2], -1))


def _is_pointwise(x_shape: Sizes, w_shape: Sizes, window: Window) -> bool:
    """True if feature maps are their own columns, and large enough for one matrix product each."""
    moved = any(s > 1 for s in window.stride) or any(side for pair in window.padding for side in pair)
    area = math.prod(x_shape[2:])
    return math.prod(w_shape[2:]) == 1 and not moved and (area >= MERGE_BELOW or x_shape[0] == 1)


def _multiply_maps(matrix: DeviceArray, x: DeviceArray, b: DeviceArray | None) -> DeviceArray:
    """Products of a matrix (g o c) with every image, whose maps need no gather: n c *s to n o *s."""
    groups, o, c = matrix.shape
    y = module_of(x).matmul(matrix, widen(x).reshape(x.shape[0], groups, c, -1))
    if b is not None:
        y += b.reshape(groups, o, 1)
    return y.reshape(x.shape[0], groups * o, *x.shape[2:]).astype(x.dtype, copy=False)


def _rows(a: DeviceArray, block: Block, shape: Shape) -> DeviceArray:
    """The block's positions of an array of outputs, n o *p to g o/g n*p; a view where the block is of one image."""
    part = a[block.first : block.first + block.images]
    part = part.reshape(block.images, shape.window.groups, a.shape[1] // shape.window.groups, -1)
    low = block.line * shape.rest
    part = part[..., low : low + block.lines * shape.rest]
    if block.images == 1:
        return part[0]
    return part.transpose(1, 2, 0, 3).reshape(*part.shape[1:3], -1)


def _conv(columns: Columns, x: DeviceArray, matrix: DeviceArray, b: DeviceArray | None) -> DeviceArray:
    """Forward product, block by block; straight into the output where a block is of one image."""
    xp, shape, (groups, o, _) = module_of(x), columns.shape, matrix.shape
    y = xp.empty((shape.images, groups * o, *shape.out), dtype=matrix.dtype)
    for block in shape.blocks():
        columns.load(x, block)
        gathered = columns.gather(block).swapaxes(1, 2)
        single = block.images == 1
        product = xp.matmul(matrix, gathered, out=_rows(y, block, shape) if single else None)
        if b is not None:
            product += b.reshape(groups, o, 1)
        if not single:
            target = y[block.first : block.first + block.images].reshape(block.images, groups, o, -1)
            target[...] = product.reshape(groups, o, block.images, -1).transpose(2, 0, 1, 3)
    return y.astype(x.dtype, copy=False)


def _input_grad(columns: Columns, dy: DeviceArray, matrix: DeviceArray) -> DeviceArray:
    """Products make the columns of each block, which are then added into the padded images."""
    xp, shape = module_of(dy), columns.shape
    dx = xp.empty((shape.images, shape.channels, *shape.spatial), dtype=dy.dtype)
    for block in shape.blocks():
        rows = widen(_rows(dy, block, shape)).swapaxes(1, 2)
        xp.matmul(rows, matrix, out=columns.part(block))
        columns.scatter(block)
        columns.store(dx, block)
    return dx


def _weight_grad(columns: Columns, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, sums: DeviceArray) -> DeviceArray:
    """Products of dy with the columns of each block, summed over blocks; sums: the total and a product, g o/g k*c."""
    xp, shape = module_of(dy), columns.shape
    total, product = sums
    for number, block in enumerate(shape.blocks()):
        columns.load(x, block)
        xp.matmul(widen(_rows(dy, block, shape)), columns.gather(block), out=product if number else total)
        if number:
            total += product
    by_tap = total.reshape(w_shape[0], *w_shape[2:], w_shape[1])
    return xp.moveaxis(by_tap, -1, 1).astype(dy.dtype, order="C")  # always a copy


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend."""
    register(Im2col())
