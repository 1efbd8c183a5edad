"""Mean pooling and its gradient."""

from __future__ import annotations

from typing import Any

from harness.problems.operators.cost import count_pool_flops, count_pooled
from harness.problems.operators.refused import MEANS
from harness.problems.operators.spec import Arrays, Geometry, Gradient, OperatorSpec, under


def _arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["x"], problem.window


def _grad_arguments(problem: Geometry, arrays: Arrays) -> tuple[Any, ...]:
    return arrays["dy"], problem.x, problem.window


AVG_POOL = OperatorSpec(
    name="avg_pool",
    inputs=("x",),
    outputs=("y",),
    factors=("x",),
    arguments=_arguments,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="means",
    pools=True,
    divides=True,
    sums_exactly=False,
    refused_data=MEANS,
    gradients=(Gradient(name="dx", problem=under("avg_pool_grad"), takes={"dy": "dy"}),),
)

AVG_POOL_GRAD = OperatorSpec(
    name="avg_pool_grad",
    inputs=("dy",),
    outputs=("dx",),
    factors=("dy",),
    arguments=_grad_arguments,
    sum_length=count_pooled,
    flops=count_pool_flops,
    family="means",
    pools=True,
    scatters=True,
    divides=True,
    sums_exactly=False,
    refused_data=MEANS,
    early_roundings=1,
)
