"""The problem of a call, as a backend can see it: from the shapes, dtypes and strides of its arguments."""

import math

from harness.errors import HarnessError
from harness.problems.numerics import DTYPES
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.window import Window

LAID_OUT = {  # the arrays whose strides say the layout
    Operator.conv: ("x", "w"), Operator.conv_input_grad: ("dy", "w"), Operator.conv_weight_grad: ("dy", "x"),
    Operator.conv_bias_grad: ("dy",), Operator.conv_transpose: ("x", "w"), Operator.max_pool: ("x",),
    Operator.max_pool_grad: ("dy", "x"), Operator.avg_pool: ("x",), Operator.avg_pool_grad: ("dy",),
}  # fmt: skip


def problem_of_call(operator, args):
    """Return the problem of a call of a backend's method, or None where it is none (complex numbers, odd shapes).

    A bias gradient shows dy alone: it is seen as that of a 1x1 convolution of one channel. Data and flip stay unseen.
    """
    if args[0].dtype.name not in DTYPES:
        return None
    try:
        return Problem(operator=operator, dtype=args[0].dtype.name, **_geometry(operator, args))
    except HarnessError:
        return None


def _geometry(operator, args):
    match operator:
        case Operator.conv:
            x, w, b, window = args
            seen = {"x": x.shape, "w": w.shape, "bias": b is not None, "window": window}
            arrays = (x, w)
        case Operator.conv_input_grad:
            dy, w, x_shape, window = args
            seen, arrays = {"x": x_shape, "w": w.shape, "window": window}, (dy, w)
        case Operator.conv_weight_grad:
            dy, x, w_shape, window = args
            seen, arrays = {"x": x.shape, "w": w_shape, "window": window}, (dy, x)
        case Operator.conv_bias_grad:
            seen, arrays = _of_sum(args[0].shape), (args[0],)
        case Operator.conv_transpose:
            x, w, b, window, extra = args
            seen = {"x": x.shape, "w": w.shape, "bias": b is not None, "window": window, "output_padding": extra}
            arrays = (x, w)
        case Operator.max_pool | Operator.avg_pool:
            x, window = args
            seen, arrays = {"x": x.shape, "window": window}, (x,)
        case Operator.max_pool_grad:
            dy, x, _, window = args
            seen, arrays = {"x": x.shape, "window": window}, (dy, x)
        case Operator.avg_pool_grad:
            dy, x_shape, window = args
            seen, arrays = {"x": x_shape, "window": window}, (dy,)
    seen = {name: tuple(value) if name in ("x", "w") else value for name, value in seen.items()}
    return seen | {"layout": _layout(arrays)}


def _of_sum(dy):
    axes = len(dy) - 2
    return {"x": (dy[0], 1, *dy[2:]), "w": (dy[1], 1, *(1,) * axes), "window": Window.of(axes)}


def _layout(arrays):
    """Return channels-last where an array can only be that and none is anything else."""
    moved = [(a.flags.c_contiguous, a.transpose(0, *range(2, a.ndim), 1).flags.c_contiguous) for a in arrays]
    last = all(m for _, m in moved) and not all(c for c, _ in moved)
    return "channels-last" if last else "channels-first"


def as_seen(problem):
    """Return the problem that a backend sees when it is asked this one: see `problem_of_call`.

    An array of one channel or one position lies in memory alike in both layouts, and counts as channels first.
    """
    shapes = problem.shapes
    laid = [shapes[name] for name in LAID_OUT[problem.operator]]
    shows = any(shape[1] > 1 and math.prod(shape[2:]) > 1 and math.prod(shape) > 0 for shape in laid)
    changes = {
        "layout": problem.layout if shows else "channels-first", "data": "normal", "seed": 0, "flip": False,
        "math": "ieee",
    }  # fmt: skip
    if problem.operator is Operator.conv_bias_grad:
        changes |= _of_sum(shapes["dy"])
    return problem.with_(**changes)
