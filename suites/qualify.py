"""Suite `qualify`: calls of 10 µs to 50 ms on which identical arms are compared, and arms with known slow-downs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from harness import Law, NamedProblem, Suite, Timing, hookimpl, parse_line

SLOWDOWNS = (0.01, 0.03, 0.05, 0.10)
LINES = (
    "conv x=1x1x12x12 w=4x1x3x3",
    "conv x=1x4x16x16 w=8x4x3x3 pad=1",
    "avg_pool x=1x8x16x16 kernel=2x2 stride=2",
    "conv x=1x8x28x28 w=16x8x3x3 pad=1",
    "max_pool x=4x16x28x28 kernel=2x2 stride=2",
    "conv_input_grad x=2x16x14x14 w=32x16x3x3 pad=1",
    "conv x=4x32x28x28 w=32x32x1x1",
    "conv x=2x16x56x56 w=16x16x3x3 pad=1",
    "conv_weight_grad x=4x16x28x28 w=32x16x3x3 pad=1",
    "conv x=8x3x64x64 w=32x3x5x5 stride=2 pad=2",
    "conv x=8x32x28x28 w=64x32x3x3 pad=1",
    "avg_pool_grad x=8x64x28x28 kernel=2x2 stride=2",
    "conv_input_grad x=4x32x56x56 w=32x32x3x3 pad=1",
    "conv x=4x64x56x56 w=64x64x3x3 pad=1",
)


def qualify_problems(first: int = 0, step: int = 1) -> tuple[NamedProblem, ...]:
    """Operators and sizes that make short and long calls: all of them, or every `step`-th."""
    numbered = list(enumerate(LINES, 1))[first::step]
    return tuple(NamedProblem(name=f"qualify/{n}", problem=parse_line(line)) for n, line in numbered)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the suite, and one for each known slow-down, among which its problems are dealt out."""
    description = "calls of 10 us to 50 ms"
    register(
        Suite(
            name="qualify",
            kind="speed",
            description=description,
            problems=qualify_problems,
            timing=Timing(slowdown=0.0),
        )
    )
    for number, slowdown in enumerate(SLOWDOWNS):
        register(
            Suite(
                name=f"qualify+{100 * slowdown:g}",
                kind="speed",
                description=f"{description}; {slowdown:.0%} of known work is added to all arms but the first",
                problems=partial(qualify_problems, number, len(SLOWDOWNS)),
                timing=Timing(slowdown=slowdown),
            )
        )
