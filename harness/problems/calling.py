"""How an operator is called: the order of its arguments, for backends and for the reference alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from harness.problems.operator import Operator
from harness.problems.problem import Problem


def operator_arguments(problem: Problem, arrays: Mapping[str, Any]) -> tuple[Any, ...]:
    """Positional arguments of a backend's method for the problem's operator, from its arrays by name."""
    window = problem.window
    match problem.operator:
        case Operator.conv:
            return arrays["x"], arrays["w"], arrays.get("b"), window
        case Operator.conv_input_grad:
            return arrays["dy"], arrays["w"], problem.x, window
        case Operator.conv_weight_grad:
            return arrays["dy"], arrays["x"], problem.w, window
        case Operator.conv_bias_grad:
            return (arrays["dy"],)
        case Operator.conv_transpose:
            return arrays["x"], arrays["w"], arrays.get("b"), window, problem.output_padding
        case Operator.max_pool | Operator.avg_pool:
            return arrays["x"], window
        case Operator.max_pool_grad:
            return arrays["dy"], arrays["x"], arrays["indices"], window
        case Operator.avg_pool_grad:
            return arrays["dy"], problem.x, window


def bind_operator(source: Any, problem: Problem, arrays: Mapping[str, Any]) -> Callable[[], Any]:
    """Bind an operator to its arguments: a call without arguments, which gives one array, or two for max_pool.

    source: a backend, or `reference`. problem: names the operator and its window. arrays: by name, of the source's
    kind.
    """
    return partial(getattr(source, problem.operator.value), *operator_arguments(problem, arrays))


def name_outputs(problem: Problem, result: Any) -> dict[str, Any]:
    """Outputs by name; max_pool gives two, every other operator one array. Raises ValueError on another count."""
    names = problem.operator.outputs
    outputs = tuple(result) if len(names) > 1 and isinstance(result, tuple | list) else (result,)
    if len(outputs) != len(names):
        raise ValueError(f"{problem.operator} gave {len(outputs)} arrays, wanted {len(names)}: {', '.join(names)}")
    for name, output in zip(names, outputs, strict=True):
        if not hasattr(output, "shape"):
            raise ValueError(f"{problem.operator} gave {type(output).__name__} for {name}, wanted an array")
    return dict(zip(names, outputs, strict=True))
