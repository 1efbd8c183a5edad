"""Faults that look like answers: cached, deferred, right only when checked, or hidden by a declaration."""

import math
from dataclasses import replace

import ml_dtypes
import numpy as np

import harness
from harness.problems import make_arrays, reference
from tests.faulty.right import Right


def _coarse(a, dtype="float16"):
    """The values rounded to a short format; indices stay."""
    with np.errstate(all="ignore"):
        return a if a is None or a.dtype.kind == "i" else a.astype(dtype).astype(a.dtype)


def _copy(result):
    return tuple(map(np.copy, result)) if isinstance(result, tuple) else np.copy(result)


class Cached(Right):
    """Base of backends that look an answer up by less than the contents of all arrays."""

    def __init__(self):
        self.answers = {}

    def conv(self, x, w, b, window):
        key = (window, *(self.key(a) for a in (x, w, b) if a is not None))
        if key not in self.answers:
            self.answers[key] = super().conv(x, w, b, window), x, w, b  # the arrays stay, so no address comes again
        return self.answers[key][0].copy()

    def key(self, a):
        raise NotImplementedError


class CachedByAddress(Cached):
    """Outputs are cached by the addresses of the inputs, whatever these hold by now (gpu-mode#162)."""

    name = "faulty:cached-by-address"

    def key(self, a):
        return a.__array_interface__["data"], a.shape, a.strides, a.dtype


class CachedByFingerprint(Cached):
    """Outputs are cached by shapes and three elements of every input (flashinfer-bench#21)."""

    name = "faulty:cached-by-fingerprint"

    def key(self, a):
        flat = a.reshape(-1)
        return a.shape, a.dtype, flat[:: max(1, a.size // 2)].tobytes()


class AnswersLate(Right):
    """A pipeline that is not drained: a call returns the answer to the one before, if the shapes agree."""

    name = "faulty:answers-late"

    def __init__(self):
        self.pending = {}

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        before = self.pending.get((y.shape, y.dtype), y)
        self.pending[y.shape, y.dtype] = y
        return before.copy()


class FirstAnswer(Right):
    """A prepared call computes once, and returns that answer from then on."""

    name = "faulty:first-answer"

    def prepare(self, problem, arrays):
        call, answers = super().prepare(problem, arrays), []

        def once():
            answers.append(answers[0] if answers else call())
            return _copy(answers[0])

        return once


class CapturedInputs(Right):
    """Planning takes a copy of the inputs, and the prepared call works on that."""

    name = "faulty:captured-inputs"

    def prepare(self, problem, arrays):
        return super().prepare(problem, {name: a.copy() for name, a in arrays.items()})


class Later:
    """A stand-in for an array that is computed when it is read."""

    def __init__(self, shape, dtype, compute):
        self.shape, self.dtype, self.ndim, self.compute = shape, dtype, len(shape), compute

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.compute(), dtype=dtype)


class Lazy(Right):
    """The call returns a promise, and the work is done at the first access, outside the timed region (gpu-mode#162)."""

    name = "faulty:lazy"

    def conv(self, x, w, b, window):
        shape = (x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:]))
        return Later(shape, x.dtype, lambda: Right.conv(self, x, w, b, window))


class KnowsSeed(Right):
    """A prepared call is precise only on the arrays of seed 0, which it draws itself to compare."""

    name = "faulty:knows-seed"

    def prepare(self, problem, arrays):
        drawn = make_arrays(problem.with_(seed=0))
        turned = reference.turn(problem.with_(flip=True), drawn)
        known = any(
            all(np.array_equal(a, one[k], equal_nan=True) for k, a in arrays.items()) for one in (drawn, turned)
        )
        return super().prepare(problem, arrays if known else {name: a * 0 for name, a in arrays.items()})


class KnowsRegime(Right):
    """A prepared call rounds to bfloat16 unless the data is of the kinds that are usually checked."""

    name = "faulty:knows-regime"

    def prepare(self, problem, arrays):
        checked = problem.data in ("integer", "distinct", "normal", "uniform")
        brain = {name: _coarse(a, ml_dtypes.bfloat16) for name, a in arrays.items()}
        return super().prepare(problem, arrays if checked else brain)


class WholeOnly(Right):
    """Everything goes through whole numbers, and fractions are lost."""

    name = "faulty:whole-only"

    def conv(self, x, w, b, window):
        return super().conv(np.rint(x), np.rint(w), b if b is None else np.rint(b), window)


class TiresAfterEight(Right):
    """A prepared call is right eight times, and returns zeros from then on."""

    name = "faulty:tires-after-eight"

    def prepare(self, problem, arrays):
        call, calls = super().prepare(problem, arrays), []

        def tire():
            calls.append(1)
            result = call()
            return result * 0 if len(calls) > 8 and isinstance(result, np.ndarray) else result

        return tire


class PlainOnly(Right):
    """Only what is called plainly is precise; what is prepared, and timed, takes float16."""

    name = "faulty:plain-only"

    def prepare(self, problem, arrays):
        return super().prepare(problem, {name: _coarse(a) for name, a in arrays.items()})


class PreparedOnly(Right):
    """Only what is prepared is right; what is called plainly misses its last output map."""

    name = "faulty:prepared-only"

    def prepare(self, problem, arrays):
        return Right().prepare(problem, arrays)

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        y[:, -1:] = 0
        return y


class SmallPrecise(Right):
    """Small problems, which are verified whole, are precise; large ones take float16 (KernelBench: free precision)."""

    name = "faulty:small-precise"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        if 2 * y.size * math.prod(w.shape[1:]) <= 4_000_000:
            return y
        return super().conv(_coarse(x), _coarse(w), b, window)


class TinyIsZero(Right):
    """Results so small that a fixed tolerance would let zeros pass are zeros (KernelBench#165)."""

    name = "faulty:tiny-is-zero"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return np.zeros_like(y) if np.abs(y).max(initial=0) <= 1e-4 else y


class ConstantShortcut(Right):
    """A constant input is answered by the sum of the kernel, at the border too."""

    name = "faulty:constant-shortcut"

    def conv(self, x, w, b, window):
        if not x.size or np.ptp(x) or window.groups > 1:
            return super().conv(x, w, b, window)
        wide = np.pad(x, ((0, 0), (0, 0), *window.padding), mode="edge")
        return super().conv(wide, w, b, replace(window, padding=((0, 0),) * window.axes))


class ZeroShortcut(Right):
    """A kernel of zeros is answered by the bias alone, whatever infinities and NaN the input holds."""

    name = "faulty:zero-shortcut"

    def conv(self, x, w, b, window):
        return super().conv(x if w.any() else np.zeros_like(x), w, b, window)


class SparseSkipped(Right):
    """Maps with a single number that is not zero are taken as empty."""

    name = "faulty:sparse-skipped"

    def conv(self, x, w, b, window):
        few = np.count_nonzero(x, axis=tuple(range(2, x.ndim)), keepdims=True) <= 1
        return super().conv(np.where(few, np.zeros_like(x), x), w, b, window)


class StrideZeroIsOne(Right):
    """A stride of zero or less is taken as one."""

    name = "faulty:stride-zero-is-one"

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, replace(window, stride=tuple(max(1, s) for s in window.stride)))


class DividesByStride(Right):
    """A stride of zero is divided by before anybody looks at it (tensorflow#42208)."""

    name = "faulty:divides-by-stride"

    def max_pool(self, x, window):
        _ = [n // s for n, s in zip(x.shape[2:], window.stride, strict=False)]
        return super().max_pool(x, window)


class NegativePaddingCrops(Right):
    """Negative padding cuts off what it should refuse."""

    name = "faulty:negative-padding-crops"

    def conv(self, x, w, b, window):
        crop = (
            slice(max(0, -begin), n + min(0, end)) for n, (begin, end) in zip(x.shape[2:], window.padding, strict=True)
        )
        padding = tuple((max(0, begin), max(0, end)) for begin, end in window.padding)
        return super().conv(x[(..., *crop)], w, b, replace(window, padding=padding))


class KernelBeyondIsEmpty(Right):
    """A kernel larger than the padded input yields an array without elements instead of an error (tensorflow#61902)."""

    name = "faulty:kernel-beyond-is-empty"

    def conv(self, x, w, b, window):
        extents = [n + sum(pair) for n, pair in zip(x.shape[2:], window.padding, strict=False)]
        if len(window.stride) == x.ndim - 2 and any(map(int.__gt__, window.reach(w.shape[2:]), extents)):
            return np.zeros((x.shape[0], w.shape[0], *(0,) * window.axes), x.dtype)
        return super().conv(x, w, b, window)


class DilationZeroIsOne(Right):
    """A dilation of zero counts the holes between taps, as some libraries do, and is not refused."""

    name = "faulty:dilation-zero-is-one"

    def conv_weight_grad(self, dy, x, w_shape, window):
        window = replace(window, dilation=tuple(d or 1 for d in window.dilation))
        return super().conv_weight_grad(dy, x, w_shape, window)


class GroupsFromShapes(Right):
    """The number of groups is worked out from the shapes, and what the window says is not looked at."""

    name = "faulty:groups-from-shapes"

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, replace(window, groups=x.shape[1] // w.shape[1] if w.shape[1] else 1))


class OutputPaddingBeyond(Right):
    """Output padding of any size, or below zero, is accepted (pytorch#169236)."""

    name = "faulty:output-padding-beyond"

    def conv_transpose(self, x, w, b, window, output_padding):
        held = tuple(min(max(0, extra), s - 1) for extra, s in zip(output_padding, window.stride, strict=True))
        y = super().conv_transpose(x, w, b, window, held)
        more = tuple(max(0, extra - kept) for extra, kept in zip(output_padding, held, strict=True))
        return np.pad(y, ((0, 0), (0, 0), *((0, extra) for extra in more)))


class LooseTransform(Right):
    """Eighteen bits of each input are used, behind the bound of a transform that never runs."""

    name = "faulty:loose-transform"
    numerics = harness.Numerics(algorithm="fft")

    def conv(self, x, w, b, window):
        return super().conv(self.cut(x), self.cut(w), b, window)

    def cut(self, a):
        if a.dtype != np.float32:
            return a
        fraction, exponent = np.frexp(a.astype(np.float64))
        return np.ldexp(np.rint(fraction * 2**18), exponent - 18).astype(a.dtype)


class LooseAccumulator(Right):
    """Sums in float16 are declared, so that inputs rounded to it are within the bound."""

    name = "faulty:loose-accumulator"
    numerics = harness.Numerics(accumulator={"float32": "float16"})

    def conv(self, x, w, b, window):
        if x.dtype == np.float32:
            x, w = _coarse(x), _coarse(w)
        return super().conv(x, w, b, window)


class LastNan(Right):
    """The last of several NaN is indexed, where the first is declared."""

    name = "faulty:last-nan"

    def max_pool(self, x, window):
        return reference.max_pool(x, window, nan_index="last")


class PositiveZero(Right):
    """Plus zero is taken for larger than minus zero, where the first of them is declared."""

    name = "faulty:positive-zero"

    def max_pool(self, x, window):
        y, indices = super().max_pool(x, window)
        positive = super().max_pool(np.where((x == 0) & ~np.signbit(x), 1, -1), window)[0] > 0
        return np.where((y == 0) & positive, np.zeros_like(y), y), indices


class ZeroChannelsGiveNone(Right):
    """No input channels give no output channels instead of the bias (pytorch#101356)."""

    name = "faulty:zero-channels-give-none"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return y if x.shape[1] else y[:, :0]


class EmptyBatchIsOne(Right):
    """A batch of nothing is run as one image."""

    name = "faulty:empty-batch-is-one"

    def avg_pool(self, x, window):
        return super().avg_pool(x if x.shape[0] else np.zeros((1, *x.shape[1:]), x.dtype), window)


FAULTS = (
    CachedByAddress, CachedByFingerprint, AnswersLate, FirstAnswer, CapturedInputs, Lazy, KnowsSeed, KnowsRegime,
    WholeOnly, TiresAfterEight, PlainOnly, PreparedOnly, SmallPrecise, TinyIsZero, ConstantShortcut, ZeroShortcut,
    SparseSkipped, StrideZeroIsOne, DividesByStride, NegativePaddingCrops, KernelBeyondIsEmpty, DilationZeroIsOne,
    GroupsFromShapes, OutputPaddingBeyond, LooseTransform, LooseAccumulator, LastNan, PositiveZero,
    ZeroChannelsGiveNone, EmptyBatchIsOne,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())
