"""Sweeps: one quantity grows while the rest stands still, so that a report can show how cost grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from harness import NamedProblem, ProblemSet, parse_line


@dataclass(frozen=True, slots=True)
class Point:
    """An equal-width convolution with as many output as input channels; every axis has the same size."""

    batch: int
    channels: int
    size: int
    kernel: int
    dilation: int = 1
    groups: int = 1
    axes: int = 2

    @property
    def line(self) -> str:
        """Problem line of the point."""
        n, c, d, g = self.batch, self.channels, self.dilation, self.groups
        space, taps = ("x".join([str(side)] * self.axes) for side in (self.size, self.kernel))
        words = [f"conv x={n}x{c}x{space} w={c}x{c // g}x{taps} pad={self.kernel // 2 * d}"]
        words += [f"{name}={value}" for name, value in (("dilation", d), ("groups", g)) if value > 1]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The field of a point that grows, from where, and its values.

    timed: the values that the suite `speed` times, few enough that all sweeps together cost what four did.
    """

    start: Point
    field: str
    values: tuple[int, ...]
    timed: tuple[int, ...]


# by quantity; no point stands in two sweeps
SWEEPS: dict[str, Sweep] = {
    "batch": Sweep(Point(1, 32, 32, 3), "batch", (1, 2, 4, 8, 16), (1, 4, 16)),
    "channels": Sweep(Point(2, 4, 28, 3), "channels", (4, 8, 16, 32, 64, 128), (4, 16, 64, 128)),
    "size": Sweep(Point(2, 16, 8, 3), "size", (8, 16, 32, 64, 128), (8, 32, 128)),
    "kernel": Sweep(Point(2, 32, 40, 1), "kernel", (1, 3, 5, 7, 11, 15), (1, 3, 7, 15)),
    "dilation": Sweep(Point(2, 32, 40, 3), "dilation", (2, 4, 8, 12, 16), (2, 12)),
    "groups": Sweep(Point(2, 64, 28, 3), "groups", (2, 4, 8, 16, 32, 64), (4, 64)),
    "length": Sweep(Point(4, 64, 256, 3, axes=1), "size", (64, 256, 1024, 4096, 16384), (256, 4096)),
    "volume": Sweep(Point(1, 16, 4, 3, axes=3), "size", (4, 8, 16, 32), (8, 16)),
}


def sweep_problems(quantity: str, values: tuple[int, ...] = ()) -> tuple[NamedProblem, ...]:
    """The problems of a sweep, or of the given values alone."""
    sweep = SWEEPS[quantity]
    points = {value: replace(sweep.start, **{sweep.field: value}) for value in values or sweep.values}
    return tuple(
        NamedProblem(name=f"sweep-{quantity}/{value}", problem=parse_line(point.line))
        for value, point in points.items()
    )


def sweep_sets() -> tuple[ProblemSet, ...]:
    """One problem set for every quantity."""
    return tuple(
        ProblemSet(
            name=f"sweep-{quantity}",
            description=f"equal-width convolution, {quantity} {sweep.values[0]} to {sweep.values[-1]}",
            problems=partial(sweep_problems, quantity),
        )
        for quantity, sweep in SWEEPS.items()
    )
