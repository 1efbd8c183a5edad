"""Base class of backends: an object with one method for each operator that it implements."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.backend.switches import SwitchName
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import bind_operator
from harness.problems.numerics import Dtype, Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem

ClockName = Literal["host", "cuda"]


class Backend:
    """Base of all backends. An operator is native if and only if its method exists; there are no stubs.

        conv(x, w, b, window) -> y                  x (N,C,*S), w (O,C/groups,*K), b (O,) or None
        conv_input_grad(dy, w, x_shape, window) -> dx
        conv_weight_grad(dy, x, w_shape, window) -> dw
        conv_bias_grad(dy) -> db
        conv_transpose(x, w, b, window, output_padding) -> y      w (channels of x, channels of y / groups, *K)
        max_pool(x, window) -> (y, indices)         indices flat over the spatial axes of x, per feature map
        max_pool_grad(dy, x, indices, window) -> dx
        avg_pool(x, window) -> y
        avg_pool_grad(dy, x_shape, window) -> dx

    Arrays are of the backend's own type. Kernels are correlated, never flipped: if a problem requires true
    convolution, the harness flips the kernel. Missing operators are derived from others where mathematically possible.
    """

    name: ClassVar[str] = ""
    axes: ClassVar[tuple[int, ...]] = (1, 2, 3)
    dtypes: ClassVar[tuple[Dtype, ...]] = ("float64", "float32", "float16")
    grouped: ClassVar[bool] = True
    device: ClassVar[str] = "cpu"
    clock: ClassVar[ClockName] = "host"
    rate: ClassVar[float] = 1e9  # operations of `work` per second for the estimates of the planner, a low guess
    numerics: ClassVar[Numerics] = Numerics()
    takes_complex: ClassVar[bool] = False  # True if `conv` accepts complex arrays too
    instruction_sets: ClassVar[tuple[SwitchName, ...]] = ()  # libraries used, of SWITCHES
    listed: ClassVar[bool] = True  # False: used only if named, on the command line or by a known bug

    def probe(self) -> str | None:
        """Run one tiny operation; return None, or the reason why this backend cannot run here."""
        return None

    def supports(self, problem: Problem) -> str | None:
        """Return None, or the reason why this problem is not computed natively.

        Must be pure and independent of data and seed: the planner asks it outside the worker, in another process.
        """
        return None

    def refusal_types(self) -> tuple[type[Exception], ...]:
        """Return the exception types by which the library says in a call that it does not support something.

        Such an exception is the outcome `unsupported`, and no error, if the call is refused whatever its arrays hold.
        Import the library here, not with the plugin. Built-in types, except NotImplementedError, are not allowed: they
        stand for other errors too.
        """
        return ()

    def numerics_for(self, problem: Problem) -> Numerics:
        """Return the declared arithmetic for a problem; override it if it differs between problems."""
        return self.numerics

    def workspace(self, problem: Problem) -> int:
        """Return the bytes that a call needs in addition to its arrays; they count towards the memory limit."""
        return 0

    def work(self, problem: Problem) -> float:
        """Return the operations that this algorithm executes; the planner converts them into an estimated time."""
        return float(problem.flops)

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Plan, search and allocate (not timed); return the call that is timed. Arrays are on the device."""
        return bind_operator(self, problem, arrays)

    def to_device(self, array: Array) -> DeviceArray:
        """Convert a NumPy array into the backend's own type, on its device."""
        return array

    def to_host(self, array: DeviceArray) -> Array:
        """Convert one of the backend's arrays into a NumPy array."""
        host: Array = array
        return host

    def synchronize(self, result: Outputs = None) -> None:
        """Wait until all queued operations have finished.

        result: of the call that has to be waited for, where arrays of the library cannot be written in place; a backend
            that waits for results names this argument, others leave it out.
        """

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that do the work, for the record of the run."""
        return {}


def native_operators(backend: Backend) -> tuple[Operator, ...]:
    """Return the operators for which the backend has a method."""
    return tuple(operator for operator in Operator if callable(getattr(backend, operator.value, None)))
