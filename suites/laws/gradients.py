"""Gradient identities (specification, section 5), the adjoint triple, and unit-step differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import BackendUnderTest, Deviation, Operator, Problem, Window, law, worst_of
from harness.problems import EVERY, FORMATS, Array, Sizes, array_generator, exact_amplitude, longest_sum, pad_or_crop
from suites.laws.common import equal, inner, kernel_shape, step, whole_conv, wide
from suites.laws.shapes import by_channel, cut, filled_conv

CONV, INPUT, WEIGHT, BIAS = (
    Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_bias_grad,
)  # fmt: skip
Asked = tuple[Problem, dict[str, Array]]


def _arrays(problem: Problem) -> tuple[Array, Array, Array]:
    """x, w and dy of a convolution."""
    return (
        wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem)), wide(problem, "dy", problem.y)
    )  # fmt: skip


def _plain(problem: Problem) -> bool:
    return whole_conv(problem) and not problem.flip


@law(tolerance="exact", when=lambda p: _plain(p) and p.window.groups == 1, needs=(CONV, WEIGHT), restates=(WEIGHT,))
def weight_gradient_is_correlation(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dw = x~ ⋆ dy, with batch and channels swapped, stride d and dilation s  (specification 1.6, 1.7, 1.12)

    x~ is the padded input; one group.
    """
    x, w, dy = _arrays(problem)
    covered = pad_or_crop(x, problem.window.cover(x.shape[2:], w.shape[2:]), 0.0, np)
    window = Window.of(problem.axes, stride=problem.window.dilation, dilation=problem.window.stride)
    wanted = subject.conv(covered.swapaxes(0, 1), dy.swapaxes(0, 1), window=window).swapaxes(0, 1)
    return equal(subject.weight_grad(dy, x, w.shape), wanted, "dw")


@law(tolerance="exact", when=_plain, needs=(CONV, INPUT), restates=(INPUT,))
def input_gradient_is_wide_convolution(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx = rot180(w) ⋆_wide up_s(dy) = w ⊛_wide up_s(dy), channels swapped, padding cropped

    up_s puts s-1 zeros between the elements of dy; dilation stays that of the kernel
    (specification 1.8, 1.9, 1.16).
    """
    x, w, dy = _arrays(problem)
    window, groups = problem.window, problem.window.groups
    reach = window.reach(w.shape[2:])
    padded = [n + b + e for n, (b, e) in zip(x.shape[2:], window.padding, strict=True)]
    stuffed = np.zeros((*dy.shape[:2], *(n - r + 1 for n, r in zip(padded, reach, strict=True))))
    stuffed[(*EVERY, *(slice(None, None, s) for s in window.stride))] = dy
    by_group = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    swapped = by_group.reshape(x.shape[1], w.shape[0] // groups, *w.shape[2:])
    wide_window = Window.of(
        problem.axes, padding=tuple((r - 1, r - 1) for r in reach), dilation=window.dilation, groups=groups
    )
    full = subject.conv(stuffed, swapped, window=wide_window, flip=True)
    crop = tuple(slice(b, b + n) for n, (b, _) in zip(x.shape[2:], window.padding, strict=True))
    return equal(subject.input_grad(dy, w, x.shape), full[(*EVERY, *crop)], "dx")


@law(tolerance="exact", when=_plain, needs=(BIAS,))
def bias_gradient_is_sum(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """db[o] = sum over n, i of dy[n,o,i]  (specification 1.14)

    Summed in float64, exact on whole numbers.
    """
    dy = wide(problem, "dy", problem.y)
    return equal(subject.bias_grad(dy), dy.sum(axis=(0, *range(2, dy.ndim))), "db")


@law(tolerance="exact", when=whole_conv, needs=(CONV, INPUT))
def input_adjoint(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<conv(x, w), dy> = <x, dx(dy, w)>

    All strides, paddings, dilations and groups.
    """
    x, w, dy = _arrays(problem)
    dx = subject.input_grad(dy, w, x.shape)
    return equal(inner(x, dx), inner(subject.conv(x, w, flip=problem.flip), dy), "<x, dx>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, WEIGHT))
def weight_adjoint(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<conv(x, w), dy> = <w, dw(dy, x)>

    All strides, paddings, dilations and groups.
    """
    x, w, dy = _arrays(problem)
    dw = subject.weight_grad(dy, x, w.shape)
    return equal(inner(w, dw), inner(subject.conv(x, w, flip=problem.flip), dy), "<w, dw>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, BIAS))
def bias_adjoint(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<conv(x, w, b) - conv(x, w), dy> = <b, db(dy)>, and conv(x, w, b) - conv(x, w) = b

    The bias is added once to every position of its own map.
    """
    x, w, dy = _arrays(problem)
    b = wide(problem, "b", w.shape[:1])
    shift = subject.conv(x, w, b, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    spread = np.broadcast_to(b.reshape(1, -1, *(1,) * problem.axes), shift.shape)
    return worst_of(
        equal(shift, spread, "y(b) - y(0)"), equal(inner(b, subject.bias_grad(dy)), inner(shift, dy), "<b, db>")
    )


@law(tolerance="exact", when=whole_conv, needs=(CONV, INPUT))
def input_unit_step(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<dy, conv(x + h, w) - conv(x, w)> = <h, dx(dy, w)>

    conv is bilinear, so a difference with step 1 on whole numbers is the derivative, exactly.
    """
    x, w, dy = _arrays(problem)
    h = step(problem, "h", problem.x)
    change = subject.conv(x + h, w, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    return equal(inner(h, subject.input_grad(dy, w, x.shape)), inner(dy, change), "<h, dx>")


@law(tolerance="exact", when=whole_conv, needs=(CONV, WEIGHT))
def weight_unit_step(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """<dy, conv(x, w + h) - conv(x, w)> = <h, dw(dy, x)>

    conv is bilinear, so a difference with step 1 on whole numbers is the derivative, exactly.
    """
    x, w, dy = _arrays(problem)
    h = step(problem, "h", w.shape)
    change = subject.conv(x, w + h, flip=problem.flip) - subject.conv(x, w, flip=problem.flip)
    return equal(inner(h, subject.weight_grad(dy, x, w.shape)), inner(dy, change), "<h, dw>")


def _whole_transpose(problem: Problem) -> bool:
    return problem.operator is Operator.conv_transpose and problem.data == "integer"


@law(
    tolerance="exact",
    when=_whole_transpose,
    needs=(Operator.conv_transpose, INPUT),
    restates=(Operator.conv_transpose,),
)
def transpose_is_input_gradient(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv_transpose(z, w, b) = conv_input_grad(z, w) + b

    Transposed convolution is C^T z with C the matrix of conv; output_padding only appends positions without a tap.
    """
    z, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    b = wide(problem, "b", (problem.y[1],)) if problem.bias else None
    y = subject.whole(problem, {"x": z, "w": w, "b": b})["y"]
    wanted = subject.input_grad(z, w, problem.y)
    return equal(y, wanted if b is None else wanted + b.reshape(1, -1, *(1,) * problem.axes), "y")


def _grows(problem: Problem) -> bool:
    """True if there is output padding, and an output without it."""
    if not _whole_transpose(problem) or not any(problem.output_padding or ()):
        return False
    none = (0,) * problem.axes
    return min(problem.window.transposed_shape(problem.x[2:], problem.kernel, none)) > 0


@law(tolerance="exact", when=_grows)
def output_padding_appends(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """conv_transpose(z, w, b; output_padding) = conv_transpose(z, w, b; 0) as far as that goes, then b where no tap is

    No tap reaches beyond (p-1)s + m' - begin. Where the end padding crops, output padding takes it back first: the
    positions up to there are those of a smaller end padding. Any window.
    """
    z, w = wide(problem, "x", problem.x), wide(problem, "w", kernel_shape(problem))
    b = wide(problem, "b", (problem.y[1],)) if problem.bias else np.zeros(problem.y[1])
    arrays = {"x": z, "w": w, "b": b if problem.bias else None}
    short = problem.with_(output_padding=(0,) * problem.axes)
    uncropped = short.with_(window=_take_back(problem))
    y, *others = (subject.whole(p, arrays)["y"] for p in (problem, short, uncropped))
    beyond = np.ones(y.shape, dtype=bool)
    beyond[tuple(map(slice, others[1].shape))] = False
    spread = np.broadcast_to(by_channel(b, problem.axes), y.shape)
    return worst_of(
        *(equal(y[tuple(map(slice, part.shape))], part, "y where taps reach") for part in others),
        equal(np.where(beyond, y, 0.0), np.where(beyond, spread, 0.0), "y where no tap reaches"),
    )


def _take_back(problem: Problem) -> Window:
    """The window with as much less end padding as there is output padding."""
    extra = problem.output_padding or (0,) * problem.axes
    padding = tuple((b, e - min(e, more)) for (b, e), more in zip(problem.window.padding, extra, strict=True))
    return replace(problem.window, padding=padding)


def _whole_linear(problem: Problem) -> bool:
    """Whole numbers under a linear operator other than `conv`; pooling has laws of its own."""
    linear = problem.operator in (Operator.conv_transpose, INPUT, WEIGHT, BIAS)
    return linear and problem.data == "integer"


@law(tolerance="exact", when=_whole_linear)
def linear_operators(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(2a - 3c, w) = 2 f(a, w) - 3 f(c, w), in each array, for conv_transpose and the gradients

    Any window, flipped or not, no bias; a and c of -1, 0 and 1, fewer of them where a format is short, keep the sums
    exact.
    """
    alone = problem.with_(bias=False)
    arrays = {name: wide(alone, name, shape) for name, shape in alone.shapes.items() if name in problem.operator.inputs}
    output, deviations = problem.operator.outputs[0], []
    for name in problem.operator.spec.factors:
        a, c = (_thin_step(alone, f"{part} of {name}", arrays[name].shape) for part in ("a", "c"))
        joint, *parts = (subject.whole(alone, {**arrays, name: value})[output] for value in (2 * a - 3 * c, a, c))
        deviations.append(equal(joint, 2 * parts[0] - 3 * parts[1], f"{output} of 2a - 3c for {name}"))
    return worst_of(*deviations)


def _thin_step(problem: Problem, name: str, shape: Sizes) -> Array:
    """A direction with so few numbers other than 0 that sums of five times as much stay exact in the dtype."""
    largest = max(exact_amplitude(problem, factor) for factor in problem.operator.spec.factors)
    share = 2.0 ** FORMATS[problem.dtype].bits / (8 * largest * max(1, longest_sum(problem)))
    return step(problem, name, shape) * (array_generator(problem, f"share of {name}").random(shape) < share)


@law(tolerance="exact", when=filled_conv, needs=(INPUT, WEIGHT, BIAS))
def gradients_do_not_meddle(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx, dw, db of (x, w, dy) = the same asked in another order, and = prepared together and read when all have run

    Between the two, those of other arrays (the same numbers, turned and negated) are asked, so that what one call
    leaves behind is not what the next one needs. Any window, flipped or not.
    """
    x, w, dy = _arrays(problem)
    first, second = _asked(problem, x, w, dy), _asked(problem, *(-np.flip(a) for a in (x, w, dy)))
    before = _ask(subject, first, (INPUT, WEIGHT, BIAS))
    together = _ask_together(subject, second, (BIAS, INPUT, WEIGHT))
    apart, after = _ask(subject, second, (WEIGHT, BIAS, INPUT)), _ask(subject, first, (BIAS, INPUT, WEIGHT))
    return worst_of(
        *(equal(after[name], before[name], f"{name} asked in another order") for name in before),
        *(equal(together[name], apart[name], f"{name} prepared together") for name in apart),
    )


def _asked(problem: Problem, x: Array, w: Array, dy: Array) -> dict[Operator, Asked]:
    """The three gradients of a convolution as problems with their arrays."""
    given = {INPUT: {"dy": dy, "w": w}, WEIGHT: {"dy": dy, "x": x}, BIAS: {"dy": dy}}
    return {operator: (problem.with_(operator=operator, bias=False), values) for operator, values in given.items()}


def _ask(subject: BackendUnderTest, asked: dict[Operator, Asked], order: tuple[Operator, ...]) -> dict[str, Array]:
    """Outputs of the plain methods, called one by one."""
    return {name: a for operator in order for name, a in subject.whole(*asked[operator]).items()}


def _ask_together(
    subject: BackendUnderTest, asked: dict[Operator, Asked], order: tuple[Operator, ...]
) -> dict[str, Array]:
    """Outputs of prepared calls that are all alive at once; rounded for norm-wise classes, as `whole` does."""
    with subject.together():
        prepared = [subject.prepare(*asked[operator]) for operator in order]
        results = [call.run() for call in prepared]
        answers = [call.fetch(result) for call, result in zip(prepared, results, strict=True)]
    found = {}
    for call, answer in zip(prepared, answers, strict=True):
        for name, a in answer.items():
            wide_a = a.astype(np.float64)
            found[name] = np.rint(wide_a) if subject.numerics(call.problem).normwise else wide_a
    return found


@law(tolerance="exact", when=lambda p: filled_conv(p) and p.dtype in ("float32", "float64"), needs=(INPUT, WEIGHT))
def gradients_of_batches(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """dx of (A, B) = (dx of A, dx of B);  dw of (A, B) = dw of A + dw of B

    Batches of 65 and 3 images, of one channel and one filter a group, at most two groups and four windows an axis. Any
    window, flipped or not.
    """
    first, small = 65, cut(problem, images=68, windows=4)
    out = small.window.output_shape(small.x[2:], small.w[2:])
    x, w = step(problem, "x", small.x), wide(problem, "w", small.w)
    dy = step(problem, "dy", (small.x[0], small.w[0], *out))
    parts = (slice(None), slice(first), slice(first, None))
    dx, *apart = (subject.input_grad(dy[at], w, x[at].shape, small.window) for at in parts)
    dw, *shares = (subject.weight_grad(dy[at], x[at], w.shape, small.window) for at in parts)
    return worst_of(equal(dx, np.concatenate(apart), "dx"), equal(dw, shares[0] + shares[1], "dw"))
