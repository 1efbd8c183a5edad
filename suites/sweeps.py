"""Sweeps: one quantity grows while the rest stands still, so that a report can show how cost grows."""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness import NamedProblem, ProblemSet, parse_line


@dataclass(frozen=True, slots=True)
class Point:
    """An equal-width convolution with as many output as input channels, on a square image."""

    batch: int
    channels: int
    size: int
    kernel: int

    @property
    def line(self) -> str:
        """Problem line of the point."""
        n, c, s, m = self.batch, self.channels, self.size, self.kernel
        return f"conv x={n}x{c}x{s}x{s} w={c}x{c}x{m}x{m} pad={m // 2}"


# quantity: the point that it starts from and its values; no point stands in two sweeps
SWEEPS: dict[str, tuple[Point, tuple[int, ...]]] = {
    "batch": (Point(1, 32, 32, 3), (1, 2, 4, 8, 16)),
    "channels": (Point(2, 4, 28, 3), (4, 8, 16, 32, 64, 128)),
    "size": (Point(2, 16, 8, 3), (8, 16, 32, 64, 128)),
    "kernel": (Point(2, 32, 40, 1), (1, 3, 5, 7, 11, 15)),
}


def sweep_problems(quantity: str, values: tuple[int, ...] = ()) -> tuple[NamedProblem, ...]:
    """The problems of a sweep, or those of the given values only."""
    start, usual = SWEEPS[quantity]
    points = {value: replace(start, **{quantity: value}) for value in values or usual}
    return tuple(
        NamedProblem(name=f"sweep-{quantity}/{value}", problem=parse_line(point.line))
        for value, point in points.items()
    )


def sweep_sets() -> tuple[ProblemSet, ...]:
    """One problem set for every quantity."""
    return tuple(
        ProblemSet(
            name=f"sweep-{quantity}",
            description=f"equal-width convolution, {quantity} {values[0]} to {values[-1]}",
            problems=lambda quantity=quantity: sweep_problems(quantity),
        )
        for quantity, (_, values) in SWEEPS.items()
    )
