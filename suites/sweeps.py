"""Sweeps: one quantity grows while the rest stands still, so that a report can show how cost grows."""

from __future__ import annotations

from harness import NamedProblem, ProblemSet, parse_line

BATCH, CHANNELS, SIZE, KERNEL = 2, 32, 32, 3
VALUES: dict[str, tuple[int, ...]] = {
    "batch": (1, 2, 4, 8, 16),
    "channels": (4, 8, 16, 32, 64, 128),
    "size": (8, 16, 32, 64, 128),
    "kernel": (1, 3, 5, 7, 11, 15),
}


def sweep_problems(axis: str, values: tuple[int, ...]) -> tuple[NamedProblem, ...]:
    """Square equal-width convolutions in which one quantity takes the values."""
    return tuple(NamedProblem(name=f"sweep-{axis}/{value}", problem=parse_line(_line(axis, value))) for value in values)


def _line(axis: str, value: int) -> str:
    n, c, s, m = (
        value if axis == name else usual
        for name, usual in (("batch", BATCH), ("channels", CHANNELS), ("size", SIZE), ("kernel", KERNEL))
    )
    return f"conv x={n}x{c}x{s}x{s} w={c}x{c}x{m}x{m} pad={m // 2}"


def sweep_sets() -> tuple[ProblemSet, ...]:
    """One problem set for every quantity."""
    return tuple(
        ProblemSet(
            name=f"sweep-{axis}",
            description=f"equal-width convolution, {axis} {values[0]} to {values[-1]}",
            problems=lambda axis=axis, values=values: sweep_problems(axis, values),
        )
        for axis, values in VALUES.items()
    )
