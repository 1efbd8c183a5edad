"""Maximum pooling and its gradient."""

from __future__ import annotations

from typing import Any

from harness.problems.operators.cost import count_pool_flops, count_pooled
from harness.problems.operators.spec import Arrays, Geometry, Gradient, OperatorSpec, under


def _arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["x"], problem.window


def _grad_arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["dy"], arrays["x"], arrays["indices"], problem.window


def _count_selected(problem: Geometry) -> int:
    """A maximum is one element of its window."""
    return 1


MAX_POOL = OperatorSpec(
    name="max_pool",
    inputs=("x",),
    outputs=("y", "indices"),
    factors=("x",),
    arguments=_arguments,
    sum_length=_count_selected,
    flops=count_pool_flops,
    family="maxima",
    pools=True,
    selects=True,
    gradients=(
        Gradient(name="dx", problem=under("max_pool_grad"), takes={"dy": "dy", "x": "x", "indices": "indices"}),
    ),
)  # fmt: skip

MAX_POOL_GRAD = OperatorSpec(
    name="max_pool_grad",
    inputs=("dy", "x", "indices"),
    outputs=("dx",),
    factors=("dy",),
    arguments=_grad_arguments,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="maxima",
    pools=True,
    scatters=True,
    unread=frozenset({"x"}),
)
