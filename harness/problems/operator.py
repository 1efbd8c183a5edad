"""The nine operators and the names of the arrays that they take and give."""

from __future__ import annotations

from enum import StrEnum


class Operator(StrEnum):
    """An operator (specification, sections 3 to 5); its value is its name on the command line."""

    conv = "conv"
    conv_input_grad = "conv_input_grad"
    conv_weight_grad = "conv_weight_grad"
    conv_bias_grad = "conv_bias_grad"
    conv_transpose = "conv_transpose"
    max_pool = "max_pool"
    max_pool_grad = "max_pool_grad"
    avg_pool = "avg_pool"
    avg_pool_grad = "avg_pool_grad"

    @property
    def pools(self) -> bool:
        """Whether the operator has a pooling window instead of a kernel array."""
        return self in POOLS

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays that the operator takes; `b` only where the problem has a bias."""
        return _INPUTS[self]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the arrays that the operator gives."""
        return _OUTPUTS[self]


POOLS = frozenset({Operator.max_pool, Operator.max_pool_grad, Operator.avg_pool, Operator.avg_pool_grad})

_INPUTS: dict[Operator, tuple[str, ...]] = {
    Operator.conv: ("x", "w", "b"),
    Operator.conv_input_grad: ("dy", "w"),
    Operator.conv_weight_grad: ("dy", "x"),
    Operator.conv_bias_grad: ("dy",),
    Operator.conv_transpose: ("x", "w", "b"),
    Operator.max_pool: ("x",),
    Operator.max_pool_grad: ("dy", "x", "indices"),
    Operator.avg_pool: ("x",),
    Operator.avg_pool_grad: ("dy",),
}

_OUTPUTS: dict[Operator, tuple[str, ...]] = {
    Operator.conv: ("y",),
    Operator.conv_input_grad: ("dx",),
    Operator.conv_weight_grad: ("dw",),
    Operator.conv_bias_grad: ("db",),
    Operator.conv_transpose: ("y",),
    Operator.max_pool: ("y", "indices"),
    Operator.max_pool_grad: ("dx",),
    Operator.avg_pool: ("y",),
    Operator.avg_pool_grad: ("dx",),
}
