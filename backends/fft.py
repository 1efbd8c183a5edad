"""Convolution as a product of Fourier transforms over space, for NumPy arrays and arrays with their interface.

Real arrays take real transforms, complex ones complex transforms; `backends.fft_plan` says how a problem is cut up.
Channels stand last, so that each frequency is one complex matrix product.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from backends.fft_plan import Plan, Tile, make_plan
from backends.guards import check_gradient, conv_shape, is_empty, sum_of_nothing
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
    find_namespace,
    operator_arguments,
)

Slices = tuple[slice, ...]


class FFT(Backend):
    """Transforms over space; float16 is computed in float32. On CuPy only the two transfers differ."""

    name = "fft"
    instruction_sets: ClassVar[tuple[SwitchName, ...]] = ("openblas", "numpy")
    rate = 3e9
    numerics = Numerics(algorithm="fft", nan_local=False)
    takes_complex = True
    block_bytes: ClassVar[int] = 64 << 20

    def versions(self) -> dict[str, str]:
        """Versions of NumPy and SciPy."""
        import numpy as np
        import scipy

        return {"numpy": np.__version__, "scipy": scipy.__version__}

    def set_threads(self, threads: int) -> None:
        """Set the threads of transforms, and of the products between them in NumPy's BLAS."""
        from threadpoolctl import threadpool_limits

        _granted["threads"] = threads
        threadpool_limits(threads)

    def work(self, problem: Problem) -> float:
        """Operations of the transforms and of the products between them."""
        if problem.w is None or problem.operator not in _PREPARED or is_empty(problem.x, problem.w):
            return float(problem.flops)
        plan = self._plan_problem(problem)
        kernel = plan.kernel_flops if problem.operator is Operator.conv_weight_grad else 0.0
        return plan.transform_flops + plan.product_flops + kernel

    def workspace(self, problem: Problem) -> int:
        """Kernel, its spectrum, and one block of maps with their spectra."""
        if problem.w is None or problem.operator not in _PREPARED or is_empty(problem.x, problem.w):
            return 0
        plan = self._plan_problem(problem)
        return 3 * plan.spectrum_bytes + plan.per_block * plan.map_bytes

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Plan, and transform the kernel; the call transforms and multiplies."""
        prepared = _PREPARED.get(problem.operator)
        return (
            prepared(self, *operator_arguments(problem, arrays)) if prepared else bind_operator(self, problem, arrays)
        )

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """y = inverse transform of (transform of x times conjugate transform of w), plus b."""
        return self._prepare_conv(x, w, b, window)()

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """dx = inverse transform of (transform of dy times transform of w)."""
        return self._prepare_input_grad(dy, w, x_shape, window)()

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """dw = inverse transform of (transform of x times conjugate transform of dy)."""
        return self._prepare_weight_grad(dy, x, w_shape, window)()

    def _plan(self, like: DeviceArray, x: Sizes, w: Sizes, window: Window, backward: bool = False) -> Plan:
        real = like.dtype.kind != "c"
        item = max(4, like.dtype.itemsize) if real else like.dtype.itemsize // 2
        return make_plan(x, w, window, item, self.block_bytes, backward, real)

    def _plan_problem(self, problem: Problem) -> Plan:
        assert problem.w is not None
        item = 8 if problem.dtype == "float64" else 4
        backward = problem.operator is Operator.conv_input_grad
        return make_plan(problem.x, problem.w, problem.window, item, self.block_bytes, backward)

    def _prepare_conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> Call:
        shape = conv_shape(x.shape, w.shape, window)
        if is_empty(x.shape, w.shape):
            return partial(sum_of_nothing, x, shape, b)
        plan = self._plan(x, x.shape, w.shape, window)
        return partial(_multiply, plan, x, _kernel_spectrum(plan, w.conj()).conj(), b, shape)

    def _prepare_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> Call:
        check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
        if is_empty(dy.shape, w.shape):
            return partial(sum_of_nothing, dy, x_shape)
        plan = self._plan(dy, x_shape, w.shape, window, backward=True)
        return partial(_multiply, plan, dy, _kernel_spectrum(plan, w).swapaxes(-1, -2), None, x_shape)

    def _prepare_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> Call:
        check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
        if is_empty(dy.shape, x.shape):
            return partial(sum_of_nothing, dy, w_shape)
        return partial(_correlate, self._plan(x, x.shape, w_shape, window), x, dy, w_shape)


_PREPARED: dict[Operator, Callable[..., Call]] = {
    Operator.conv: FFT._prepare_conv,
    Operator.conv_input_grad: FFT._prepare_input_grad,
    Operator.conv_weight_grad: FFT._prepare_weight_grad,
}


_granted: dict[str, int] = {}  # by `set_threads`


def _workers() -> int:
    """Threads of a transform: as set, else as the environment grants, else the processors of this process."""
    if "threads" in _granted:
        return _granted["threads"]
    granted = os.environ.get("OMP_NUM_THREADS", "")
    return int(granted) if granted.isdigit() and int(granted) > 0 else os.cpu_count() or 1


def _transform(name: str, a: DeviceArray, **options: Any) -> DeviceArray:
    """Call one of SciPy's transforms, which may overwrite its input, or CuPy's of the same name."""
    if type(a).__module__.startswith("cupy"):
        return getattr(import_module("cupyx.scipy.fft"), name)(a, **options)
    return getattr(import_module("scipy.fft"), name)(a, workers=_workers(), overwrite_x=True, **options)


def _forward(plan: Plan, a: DeviceArray) -> DeviceArray:
    """Transform over the leading axes: *l ... to f ..."""
    axes = len(plan.axes)
    spectrum = _transform("rfftn" if plan.real else "fftn", a, axes=tuple(range(axes)))
    return spectrum.reshape(-1, *a.shape[axes:])


def _inverse(plan: Plan, spectrum: DeviceArray) -> DeviceArray:
    """Inverse of `_forward`: f ... to *l ..."""
    spectrum, axes = spectrum.reshape(*plan.spectrum, *spectrum.shape[1:]), tuple(range(len(plan.axes)))
    return _transform("irfftn" if plan.real else "ifftn", spectrum, s=plan.lengths, axes=axes)


def _contract(xp: Namespace, a: DeviceArray, b: DeviceArray) -> DeviceArray:
    """Matrix products, one for each frequency and group; products of single channels go element by element."""
    if a.shape[-1] == 1:
        return a * b
    if a.shape[-2] == b.shape[-1] == 1:
        return xp.sum(a * b.swapaxes(-1, -2), axis=-1, keepdims=True)
    return xp.matmul(a, b)


def _cuts(plan: Plan, tile: tuple[Tile, ...], phase: Sizes | None, target: bool) -> tuple[Slices, Slices]:
    """Slices of a tile in its array, and in the transform; of the source or the target.

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
    plan: Plan, block: list[tuple[tuple[Tile, ...], slice]], a: DeviceArray, laid: DeviceArray, target: bool
) -> Iterator[tuple[DeviceArray, DeviceArray]]:
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


def _spectrum_of(plan: Plan, block: list[tuple[tuple[Tile, ...], slice]], a: DeviceArray, target: bool) -> DeviceArray:
    """Lay a block of the source or the target out and transform it: f g n r*c."""
    xp = find_namespace(a)
    count = sum(images.stop - images.start for _, images in block)
    phases = len(plan.phases) if target == plan.backward else 1
    laid = xp.zeros((*plan.lengths, plan.groups, count, phases, a.shape[1] // plan.groups), dtype=plan.dtype)
    for part, place in _pairs(plan, block, a, laid, target):
        place[...] = part
    spectrum = _forward(plan, laid)
    return spectrum.reshape(*spectrum.shape[:3], -1)


def _multiply(plan: Plan, source: DeviceArray, kernel: DeviceArray, b: DeviceArray | None, shape: Sizes) -> DeviceArray:
    """Transform the source block by block, multiply by the kernel's spectrum, transform back and add the bias."""
    xp = find_namespace(source)
    y = xp.zeros(shape, dtype=source.dtype)  # a phase without taps has no gradient
    phases = len(plan.phases) if plan.backward else 1
    bias = 0 if b is None else b.reshape(plan.groups, 1, -1)
    for block in plan.blocks():
        product = _contract(xp, _spectrum_of(plan, block, source, target=False), kernel)
        laid = _inverse(plan, product.reshape(*product.shape[:3], phases, -1))
        for part, place in _pairs(plan, block, y, laid, target=True):
            part[...] = place + bias
    return y


def _correlate(plan: Plan, x: DeviceArray, dy: DeviceArray, w_shape: Sizes) -> DeviceArray:
    """Sum over blocks the products of the spectra of x and dy; the gradient is read off at the shifts."""
    xp = find_namespace(x)
    total: DeviceArray = 0
    for block in plan.blocks():
        first = _spectrum_of(plan, block, x, target=False)
        second = _spectrum_of(plan, block, dy, target=True).conj()
        total = total + _contract(xp, first.swapaxes(-1, -2), second)
    laid = _inverse(plan, total)
    dw = xp.empty(w_shape, dtype=x.dtype)
    seen, laid = _by_tap(plan, dw), laid.reshape(*plan.lengths, plan.groups, -1, *w_shape[1:2], plan.outer)
    for number, (taps, places) in enumerate(_tap_places(plan, xp)):
        seen[taps] = laid[..., number, :, :][places]
    return dw


def _kernel_spectrum(plan: Plan, w: DeviceArray) -> DeviceArray:
    """Spectrum of the kernel with its taps at their shifts: f g r*c o."""
    xp = find_namespace(w)
    laid = xp.zeros((*plan.lengths, plan.groups, len(plan.phases), w.shape[1], plan.outer), dtype=plan.dtype)
    seen = _by_tap(plan, w)
    for number, (taps, places) in enumerate(_tap_places(plan, xp)):
        laid[..., number, :, :][places] = seen[taps]
    spectrum = _forward(plan, laid)
    return spectrum.reshape(*spectrum.shape[:2], plan.inner, plan.outer)


def _by_tap(plan: Plan, w: DeviceArray) -> DeviceArray:
    """View of a kernel o c *k with its taps first: *k g c o/g."""
    by_group = w.reshape(plan.groups, plan.outer, *w.shape[1:])
    return by_group.transpose(*range(3, by_group.ndim), 0, 2, 1)


def _tap_places(plan: Plan, xp: Namespace) -> Iterator[tuple[DeviceArray, DeviceArray]]:
    """For every stride phase, open meshes of its taps and of their places in the transform."""
    for choice in itertools.product(*(range(len(axis.phases)) for axis in plan.axes)):
        chosen = list(zip(plan.axes, choice, strict=True))
        taps = (xp.asarray(axis.taps[k]) for axis, k in chosen)
        places = (xp.asarray(axis.shifts[k]) % axis.length for axis, k in chosen)
        yield xp.ix_(*taps), xp.ix_(*places)


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend."""
    register(FFT())
