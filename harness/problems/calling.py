"""Calls of operators: the order of their arguments, for backends and for the reference alike."""

from __future__ import annotations

from functools import partial
from typing import Any

from harness.problems.arrays import Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.problem import Problem

NO_ARRAYS = (bool, int, float, complex, str, bytes, tuple, list, dict, set)


def operator_arguments(problem: Problem, arrays: DeviceArrays) -> tuple[Any, ...]:
    """Return the positional arguments of the operator's method, as `harness.Backend` documents them."""
    return problem.operator.spec.arguments(problem, arrays)


def bind_operator(source: object, problem: Problem, arrays: DeviceArrays) -> Call:
    """Return a call without arguments of the problem's operator on these arrays.

    source: object with a function for each operator. problem: the problem. arrays: inputs by name.
    """
    return partial(getattr(source, problem.operator.value), *operator_arguments(problem, arrays))


def name_outputs(problem: Problem, result: Outputs) -> dict[str, DeviceArray]:
    """Return outputs by name: two of max_pool, one array of every other operator.

    Raises ValueError if their number is wrong, or if one is no array.
    """
    names = problem.operator.outputs
    outputs = tuple(result) if len(names) > 1 and isinstance(result, tuple | list) else (result,)
    if len(outputs) != len(names):
        raise ValueError(f"{problem.operator} gave {len(outputs)} arrays, wanted {len(names)}: {', '.join(names)}")
    for name, output in zip(names, outputs, strict=True):
        if output is None or isinstance(output, NO_ARRAYS):
            raise ValueError(f"{problem.operator} gave {type(output).__name__} for {name}, wanted an array")
    return dict(zip(names, outputs, strict=True))
