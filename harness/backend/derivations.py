"""What mathematics gives a backend that lacks an operator: each derivation names the problems that it needs.

A derivation is planned and run by the same code: `needs` says which problems of the same backend answer it, and
`compute` runs them. Array work goes through the array namespace of the arrays, so it stays on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.taps import EVERY, device_options, mean_divisors, pad_or_crop
from harness.problems.window import Window

Arrays = Mapping[str, Any]
SHORT = frozenset({"float16", "bfloat16"})
Runner = Callable[[Problem, Arrays], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One way to answer a problem by other problems of the same backend.

    needs: the problem to be answered instead, or None where the derivation does not apply.
    compute: runs it and turns the answer into the outputs of the first problem.
    """

    via: str
    needs: Callable[[Problem], Problem | None]
    compute: Callable[[Runner, Problem, Arrays], tuple[Any, ...]]


def _xp(a: Any) -> Any:
    from array_api_compat import array_namespace

    return array_namespace(a)


def _one(values: tuple[Any, ...]) -> Any:
    return values[0]


# --- one axis from two -------------------------------------------------------------------------------------------


def _lifted(problem: Problem) -> Problem | None:
    if problem.axes != 1:
        return None
    window = problem.window
    return problem.with_(
        x=(*problem.x[:2], 1, *problem.x[2:]),
        w=None if problem.w is None else (*problem.w[:2], 1, *problem.w[2:]),
        output_padding=None if problem.output_padding is None else (0, *problem.output_padding),
        window=Window(
            stride=(1, *window.stride), padding=((0, 0), *window.padding), dilation=(1, *window.dilation),
            groups=window.groups, kernel=None if window.kernel is None else (1, *window.kernel),
            ceil_mode=window.ceil_mode, count_include_pad=window.count_include_pad,
        ),
    )  # fmt: skip


def _compute_lifted(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """A 1-D operator is the 2-D one on a row: indices flat over (1, n) are those over n."""
    lifted = _lifted(problem)
    assert lifted is not None
    tall = {k: a if a.ndim < 3 else a.reshape(*a.shape[:2], 1, *a.shape[2:]) for k, a in arrays.items()}
    return tuple(a if a.ndim < 4 else a.reshape(*a.shape[:2], *a.shape[3:]) for a in run(lifted, tall))


# --- groups by splitting -----------------------------------------------------------------------------------------


def _one_group(problem: Problem) -> Problem | None:
    groups = problem.window.groups
    if problem.operator.pools or groups == 1:
        return None
    assert problem.w is not None
    return problem.with_(
        x=(problem.x[0], problem.x[1] // groups, *problem.x[2:]),
        w=(problem.w[0] // groups, *problem.w[1:]),
        window=replace(problem.window, groups=1),
    )


def _compute_split(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """groups = block diagonal: each group is a problem of its own."""
    part, groups = _one_group(problem), problem.window.groups
    assert part is not None
    axis = 0 if problem.operator in (Operator.conv_weight_grad, Operator.conv_bias_grad) else 1
    outputs = []
    for g in range(groups):
        inputs = {name: _slice_group(name, a, g, groups) for name, a in arrays.items() if a is not None}
        outputs.append(_one(run(part, inputs)))
    return (_xp(outputs[0]).concat(outputs, axis=axis),)


def _slice_group(name: str, a: Any, g: int, groups: int) -> Any:
    axis = 0 if name in ("w", "b") else 1
    size = a.shape[axis] // groups
    return a[(slice(None),) * axis + (slice(g * size, (g + 1) * size),)]


# --- gradients of convolution from convolution (SPEC section 5) --------------------------------------------------


def _input_grad_as_conv(problem: Problem) -> Problem | None:
    w, window = problem.w, problem.window
    assert w is not None
    reach, groups = window.reach(w[2:]), window.groups
    return problem.with_(
        operator=Operator.conv,
        x=(problem.x[0], w[0], *(n + r - 1 for n, r in zip(problem.x[2:], reach, strict=True))),
        w=(problem.x[1], w[0] // groups, *w[2:]),
        window=Window.of(problem.axes, dilation=window.dilation, groups=groups),
    )


def _compute_input_grad(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """dx = rot180(w) wide-correlated with the zero-stuffed dy, channels swapped, padding cropped (1.8, 1.9, 1.16)."""
    inner = _input_grad_as_conv(problem)
    dy, w = arrays["dy"], arrays["w"]
    xp, groups, window = _xp(dy), problem.window.groups, problem.window
    assert inner is not None
    stuffed = xp.zeros(inner.x, dtype=dy.dtype, **device_options(dy))
    target, source = [], []
    for size, p, s, reach, (begin, _) in zip(
        inner.x[2:], dy.shape[2:], window.stride, window.reach(w.shape[2:]), window.padding, strict=True
    ):
        shift = reach - 1 - begin  # where dy[0] falls; windows that lie in the padding alone fall outside
        first, last = max(0, -(shift // s)) if shift < 0 else 0, min(p - 1, (size - 1 - shift) // s)
        source.append(slice(first, last + 1))
        target.append(slice(first * s + shift, last * s + shift + 1, s) if last >= first else slice(0, 0))
    stuffed[(*EVERY, *target)] = dy[(*EVERY, *source)]
    turned = xp.flip(w, axis=tuple(range(2, w.ndim)))
    o, c = w.shape[0] // groups, w.shape[1]
    swapped = xp.permute_dims(turned.reshape(groups, o, c, *w.shape[2:]), (0, 2, 1, *range(3, w.ndim + 1)))
    return run(inner, {"x": stuffed, "w": swapped.reshape(groups * c, o, *w.shape[2:])})


def _weight_grad_as_conv(problem: Problem) -> Problem | None:
    w, window = problem.w, problem.window
    if w is None or window.groups != 1:
        return None
    cover = window.cover(problem.x[2:], w[2:])
    size = tuple(n + b + e for n, (b, e) in zip(problem.x[2:], cover, strict=True))
    return problem.with_(
        operator=Operator.conv,
        x=(problem.x[1], problem.x[0], *size),
        w=(w[0], problem.x[0], *problem.y[2:]),
        window=Window.of(problem.axes, stride=window.dilation, dilation=window.stride),
    )


def _compute_weight_grad(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """dw = x correlated with dy, batch and channels swapped, stride and dilation swapped (1.6, 1.7, 1.12)."""
    inner = _weight_grad_as_conv(problem)
    assert inner is not None and problem.w is not None
    x, dy = arrays["x"], arrays["dy"]
    xp, rest = _xp(x), tuple(range(2, x.ndim))
    covered = pad_or_crop(x, problem.window.cover(problem.x[2:], problem.w[2:]), 0.0, xp)
    swapped = {"x": xp.permute_dims(covered, (1, 0, *rest)), "w": xp.permute_dims(dy, (1, 0, *rest))}
    return (xp.permute_dims(_one(run(inner, swapped)), (1, 0, *rest)),)


def _bias_grad_as_conv(problem: Problem) -> Problem | None:
    n, o, *spatial = problem.y
    return problem.with_(operator=Operator.conv, x=(o, n, *spatial), w=(1, n, *spatial), window=Window.of(problem.axes))


def _compute_bias_grad(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """db = dy correlated with ones over batch and space (1.14)."""
    inner = _bias_grad_as_conv(problem)
    assert inner is not None and inner.w is not None
    dy = arrays["dy"]
    xp = _xp(dy)
    ones = xp.ones(inner.w, dtype=dy.dtype, **device_options(dy))
    maps = xp.permute_dims(dy, (1, 0, *range(2, dy.ndim)))
    return (_one(run(inner, {"x": maps, "w": ones})).reshape(-1),)


def _transpose_as_input_grad(problem: Problem) -> Problem | None:
    dtype = "float32" if problem.bias and problem.dtype in SHORT else problem.dtype
    return problem.with_(operator=Operator.conv_input_grad, x=problem.y, output_padding=None, dtype=dtype)


def _compute_transpose(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """conv_transpose(z, w) = conv_input_grad(z, w), plus the bias of each output map (SPEC section 3).

    Where there is a bias, short formats are summed in float32: a sum is rounded once, with the bias in it.
    """
    inner = _transpose_as_input_grad(problem)
    assert inner is not None
    x, w, b = arrays["x"], arrays["w"], arrays.get("b")
    if b is None:
        return run(inner, {"dy": x, "w": w})
    y = _one(run(inner, {"dy": _widen(problem, x), "w": _widen(problem, w)}))
    return (_xp(x).astype(y + _widen(problem, b).reshape(1, -1, *(1,) * problem.axes), x.dtype),)


def _input_grad_as_transpose(problem: Problem) -> Problem | None:
    assert problem.w is not None
    extra = tuple(
        n - ((p - 1) * s + reach - begin - end)
        for n, p, s, reach, (begin, end) in zip(
            problem.x[2:], problem.y[2:], problem.window.stride, problem.window.reach(problem.w[2:]),
            problem.window.padding, strict=True,
        )
    )  # fmt: skip
    return problem.with_(operator=Operator.conv_transpose, x=problem.y, output_padding=extra)


def _compute_input_grad_by_transpose(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """conv_input_grad(dy, w) = conv_transpose(dy, w), the remainder of the stride as output padding."""
    inner = _input_grad_as_transpose(problem)
    assert inner is not None
    return run(inner, {"x": arrays["dy"], "w": arrays["w"]})


# --- mean pooling from depthwise convolution (SPEC section 4) ----------------------------------------------------


def _pool_as_conv(problem: Problem, operator: Operator) -> Problem:
    window, kernel = problem.window, problem.kernel
    cover = window.cover(problem.x[2:], kernel)
    channels = problem.x[1]
    extent = tuple(n + b + e for n, (b, e) in zip(problem.x[2:], cover, strict=True))
    return problem.with_(
        operator=operator,
        dtype="float32" if problem.dtype in SHORT else problem.dtype,
        x=(problem.x[0], channels, *extent),
        w=(channels, min(1, channels), *kernel),  # without channels there is no group to be one of
        window=Window.of(problem.axes, stride=window.stride, dilation=window.dilation, groups=max(1, channels)),
    )


def _ones_kernel(like: Any, problem: Problem) -> Any:
    shape = (problem.x[1], min(1, problem.x[1]), *problem.kernel)
    return _xp(like).ones(shape, dtype=like.dtype, **device_options(like))


def _widen(problem: Problem, a: Any) -> Any:
    """The array in float32 where its own format is too short to sum in."""
    return _xp(a).astype(a, _xp(a).float32) if problem.dtype in SHORT else a


def _divisor_map(like: Any, problem: Problem) -> Any:
    xp = _xp(like)
    rows = [
        xp.asarray(row, dtype=like.dtype, **device_options(like))
        for row in mean_divisors(problem.x[2:], problem.window)
    ]
    return reduce(lambda a, b: a[..., None] * b, rows)


def _compute_avg_pool(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """Mean pooling = depthwise convolution with ones, over the divisor; short formats are summed in float32."""
    x, inner = _widen(problem, arrays["x"]), _pool_as_conv(problem, Operator.conv)
    covered = pad_or_crop(x, problem.window.cover(problem.x[2:], problem.kernel), 0.0, _xp(x))
    total = _one(run(inner, {"x": covered, "w": _ones_kernel(x, problem)}))
    return (_xp(x).astype(total / _divisor_map(x, problem), arrays["x"].dtype),)


def _compute_avg_pool_grad(run: Runner, problem: Problem, arrays: Arrays) -> tuple[Any, ...]:
    """Gradient of mean pooling = input gradient of the depthwise convolution, of dy over the divisor (1.17)."""
    dy, inner = _widen(problem, arrays["dy"]), _pool_as_conv(problem, Operator.conv_input_grad)
    covered = _one(run(inner, {"dy": dy / _divisor_map(dy, problem), "w": _ones_kernel(dy, problem)}))
    cover = problem.window.cover(problem.x[2:], problem.kernel)
    begins = tuple(slice(b, None) for b, _ in cover)
    kept = (max(0, size - b) for size, (b, _) in zip(covered.shape[2:], cover, strict=True))
    ends = tuple((0, n - size) for n, size in zip(problem.x[2:], kept, strict=True))
    return (_xp(dy).astype(pad_or_crop(covered[(*EVERY, *begins)], ends, 0.0, _xp(dy)), arrays["dy"].dtype),)


LIFT = Derivation(via="the 2-D operator on one row", needs=_lifted, compute=_compute_lifted)
SPLIT = Derivation(via="one call per group", needs=_one_group, compute=_compute_split)
BY_OPERATOR: dict[Operator, tuple[Derivation, ...]] = {
    Operator.conv_input_grad: (
        Derivation(via="conv_transpose", needs=_input_grad_as_transpose, compute=_compute_input_grad_by_transpose),
        Derivation(via="conv", needs=_input_grad_as_conv, compute=_compute_input_grad),
    ),
    Operator.conv_weight_grad: (Derivation(via="conv", needs=_weight_grad_as_conv, compute=_compute_weight_grad),),
    Operator.conv_bias_grad: (Derivation(via="conv", needs=_bias_grad_as_conv, compute=_compute_bias_grad),),
    Operator.conv_transpose: (
        Derivation(via="conv_input_grad", needs=_transpose_as_input_grad, compute=_compute_transpose),
    ),
    Operator.avg_pool: (
        Derivation(via="conv", needs=lambda problem: _pool_as_conv(problem, Operator.conv), compute=_compute_avg_pool),
    ),
    Operator.avg_pool_grad: (
        Derivation(
            via="conv_input_grad",
            needs=lambda problem: _pool_as_conv(problem, Operator.conv_input_grad),
            compute=_compute_avg_pool_grad,
        ),
    ),
}


def derivations(operator: Operator) -> tuple[Derivation, ...]:
    """Derivations of an operator, the cheapest first."""
    return (*BY_OPERATOR.get(operator, ()), LIFT, SPLIT)
