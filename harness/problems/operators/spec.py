"""Description of one operator, as a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.problems.arrays import DeviceArrays, Outputs
from harness.problems.operators.cost import Sum
from harness.problems.operators.derivation import Derivation
from harness.problems.operators.geometry import Change, Geometry

Family = Literal["layers", "sums", "maxima", "means"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """One gradient of a forward operator.

    name: dx, dw or db. problem: maps the forward problem to that of the gradient.
    takes: for each input of that problem, the array of the pass: dy, x, w or indices.
    """

    name: str
    problem: Change
    takes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatorSpec:
    """Description of an operator for all other rooms.

    name: of the operator in problem lines, and of the method of a backend.
    inputs, outputs: names of its arrays in the order of its arguments and results; `b` only if there is a bias.
    factors: inputs that are multiplied with each other; one name if there is a single operand.
    arguments: positional arguments of the backend's method, from a problem and its arrays by name.
    reference, loops: the operator in float64 with the signature of the backend's method: fast, and by plain loops.
    derivations: derivations from other operators, the cheapest first.
    sum_length: longest sum in one output element, without the bias: the K of the error bounds.
    flops: floating-point operations of the direct algorithm.
    family: operators that share generated geometry: kernel arrays, sums of dy alone, maxima, means.
    pools: has a kernel size in place of a kernel array, and permits ceil mode and divisors.
    transposed: has output_padding; the window moves over its output, and `x` has a position for each window.
    divides: divides by a number of taps, so that `exclude_pad` makes a difference.
    selects: copies elements of its input without arithmetic.
    linear: is linear in each of its factors, and therefore odd.
    sums_exactly: sums of sufficiently small integers are exact.
    refused_data: rejected data regimes, with the reason.
    special: the input that special data regimes change, if it is not the first: the one that the window moves over.
    sums: sums that laws compute from the same data, its own and those of gradients; None if only its own.
    gradients: of a forward operator, in the order dx, dw, db.
    early_roundings: number of times that a term may be rounded before it is added.
    unread: inputs that an implementation need not read.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    factors: tuple[str, ...]
    arguments: Callable[[Geometry, DeviceArrays], tuple[Any, ...]]
    reference: Callable[..., Outputs]
    loops: Callable[..., Outputs]
    sum_length: Callable[[Geometry], int]
    flops: Callable[[Geometry], int]
    family: Family
    pools: bool = False
    transposed: bool = False
    divides: bool = False
    selects: bool = False
    linear: bool = True
    sums_exactly: bool = True
    refused_data: Mapping[str, str] = field(default_factory=dict)
    special: str = ""
    sums: Callable[[Geometry], tuple[Sum, ...]] | None = None
    gradients: tuple[Gradient, ...] = ()
    derivations: tuple[Derivation, ...] = ()
    early_roundings: int = 0
    unread: frozenset[str] = frozenset()

    @property
    def takes_bias(self) -> bool:
        """True if the operator permits a bias."""
        return "b" in self.inputs

    @property
    def scatters(self) -> bool:
        """True if it adds each input to the output positions of its window, rather than reading a window per output."""
        return self.transposed or self.outputs[0] == "dx"

    @property
    def indexed(self) -> bool:
        """True if it has indices as input or output, so that a window of padding only has no answer."""
        return "indices" in self.inputs or "indices" in self.outputs

    @property
    def moved_over(self) -> str:
        """Name of the input that the window moves over, which special data regimes change."""
        return self.special or self.inputs[0]

    @property
    def sums_positions(self) -> bool:
        """True if each output is a sum over all images and positions: the gradients of a kernel or a bias."""
        return self.outputs[0] in ("dw", "db")

    @property
    def multiplies(self) -> bool:
        """True if it is a product of two arrays, linear in each."""
        return len(self.factors) == 2
