"""The implementation under test, called with NumPy arrays: what laws and verification talk to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.backend.base import Backend
from harness.backend.routing import prepare, run
from harness.laws.error_bounds import SELECTS, is_exact
from harness.problems.calling import name_outputs
from harness.problems.data import apply_layout
from harness.problems.numerics import Numerics, dtype_of
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.reference import turn
from harness.problems.window import Sizes, Window

Array = NDArray[Any]


class NotExactError(Exception):
    """A law that compares whole numbers met sums too large for its dtype: it cannot be applied there."""


class NoRoomError(Exception):
    """A law on large arrays met less memory than they need: it cannot be applied there."""


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A prepared call: `call` and `synchronize` are what is timed, `fetch` brings the outputs to the host.

    problem: what it computes. backend: on what.
    """

    problem: Problem
    backend: Backend
    call: Callable[[], Any]

    def run(self) -> Any:
        """Call once and wait until every queued operation has ended."""
        result = self.call()
        self.backend.synchronize()
        return result

    def fetch(self, result: Any) -> dict[str, Array]:
        """Outputs by name as NumPy arrays of their own. Raises ValueError where a shape or dtype is wrong."""
        host = {k: np.array(self.backend.to_host(a)) for k, a in name_outputs(self.problem, result).items()}
        for name, a in host.items():
            check_form(self.problem, name, a)
        return turn(self.problem, host)


def _unturned(problem: Problem) -> Problem:
    """Return the correlation that a backend computes: w is turned beforehand where the problem is a convolution."""
    return problem.with_(flip=False) if problem.flip else problem


def check_form(problem: Problem, name: str, a: Array) -> None:
    """Raise ValueError unless an output has the shape and dtype that the problem asks for."""
    shape, dtype = problem.shapes[name], dtype_of(problem.dtype)
    if a.shape != shape:
        raise ValueError(f"{problem.operator} gave {name} of shape {a.shape}, wanted {shape}")
    if a.dtype.kind not in "iu" if name == "indices" else a.dtype != dtype:
        wanted = "whole numbers" if name == "indices" else dtype
        raise ValueError(f"{problem.operator} gave {name} as {a.dtype}, wanted {wanted}")


class BackendUnderTest:
    """One backend seen through the operators, in the dtype, layout and data regime of a problem.

    On whole numbers a norm-wise backend's outputs are rounded, after checking that its bound is below 1/2.
    """

    def __init__(self, backend: Backend, problem: Problem) -> None:
        self.backend, self.problem = backend, problem

    def numerics(self, problem: Problem | None = None) -> Numerics:
        """What the backend declares for a problem."""
        return self.backend.numerics_for(problem or self.problem)

    def arrange(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays in the problem's dtype and memory layout; indices stay whole numbers."""
        dtype = dtype_of(problem.dtype)
        turned = turn(problem, {name: a for name, a in arrays.items() if a is not None})
        return {
            name: apply_layout(a if name == "indices" else a.astype(dtype), problem.layout)
            for name, a in turned.items()
        }

    def devices(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Arrays of the backend's own kind, in the problem's dtype and memory layout."""
        return {name: self.backend.to_device(a) for name, a in self.arrange(problem, arrays).items()}

    def prepare(self, problem: Problem, arrays: Mapping[str, Array]) -> PreparedCall:
        """Prepare the call that is timed."""
        return self.prepare_devices(problem, self.devices(problem, arrays))

    def prepare_devices(self, problem: Problem, devices: Mapping[str, Any]) -> PreparedCall:
        """Prepare the call that is timed, on the backend's own arrays."""
        return PreparedCall(problem, self.backend, prepare(self.backend, _unturned(problem), devices))

    def plain(self, problem: Problem, devices: Mapping[str, Any]) -> PreparedCall:
        """The call of the backend's plain methods on its own arrays, as they lie in memory."""
        plain = _unturned(problem)
        return PreparedCall(problem, self.backend, lambda: run(self.backend, plain, devices))

    def run(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run a problem through the backend's plain methods; outputs by name, on the host."""
        call = self.plain(problem, self.devices(problem, arrays))
        return call.fetch(call.run())

    def whole(self, problem: Problem, arrays: Mapping[str, Array | None]) -> dict[str, Array]:
        """Run a problem on whole numbers; float64 outputs, exact by the checked bound. Raises NotExactError."""
        given = {name: a for name, a in arrays.items() if a is not None}
        numerics = self.numerics(problem)
        if not is_exact(problem, numerics, given):
            raise NotExactError(f"sums of {problem.line} are not exact in {problem.dtype} ({numerics.algorithm})")
        outputs = self.run(problem, given)
        wide = {k: a if a.dtype.kind == "i" else a.astype(np.float64) for k, a in outputs.items()}
        rounds = numerics.normwise and problem.operator not in SELECTS
        return {k: np.rint(a) if rounds else a for k, a in wide.items()}

    # The operators on whole numbers, by shape alone; laws are written with these.

    def conv(
        self, x: Array, w: Array, b: Array | None = None, window: Window | None = None, *, flip: bool = False
    ) -> Array:
        """Compute y = conv(x, w, b) on whole numbers.

        x: n c *s. w: o c/g *k. b: o, or None. window: None for the problem's. flip: whether the kernel is turned by 180
        degrees.
        """
        problem = self._problem(Operator.conv, x.shape, w.shape, window, bias=b is not None, flip=flip)
        return self.whole(problem, {"x": x, "w": w, "b": b})["y"]

    def input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window | None = None) -> Array:
        """Compute dx = conv_input_grad(dy, w) on whole numbers.

        dy: n o *p. w: o c/g *k. x_shape: n c *s. window: None for the problem's.
        """
        return self.whole(self._problem(Operator.conv_input_grad, x_shape, w.shape, window), {"dy": dy, "w": w})["dx"]

    def weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window | None = None) -> Array:
        """Compute dw = conv_weight_grad(dy, x) on whole numbers.

        dy: n o *p. x: n c *s. w_shape: o c/g *k. window: None for the problem's.
        """
        return self.whole(self._problem(Operator.conv_weight_grad, x.shape, w_shape, window), {"dy": dy, "x": x})["dw"]

    def bias_grad(self, dy: Array) -> Array:
        """Compute db = conv_bias_grad(dy) on whole numbers; dy n o *p."""
        problem = self.problem.with_(operator=Operator.conv_bias_grad, bias=False)
        return self.whole(problem, {"dy": dy})["db"]

    def _problem(
        self,
        operator: Operator,
        x: Sizes,
        w: Sizes,
        window: Window | None,
        bias: bool = False,
        flip: bool | None = None,
    ) -> Problem:
        return self.problem.with_(
            operator=operator,
            x=tuple(x),
            w=tuple(w),
            window=window or self.problem.window,
            bias=bias,
            output_padding=None,
            flip=self.problem.flip if flip is None else flip,
        )
