"""Properties of a problem that operators read, and functions that make one problem from another."""

from __future__ import annotations

from typing import Protocol, Self, TypeVar

from harness.problems.numerics import Dtype
from harness.problems.window import Sizes, Window

P = TypeVar("P", bound="Geometry")


class Geometry(Protocol):
    """The part of `harness.Problem` that operators read; `Problem` itself is made of operators."""

    @property
    def operator(self) -> str:
        """Name of the operator."""
        ...

    @property
    def x(self) -> Sizes:
        """Shape of the input of the forward operator, (N, C, *S); of conv_transpose its own."""
        ...

    @property
    def w(self) -> Sizes | None:
        """Shape of the kernel, (O, C/groups, *K); None for pooling."""
        ...

    @property
    def window(self) -> Window:
        """Stride, padding, dilation, groups and modes."""
        ...

    @property
    def bias(self) -> bool:
        """True if a bias is added."""
        ...

    @property
    def output_padding(self) -> Sizes | None:
        """Positions appended per axis; None unless the operator is transposed."""
        ...

    @property
    def dtype(self) -> Dtype:
        """Name of the dtype."""
        ...

    @property
    def y(self) -> Sizes:
        """Shape of the forward operator's output."""
        ...

    @property
    def forward_spatial(self) -> Sizes:
        """Spatial size of the side that the window moves over."""
        ...

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        ...

    @property
    def kernel(self) -> Sizes:
        """Kernel sizes K per axis."""
        ...

    @property
    def output(self) -> Sizes:
        """Shape of the first output array."""
        ...

    def with_(self, **changes: object) -> Self:
        """The same problem with some fields changed; bias, divisor and data follow the operator."""
        ...


class Change(Protocol):
    """Makes one problem of another."""

    def __call__(self, problem: P, /) -> P:
        """The problem after the change."""
        ...


def under(name: str) -> Change:
    """The same problem under the operator of this name."""

    def change(problem: P, /) -> P:
        return problem.with_(operator=name)

    return change
