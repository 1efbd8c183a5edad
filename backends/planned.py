"""Base of backends whose libraries run a plan: a session or a compiled model of one operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from harness import Backend, Operator, Problem, Window
from harness.problems import Array, Call, DeviceArrays, Sizes, operator_arguments


class PlannedBackend(Backend):
    """Convolution, transposed convolution and pooling by plans; what they derive plans several times.

    plan_work: operations in the time that it takes to make a plan. A subclass has a method `_plan_OPERATOR` for each
    operator, which takes its arguments and returns the call.
    """

    plan_work: ClassVar[float]
    _threads = 0  # 0: the library's own choice
    _plan_conv: Callable[..., Call]
    _plan_conv_transpose: Callable[..., Call]
    _plan_max_pool: Callable[..., Call]
    _plan_avg_pool: Callable[..., Call]

    def set_threads(self, threads: int) -> int:
        """Make plans for so many threads from now on."""
        self._threads = threads
        return threads

    def work(self, problem: Problem) -> float:
        """Count a plan for each call: the kernel's gradient is derived from one convolution for each group."""
        calls = problem.window.groups if problem.operator is Operator.conv_weight_grad else 1
        return problem.flops + calls * self.plan_work

    def conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Array:
        """Plan and run a convolution."""
        y: Array = self._plan_conv(x, w, b, window)()
        return y

    def conv_transpose(self, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Array:
        """Plan and run a transposed convolution."""
        y: Array = self._plan_conv_transpose(x, w, b, window, output_padding)()
        return y

    def max_pool(self, x: Array, window: Window) -> tuple[Array, Array]:
        """Plan and run a maximum pooling; indices count within a map."""
        y, indices = self._plan_max_pool(x, window)()
        return y, indices

    def avg_pool(self, x: Array, window: Window) -> Array:
        """Plan and run a mean pooling."""
        y: Array = self._plan_avg_pool(x, window)()
        return y

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Make the plan; the call that is left runs it."""
        plan: Callable[..., Call] = getattr(self, f"_plan_{problem.operator}")
        return plan(*operator_arguments(problem, arrays))
