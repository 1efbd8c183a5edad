"""What a plugin hands over: an object with a method for every operator that it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from harness.problems.calling import bind_operator
from harness.problems.numerics import Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem


class Backend:
    """Base of all backends. An operator is native if and only if its method exists; there are no stubs.

        conv(x, w, b, window) -> y                  x (N,C,*S), w (O,C/groups,*K), b (O,) or None
        conv_input_grad(dy, w, x_shape, window) -> dx
        conv_weight_grad(dy, x, w_shape, window) -> dw
        conv_bias_grad(dy) -> db
        conv_transpose(x, w, b, window, output_padding) -> y      w (channels of x, channels of y / groups, *K)
        max_pool(x, window) -> (y, indices)         indices flat over the spatial axes of x, per map
        max_pool_grad(dy, x, indices, window) -> dx
        avg_pool(x, window) -> y
        avg_pool_grad(dy, x_shape, window) -> dx

    Arrays are of the backend's own kind. Kernels are correlated, never flipped: where a problem asks for true
    convolution, the harness turns the kernel. What is absent is derived where mathematics allows.
    """

    name: ClassVar[str] = ""
    axes: ClassVar[tuple[int, ...]] = (1, 2, 3)
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "float16")
    grouped: ClassVar[bool] = True
    device: ClassVar[str] = "cpu"
    clock: ClassVar[str] = "host"
    rate: ClassVar[float] = 1e9  # operations of `work` per second that the planner expects, on the slow side
    numerics: ClassVar[Numerics] = Numerics()
    takes_complex: ClassVar[bool] = False  # whether `conv` takes complex arrays too
    instruction_sets: ClassVar[tuple[str, ...]] = ()  # switches of the libraries that do the work, of SWITCHES
    listed: ClassVar[bool] = True  # False: asked only where it is named, on the command line or by a known fault

    def probe(self) -> str | None:
        """Run one tiny operation; give None, or the reason why this backend cannot run here."""
        return None

    def supports(self, problem: Problem) -> str | None:
        """Give None, or the reason why this problem is not computed natively.

        Pure, and the same whatever the data and seed: plans are made with it, outside the worker.
        """
        return None

    def numerics_for(self, problem: Problem) -> Numerics:
        """Declared arithmetic for a problem, where it is not the same for every operator."""
        return self.numerics

    def workspace(self, problem: Problem) -> int:
        """Bytes that a call needs beside its arrays; the planner skips cells beyond the memory limit."""
        return 0

    def work(self, problem: Problem) -> float:
        """Operations that this algorithm really executes; the planner turns them into an estimated time."""
        return float(problem.flops)

    def prepare(self, problem: Problem, arrays: Mapping[str, Any]) -> Callable[[], Any]:
        """Plan, search and allocate (not timed); give the call that is timed. Arrays are on the device."""
        return bind_operator(self, problem, arrays)

    def to_device(self, array: Any) -> Any:
        """Turn a NumPy array into the backend's own kind."""
        return array

    def to_host(self, array: Any) -> Any:
        """Turn one of the backend's arrays into a NumPy array."""
        return array

    def synchronize(self) -> None:
        """Wait until every queued operation has ended."""

    def versions(self) -> dict[str, str]:
        """Versions of the libraries that do the work, for the record of the run."""
        return {}


def native_operators(backend: Backend) -> tuple[Operator, ...]:
    """Operators for which the backend has a method."""
    return tuple(operator for operator in Operator if callable(getattr(backend, operator.value, None)))
