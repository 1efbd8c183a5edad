"""Problems and arguments of requests, as they are sent to the backend's process."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.problems.numerics import Dtype, Math
from harness.problems.operator import Operator
from harness.problems.problem import Layout, Problem, Regime
from harness.problems.window import Window
from harness.worker.wire.arena import Placed


class Moves(msgspec.Struct, frozen=True, array_like=True, tag="window"):
    """The fields of a Window."""

    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    kernel: tuple[int, ...] | None
    ceil_mode: bool
    count_include_pad: bool

    @classmethod
    def of(cls, window: Window) -> Moves:
        """Return the fields of a window, which may be impossible."""
        return cls(
            window.stride, window.padding, window.dilation, window.groups, window.kernel, window.ceil_mode,
            window.count_include_pad,
        )  # fmt: skip

    def make(self) -> Window:
        """Return the window."""
        return Window(
            stride=self.stride, padding=self.padding, dilation=self.dilation, groups=self.groups, kernel=self.kernel,
            ceil_mode=self.ceil_mode, count_include_pad=self.count_include_pad,
        )  # fmt: skip


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """The fields of a Problem."""

    operator: str
    x: tuple[int, ...]
    w: tuple[int, ...] | None
    window: Moves
    bias: bool
    output_padding: tuple[int, ...] | None
    flip: bool
    dtype: Dtype
    math: Math
    layout: Layout
    data: Regime
    seed: int

    @classmethod
    def of(cls, problem: Problem) -> Asked:
        """Return the fields of a problem."""
        return cls(
            problem.operator.value, problem.x, problem.w, Moves.of(problem.window), problem.bias,
            problem.output_padding, problem.flip, problem.dtype, problem.math, problem.layout, problem.data,
            problem.seed,
        )  # fmt: skip

    def make(self) -> Problem:
        """Return the problem."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__struct_fields__}
        return Problem(**fields | {"operator": Operator(self.operator), "window": self.window.make()})


class Ref(msgspec.Struct, frozen=True, array_like=True, tag="ref"):
    """An array that the host holds."""

    number: int


class Named(msgspec.Struct, frozen=True, array_like=True, tag="dtype"):
    """A dtype of the backend's library, by its text."""

    text: str


class Cut(msgspec.Struct, frozen=True, array_like=True, tag="slice"):
    """A slice."""

    start: int | None
    stop: int | None
    step: int | None


class Rest(msgspec.Struct, frozen=True, array_like=True, tag="rest"):
    """An ellipsis."""


class Plain(msgspec.Struct, frozen=True, array_like=True, tag="plain"):
    """A value."""

    value: bool | int | float | str | None


class Data(msgspec.Struct, frozen=True, array_like=True, tag="data"):
    """An array of the judge."""

    placed: Placed


class Many(msgspec.Struct, frozen=True, array_like=True, tag="many"):
    """A tuple of arguments."""

    items: tuple[Argument, ...]


Argument = Ref | Named | Cut | Rest | Plain | Data | Moves | Many
