"""The float64 references of all operators: the fast one, which the suites use, and the plain loops that prove it.

Each function has the signature of a backend's method and lies in its operator's file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from harness.problems.arrays import Array, Outputs
from harness.problems.calling import name_outputs
from harness.problems.operators.avg_pool import avg_pool
from harness.problems.operators.avg_pool_grad import avg_pool_grad
from harness.problems.operators.conv import conv
from harness.problems.operators.conv_bias_grad import conv_bias_grad
from harness.problems.operators.conv_input_grad import conv_input_grad
from harness.problems.operators.conv_transpose import conv_transpose
from harness.problems.operators.conv_weight_grad import conv_weight_grad
from harness.problems.operators.max_pool import max_pool
from harness.problems.operators.max_pool_grad import max_pool_grad
from harness.problems.operators.means import divisor_map
from harness.problems.problem import Problem
from harness.problems.taps import EVERY

__all__ = [
    "avg_pool", "avg_pool_grad", "compute", "compute_by_loops", "conv", "conv_bias_grad", "conv_input_grad",
    "conv_transpose", "conv_weight_grad", "divisor_map", "max_pool", "max_pool_grad", "rot180", "turn",
]  # fmt: skip


def rot180(w: Array) -> Array:
    """Turn a kernel (o, c, *k) by 180 degrees in space."""
    return w[(*EVERY, *(slice(None, None, -1),) * (w.ndim - 2))]


def compute(problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Reference outputs of a problem by name, in float64."""
    return _compute(problem, arrays, problem.operator.spec.reference)


def compute_by_loops(problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Compute the outputs of a problem by plain loops: slow, and checked by eye."""
    return _compute(problem, arrays, problem.operator.spec.loops)


def _compute(problem: Problem, arrays: Mapping[str, Array], function: Callable[..., Outputs]) -> dict[str, Array]:
    inputs = turn(problem, arrays)
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and Inf are data, not accidents
        outputs = name_outputs(problem, function(*problem.operator.spec.arguments(problem, inputs)))
    return turn(problem, outputs)


def turn(problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Turn w and dw by 180 degrees where the problem is a true convolution, which makes it a correlation."""
    if not problem.flip:
        return dict(arrays)
    return {name: rot180(a) if name in ("w", "dw") else a for name, a in arrays.items()}
