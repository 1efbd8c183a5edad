"""The operators by name; each is described in a file of `harness.problems.operators`."""

from __future__ import annotations

from enum import StrEnum

from harness.problems.operators.avg_pool import AVG_POOL
from harness.problems.operators.avg_pool_grad import AVG_POOL_GRAD
from harness.problems.operators.conv import CONV
from harness.problems.operators.conv_bias_grad import CONV_BIAS_GRAD
from harness.problems.operators.conv_input_grad import CONV_INPUT_GRAD
from harness.problems.operators.conv_transpose import CONV_TRANSPOSE
from harness.problems.operators.conv_weight_grad import CONV_WEIGHT_GRAD
from harness.problems.operators.max_pool import MAX_POOL
from harness.problems.operators.max_pool_grad import MAX_POOL_GRAD
from harness.problems.operators.spec import OperatorSpec


class Operator(StrEnum):
    """An operator (specification, sections 3 to 5): the value is its name, `spec` describes it."""

    _value_: str
    spec: OperatorSpec

    def __new__(cls, spec: OperatorSpec | str) -> Operator:
        """Make a member of its spec; a name looks a member up and never comes here."""
        assert isinstance(spec, OperatorSpec)
        member = str.__new__(cls, spec.name)
        member._value_ = spec.name
        member.spec = spec
        return member

    conv = CONV
    conv_input_grad = CONV_INPUT_GRAD
    conv_weight_grad = CONV_WEIGHT_GRAD
    conv_bias_grad = CONV_BIAS_GRAD
    conv_transpose = CONV_TRANSPOSE
    max_pool = MAX_POOL
    max_pool_grad = MAX_POOL_GRAD
    avg_pool = AVG_POOL
    avg_pool_grad = AVG_POOL_GRAD

    @property
    def pools(self) -> bool:
        """True if the operator has a pooling window instead of a kernel array."""
        return self.spec.pools

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input arrays; `b` only if the problem has a bias."""
        return self.spec.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the output arrays."""
        return self.spec.outputs
