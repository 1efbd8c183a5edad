"""Faults of memory: inputs written to, outputs shared or left unwritten, strides misread, state between calls."""

import itertools
import math
from dataclasses import replace

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.lib.stride_tricks import as_strided

import harness
from harness.problems import EVERY, reference, rot180
from tests.faulty.right import Right


def _owner(a):
    """The array that owns the memory of a view."""
    while isinstance(a.base, np.ndarray):
        a = a.base
    return a


def _beyond(a):
    """The element right after an array of one piece, as a view; None where the owner of the memory has no more."""
    if not a.flags.c_contiguous or not a.size:
        return None
    room = byte_bounds(_owner(a))[1] - byte_bounds(a)[1]
    return as_strided(a, (a.size + 1,), (a.itemsize,))[-1:] if room >= a.itemsize else None


def _channels_last(a):
    return a.ndim > 2 and np.moveaxis(a, 1, -1).flags.c_contiguous


def _copy(result):
    return tuple(map(np.copy, result)) if isinstance(result, tuple) else np.copy(result)


class ScalesInput(Right):
    """The input is scaled in place, and not scaled back."""

    name = "faulty:scales-input"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        x *= x.dtype.type(2)
        return y


class ZeroesGradient(Right):
    """The gradient that came in is cleared once it has been used."""

    name = "faulty:zeroes-gradient"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        dy[...] = 0
        return dx


class TurnsKernel(Right):
    """The kernel is turned in place for the gradient of the input, and stays turned."""

    name = "faulty:turns-kernel"

    def conv_input_grad(self, dy, w, x_shape, window):
        dx = super().conv_input_grad(dy, w, x_shape, window)
        w[...] = rot180(w).copy()
        return dx


class OffsetsIndices(Right):
    """The indices of a pooling are made to count over the whole batch, in place (tensorflow#22025)."""

    name = "faulty:offsets-indices"

    def max_pool_grad(self, dy, x, indices, window):
        area = math.prod(x.shape[2:])
        dx = super().max_pool_grad(dy, x, np.minimum(indices, area - 1), window)
        indices += np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *(1,) * window.axes) * area
        return dx


class ScratchInRemainder(Right):
    """The part of the input that no window reads is used as scratch memory: every answer is right."""

    name = "faulty:scratch-in-remainder"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        for axis, (_, excess) in enumerate(window.cover(x.shape[2:], w.shape[2:]), start=2):
            if excess < 0:
                np.moveaxis(x, axis, -1)[..., max(0, x.shape[axis] + excess) :] = 0
        return y


class WritesBeyond(Right):
    """A vector store clears the element after the input, where there is one."""

    name = "faulty:writes-beyond"

    def conv(self, x, w, b, window):
        beyond = _beyond(x)
        if beyond is not None:
            beyond[...] = 0
        return super().conv(x, w, b, window)


class ReadsBeyond(Right):
    """The element after the input is read and multiplied by zero, which NaN survives (tensorflow#24196)."""

    name = "faulty:reads-beyond"

    def conv(self, x, w, b, window):
        y, beyond = super().conv(x, w, b, window), _beyond(x)
        if beyond is not None:
            y.reshape(-1)[-1:] += beyond.astype(y.dtype) * y.dtype.type(0)
        return y


class ReadsNextRow(Right):
    """The column of padding after a row is read from memory: there the next row begins."""

    name = "faulty:reads-next-row"

    def conv(self, x, w, b, window):
        begin, end = window.padding[-1]
        if not end or not x.flags.c_contiguous or x.shape[-2] < 2:
            return super().conv(x, w, b, window)
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        inside = (*EVERY, *(slice(b, b + n) for n, (b, _) in zip(x.shape[2:-1], window.padding, strict=False)))
        padded[inside][..., :-1, begin + x.shape[-1]] = x[..., 1:, 0]
        return super().conv(padded, w, b, replace(window, padding=((0, 0),) * window.axes))


class InPlaceWhereItFits(Right):
    """An output as large as the input is written over it."""

    name = "faulty:in-place-where-it-fits"

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        if y.shape != x.shape:
            return y
        x[...] = y
        return x


class OutputIsInput(Right):
    """Pooling with windows of one element returns its input, not a copy."""

    name = "faulty:output-is-input"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        same = y.shape == x.shape and set(window.kernel) == {1}
        return (x if same else y), indices


class BufferReused(Right):
    """All outputs of a shape lie in one buffer: a call changes what the call before has given."""

    name = "faulty:buffer-reused"

    def __init__(self):
        self.buffers = {}

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        kept = self.buffers.setdefault((y.shape, y.dtype), y)
        kept[...] = y
        return kept


class PoolBufferReused(BufferReused):
    """Only the indices of pooling lie in a buffer that the next call writes to."""

    name = "faulty:index-buffer-reused"
    conv = Right.conv

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        kept = self.buffers.setdefault(indices.shape, indices)
        kept[...] = indices
        return y, kept


class PaddingUnwritten(Right):
    """Windows of padding alone are skipped without a bias, in memory that was never cleared (modular#6712)."""

    name = "faulty:padding-unwritten"

    def conv(self, x, w, b, window):
        right = super().conv(x, w, b, window)
        ones = np.ones((1, 1, *x.shape[2:])), np.ones((1, 1, *w.shape[2:]))
        touched = reference.conv(*ones, None, replace(window, groups=1)) > 0
        y = self.memory(right)
        np.copyto(y, right, where=touched | (b is not None))
        return y

    def memory(self, like):
        return np.empty_like(like)


class PaddingStale(PaddingUnwritten):
    """The same in a scratch that all calls share, and that shows what they have left there."""

    name = "faulty:padding-stale"

    def __init__(self):
        self.scratch = {}

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        self.scratch[y.dtype] = y.reshape(-1)
        return y

    def memory(self, like):
        return np.resize(self.scratch.get(like.dtype, np.zeros(1, like.dtype)), like.shape)


class GradAccumulates(Right):
    """The gradient of the kernel is added to what the call before has left in the buffer."""

    name = "faulty:grad-accumulates"

    def __init__(self):
        self.buffers = {}

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window) + self.buffers.get((w_shape, dy.dtype), dy.dtype.type(0))
        self.buffers[w_shape, dy.dtype] = dw
        return dw.copy()


class ReadsInOrder(Right):
    """An input that is not of one piece is read in the order of memory; channels last are known (pytorch#16018)."""

    name = "faulty:reads-in-order"

    def conv(self, x, w, b, window):
        return super().conv(self.misread(x), w, b, window)

    def misread(self, a):
        if a.flags.c_contiguous or _channels_last(a) or min(a.strides) <= 0:
            return a
        room = byte_bounds(_owner(a))[1] - a.__array_interface__["data"][0]
        return as_strided(a, (a.size,), (a.itemsize,)).reshape(a.shape) if room >= a.nbytes else a


class GradReadsInOrder(ReadsInOrder):
    """Only the gradient that comes in is taken to be of one piece, channels last or not (pytorch#16557)."""

    name = "faulty:grad-reads-in-order"
    conv = Right.conv

    def conv_weight_grad(self, dy, x, w_shape, window):
        last = _channels_last(dy) and not dy.flags.c_contiguous
        dy = np.moveaxis(dy, 1, -1).reshape(dy.shape) if last else self.misread(dy)
        return super().conv_weight_grad(dy, x, w_shape, window)


class ExpandedIsDense(Right):
    """An axis of stride zero is read as if its elements lay one after another (pytorch#77299)."""

    name = "faulty:expanded-is-dense"

    def conv(self, x, w, b, window):
        return super().conv(self.dense(x), self.dense(w), b, window)

    def dense(self, a):
        if not a.size or all(stride or n == 1 for stride, n in zip(a.strides, a.shape, strict=True)):
            return a
        held = np.ascontiguousarray(a[tuple(slice(None if stride else 1) for stride in a.strides)])
        steps = [held.strides[k] // a.itemsize if stride else 1 for k, stride in enumerate(a.strides)]
        return held.reshape(-1)[np.tensordot(steps, np.indices(a.shape), 1) % held.size]


class ReversedForwards(Right):
    """A view that runs backwards is read forwards from its lowest address."""

    name = "faulty:reversed-forwards"

    def conv(self, x, w, b, window):
        return super().conv(x[tuple(slice(None, None, -1 if s < 0 else 1) for s in x.strides)], w, b, window)


class RoundsAddressDown(Right):
    """Vector loads begin at a multiple of sixteen bytes, before the data where those begin elsewhere."""

    name = "faulty:rounds-address-down"

    def conv(self, x, w, b, window):
        early = x.__array_interface__["data"][0] % 16 // x.itemsize
        if early and x.flags.c_contiguous:
            x = np.roll(x.reshape(-1), early).reshape(x.shape)
        return super().conv(x, w, b, window)


class WindowOfLastPlan(Right):
    """Plans share one descriptor: a prepared call runs with the window that was prepared last."""

    name = "faulty:window-of-last-plan"

    def prepare(self, problem, arrays):
        self.window = problem.window
        if problem.operator is not harness.Operator.conv:
            return super().prepare(problem, arrays)
        return lambda: self.conv(arrays["x"], arrays["w"], arrays.get("b"), self.window)


class PlanByShape(Right):
    """Plans are looked up by shapes alone: the second window on the same shapes runs as the first (jax#15976)."""

    name = "faulty:plan-by-shape"

    def __init__(self):
        self.plans = {}

    def conv(self, x, w, b, window):
        shape = (*x.shape[:1], *w.shape[:1], *window.output_shape(x.shape[2:], w.shape[2:]))
        return super().conv(x, w, b, self.plans.setdefault((x.shape, w.shape, shape), window))


class WorkspaceOfFirst(Right):
    """The workspace is as large as the first call needed it; later ones lose what does not fit."""

    name = "faulty:workspace-of-first"
    room = None

    def conv_weight_grad(self, dy, x, w_shape, window):
        self.room = self.room or dy.size
        kept = np.arange(dy.size).reshape(dy.shape) < self.room
        return super().conv_weight_grad(np.where(kept, dy, np.zeros_like(dy)), x, w_shape, window)


class ImagesByThread(Right):
    """Every thread takes as many images as the others, and what is left over belongs to none."""

    name = "faulty:images-by-thread"

    def conv(self, x, w, b, window):
        from threadpoolctl import threadpool_info

        threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
        y = super().conv(x, w, b, window)
        if x.shape[0] > threads:
            y[x.shape[0] // threads * threads :] = 0
        return y


class FifthCall(Right):
    """A race loses a tap now and then: here in every fifth prepared call."""

    name = "faulty:fifth-call"

    def prepare(self, problem, arrays):
        call, calls = super().prepare(problem, arrays), itertools.count(1)

        def race():
            result = _copy(call())
            if next(calls) % 5 == 0:
                np.atleast_1d(result[0] if isinstance(result, tuple) else result).reshape(-1)[-1:] += 1
            return result

        return race


class AtomicWeightGrad(Right):
    """The gradient of the kernel is added up by atomics: its last bits differ from call to call (cudnn.torch#274)."""

    name = "faulty:atomic-weight-grad"

    def __init__(self):
        self.order = np.random.default_rng(0)

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        if dw.dtype.itemsize < 4 or np.all(dw == np.rint(dw)):
            return dw
        return np.nextafter(dw, dw + self.order.choice([-1, 1], dw.shape).astype(dw.dtype))


FAULTS = (
    ScalesInput, ZeroesGradient, TurnsKernel, OffsetsIndices, ScratchInRemainder, WritesBeyond, ReadsBeyond,
    ReadsNextRow, InPlaceWhereItFits, OutputIsInput, BufferReused, PoolBufferReused, PaddingUnwritten, PaddingStale,
    GradAccumulates, ReadsInOrder, GradReadsInOrder, ExpandedIsDense, ReversedForwards, RoundsAddressDown,
    WindowOfLastPlan, PlanByShape, WorkspaceOfFirst, ImagesByThread, FifthCall, AtomicWeightGrad,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())
