"""Faults of state: plans found by too short a key, buffers that survive a call, calls that meet in shared memory."""

import math
import weakref
from dataclasses import replace

import numpy as np

import harness
from harness.problems import bind_operator
from tests.faulty.right import Right

# --- what an earlier call leaves behind ----------------------------------------------------------------------------


class StateOfEmptyBatch(Right):
    """An empty batch leaves its number of images to the next call, which computes none (onnxruntime#10041)."""

    name = "faulty:state-of-empty-batch"
    empty = False

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if self.empty and x.shape[0]:
            y[...] = 0
        self.empty = x.shape[0] == 0
        return y


class ShrunkFromSixteen(Right):
    """After a batch above sixteen the next smaller one is pooled in blocks of sixteen, of which none is full
    (openvino#32530)."""

    name = "faulty:shrunk-from-sixteen"
    block = 1

    def avg_pool(self, x, window):
        y = super().avg_pool(x, window)
        y[x.shape[0] // self.block * self.block :] = 0
        self.block = 16 if x.shape[0] > 16 else 1
        return y


class RefusalKeepsGroups(Right):
    """A refused call has already set the number of groups for the next one."""

    name = "faulty:refusal-keeps-groups"
    groups = None

    def conv_input_grad(self, dy, w, x_shape, window):
        left, self.groups = self.groups, window.groups
        dx = super().conv_input_grad(dy, w, x_shape, window)
        self.groups = None
        return dx if left is None or left == window.groups else np.zeros_like(dx)


class ByKey(Right):
    """The arguments of the first call with a key are used in all later calls with it."""

    def __init__(self):
        self.plans = {}

    def plan(self, key, made):
        return self.plans.setdefault(key, made)


class KeyForgetsDtype(ByKey):
    """The accumulator of a shape is that of the first dtype it was met with."""

    name = "faulty:key-forgets-dtype"

    def conv_weight_grad(self, dy, x, w_shape, window):
        dtype = self.plan((dy.shape, x.shape, w_shape, window), dy.dtype)
        return super().conv_weight_grad(dy.astype(dtype), x.astype(dtype), w_shape, window).astype(dy.dtype)


class KeyForgetsLayout(ByKey):
    """The strides of a shape are those of its first call."""

    name = "faulty:key-forgets-layout"

    def max_pool(self, x, window):
        order = tuple(np.argsort([-s for s in x.strides], kind="stable"))
        first = self.plan((x.shape, x.dtype, window), order)
        flat = np.ascontiguousarray(x.transpose(order)).reshape(-1)
        sizes = [x.shape[axis] for axis in first]
        return super().max_pool(flat.reshape(sizes).transpose(np.argsort(first)), window)


class KeyForgetsPadding(ByKey):
    """A plan of pooling is found by shapes, stride and dilation; where the padding lies is not in the key."""

    name = "faulty:key-forgets-padding"

    def max_pool_grad(self, dy, x, indices, window):
        key = (dy.shape, x.shape, window.stride, window.dilation)
        first = self.plan(key, window.padding)
        shift = sum(b for b, _ in window.padding) - sum(b for b, _ in first)
        return super().max_pool_grad(dy, x, np.clip(indices + shift, 0, math.prod(x.shape[2:]) - 1), window)


class KeyForgetsStride(ByKey):
    """The plan of the kernel's gradient is found by shapes alone."""

    name = "faulty:key-forgets-stride"

    def conv_weight_grad(self, dy, x, w_shape, window):
        key = (dy.shape, x.shape, w_shape, window.dilation, tuple(b for b, _ in window.padding), window.groups)
        return super().conv_weight_grad(dy, x, w_shape, self.plan(key, window))


class KeyForgetsDilation(ByKey):
    """The gradient of the input is cached by a key that lacks the dilation."""

    name = "faulty:key-forgets-dilation"

    def conv_input_grad(self, dy, w, x_shape, window):
        key = (dy.shape, w.shape, x_shape, window.stride, tuple(b for b, _ in window.padding), window.groups)
        return super().conv_input_grad(dy, w, x_shape, self.plan(key, window))


class KeyForgetsGroups(ByKey):
    """Both readings of one kernel array have its shape: a transposed convolution keeps the groups of the first."""

    name = "faulty:key-forgets-groups"

    def conv_transpose(self, x, w, b, window, output_padding):
        y = super().conv_transpose(x, w, b, window, output_padding)
        key = (x.shape, w.shape, window.stride, window.padding, window.dilation, output_padding)
        if self.plan(key, window.groups) != window.groups:
            y[...] = y[:, ::-1] + 1
        return y


class KeyForgetsDivisor(ByKey):
    """Divisors are kept by the geometry, whether padding is counted or not."""

    name = "faulty:key-forgets-divisor"

    def avg_pool_grad(self, dy, x_shape, window):
        key = (x_shape, replace(window, count_include_pad=True))
        return super().avg_pool_grad(dy, x_shape, self.plan(key, window))


class KeyForgetsSpace(ByKey):
    """A matrix of the kernel is made for the space that it was met with first; larger maps lose what is beyond."""

    name = "faulty:key-forgets-space"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        room = self.plan((w.shape, window, x.shape[:2]), y.shape[2:])
        for axis, size in enumerate(room, start=2):
            np.moveaxis(y, axis, -1)[..., size:] = 0
        return y


class KeyForgetsOperator(ByKey):
    """The two gradients of pooling share a table of divisors, and one of them has none."""

    name = "faulty:key-forgets-operator"

    def avg_pool_grad(self, dy, x_shape, window):
        divided = self.plan((dy.shape, x_shape), True)
        dx = super().avg_pool_grad(dy, x_shape, window)
        return dx if divided else dx * dx.dtype.type(math.prod(window.kernel))

    def max_pool_grad(self, dy, x, indices, window):
        self.plan((dy.shape, x.shape), False)
        return super().max_pool_grad(dy, x, indices, window)


class KernelBySum(ByKey):
    """The transform of a kernel is looked up by the sum of its elements."""

    name = "faulty:kernel-by-sum"

    def conv(self, x, w, b, window):
        return super().conv(x, self.plan((w.shape, w.dtype, float(np.sum(w))), w.copy()), b, window)


class BiasOfFirst(ByKey):
    """The first call of a shape decides whether there is a bias."""

    name = "faulty:bias-of-first"

    def conv_transpose(self, x, w, b, window, output_padding):
        some = self.plan((x.shape, w.shape, x.dtype, window, output_padding), b is not None)
        return super().conv_transpose(x, w, b if some else None, window, output_padding)


# --- several prepared calls -----------------------------------------------------------------------------------------


class SharedWorkspace(Right):
    """Plans keep their kernel in one workspace: the plan that is made last overwrites what the others read."""

    name = "faulty:shared-workspace"

    def __init__(self):
        self.kernels = {}

    def prepare(self, problem, arrays):
        if problem.operator is not harness.Operator.conv_input_grad:
            return super().prepare(problem, arrays)
        kept = self.kernels.setdefault((arrays["w"].shape, arrays["w"].dtype), arrays["w"].copy())
        kept[...] = arrays["w"]
        return lambda: self.conv_input_grad(arrays["dy"], kept, problem.x, problem.window)


class SharedOutput(Right):
    """Plans of one output shape write into one buffer: a call changes the result of another plan."""

    name = "faulty:shared-output"

    def __init__(self):
        self.outputs = {}

    def prepare(self, problem, arrays):
        call = super().prepare(problem, arrays)
        if problem.operator is not harness.Operator.conv_bias_grad:
            return call

        def write():
            db = call()
            kept = self.outputs.setdefault((db.shape, db.dtype), db)
            kept[...] = db
            return kept

        return write


class DropsForAll(Right):
    """A plan that is collected frees buffers that all plans of its operator use."""

    name = "faulty:drops-for-all"

    def __init__(self):
        self.tables = {}

    def prepare(self, problem, arrays):
        if problem.operator is not harness.Operator.avg_pool:
            return super().prepare(problem, arrays)
        table = self.tables.setdefault(problem.operator, [1.0])
        call = bind_operator(self, problem, arrays)

        def scaled():
            y = call()
            return y * y.dtype.type(table[0])

        weakref.finalize(scaled, table.__setitem__, 0, 0.0)
        return scaled


class PlanOfFirstArrays(Right):
    """A plan that was made for a shape is handed out again, with the arrays that it was made for."""

    name = "faulty:plan-of-first-arrays"

    def __init__(self):
        self.plans = {}

    def prepare(self, problem, arrays):
        made = super().prepare(problem, arrays)
        return self.plans.setdefault(problem.line.partition(" seed=")[0], made)


# --- calls at the same time -----------------------------------------------------------------------------------------


class SharedScratch(Right):
    """All calls of a shape copy their input into one scratch (arrayfire#3711, pytorch#84602)."""

    name = "faulty:shared-scratch"

    def __init__(self):
        self.scratch = {}

    def copied(self, a):
        kept = self.scratch.setdefault((a.shape, a.dtype), np.empty_like(a))
        kept[...] = a
        return kept

    def conv(self, x, w, b, window):
        copied = self.copied(x)
        return super().conv(copied, w, b, window)


class SharedSums(SharedScratch):
    """The kernel's gradient is summed, image by image, in an accumulator of the library (NNlib.jl#158)."""

    name = "faulty:shared-sums"
    conv = Right.conv

    def conv_weight_grad(self, dy, x, w_shape, window):
        sums = self.scratch.setdefault((w_shape, dy.dtype), np.zeros(w_shape, np.float64))
        sums[...] = 0
        for n in range(x.shape[0]):
            sums += super().conv_weight_grad(dy[n : n + 1].astype("f8"), x[n : n + 1].astype("f8"), w_shape, window)
        return sums.astype(dy.dtype)


class SharedDescriptor(Right):
    """The window is written into the library's one descriptor, and read from it (oneDNN#572)."""

    name = "faulty:shared-descriptor"
    descriptor = None

    def max_pool(self, x, window):
        self.descriptor = window
        return super().max_pool(x, self.descriptor)


class BorrowsKernel(Right):
    """The kernel is turned in place, used and turned back: who reads it meanwhile reads it turned."""

    name = "faulty:borrows-kernel"

    def conv_transpose(self, x, w, b, window, output_padding):
        axes = tuple(range(2, w.ndim))
        w[...] = np.flip(w, axes).copy()
        turned = np.flip(w, axes)
        y = super().conv_transpose(x, turned, b, window, output_padding)
        w[...] = turned.copy()
        return y


class BorrowsInput(Right):
    """A minimum is asked of the input, negated in place and negated back."""

    name = "faulty:borrows-input"

    def max_pool(self, x, window):
        np.negative(x, out=x)
        y, indices = super().max_pool(-x, window)
        np.negative(x, out=x)
        return y, indices


class TwoScratches(Right):
    """Calls take turns on two scratches, so that two calls do not meet, but three do."""

    name = "faulty:two-scratches"

    def __init__(self):
        self.calls, self.scratch = 0, {}

    def avg_pool(self, x, window):
        self.calls += 1
        mine = self.scratch.setdefault((self.calls % 2, x.shape, x.dtype), np.empty_like(x))
        mine[...] = x
        return super().avg_pool(mine, window)


class GlobalCounter(Right):
    """Images are taken from one counter, which a second call sets back."""

    name = "faulty:global-counter"
    image = 0

    def avg_pool_grad(self, dy, x_shape, window):
        dx = np.zeros(x_shape, dy.dtype)
        self.image = 0
        while self.image < dy.shape[0]:
            at = slice(self.image, self.image + 1)
            dx[at] += super().avg_pool_grad(dy[at], (1, *x_shape[1:]), window)
            self.image += 1
        return dx


class PublishedEarly(Right):
    """A plan stands in the cache before it is filled: the second user of a shape finds it empty."""

    name = "faulty:published-early"

    def __init__(self):
        self.plans = {}

    def conv_input_grad(self, dy, w, x_shape, window):
        plan = self.plans.get((dy.shape, x_shape, window))
        if plan is None:
            plan = self.plans[dy.shape, x_shape, window] = {}
            plan["scale"] = 1
        scale = plan.get("scale", 0)
        return super().conv_input_grad(dy, w, x_shape, window) * dy.dtype.type(scale)


class RefusesSecond(Right):
    """A flag marks the library as busy; a call that finds it set fails."""

    name = "faulty:refuses-second"
    busy = False

    def conv_bias_grad(self, dy):
        if self.busy:
            raise RuntimeError("the handle is in use")
        self.busy = True
        db = super().conv_bias_grad(dy)
        self.busy = False
        return db


class PlansShareScratch(SharedScratch):
    """Plain methods have memory of their own; the workspace of prepared calls is one for all."""

    name = "faulty:plans-share-scratch"
    operator, shared = harness.Operator.max_pool_grad, "dy"  # of these plans, and their array in the workspace
    conv = Right.conv

    def prepare(self, problem, arrays):
        if problem.operator is not self.operator:
            return super().prepare(problem, arrays)

        def call():
            copied = self.copied(arrays[self.shared])
            return bind_operator(self, problem, arrays | {self.shared: copied})()

        return call


FAULTS = (
    StateOfEmptyBatch, ShrunkFromSixteen, RefusalKeepsGroups, KeyForgetsDtype, KeyForgetsLayout, KeyForgetsPadding,
    KeyForgetsStride, KeyForgetsDilation, KeyForgetsGroups, KeyForgetsDivisor, KeyForgetsSpace, KeyForgetsOperator,
    KernelBySum, BiasOfFirst, SharedWorkspace, SharedOutput, DropsForAll, PlanOfFirstArrays, SharedScratch, SharedSums,
    SharedDescriptor, BorrowsKernel, BorrowsInput, TwoScratches, GlobalCounter, PublishedEarly, RefusesSecond,
    PlansShareScratch,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())
