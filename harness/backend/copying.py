"""Backends whose arrays cannot be written in place, such as those of JAX and TensorFlow, or are handles of a library.

Laws and times change the contents of arrays between calls. Where a backend's own arrays do not allow it, `adopt` puts a
view in front of the backend: its arrays are NumPy arrays, and each call gets new arrays that the backend's `to_device`
makes of them. Nothing else is asked of an array than that `to_device` makes it and `to_host` reads it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from harness.backend.base import Backend
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import operator_arguments
from harness.problems.operator import Operator
from harness.problems.problem import Problem

KEPT = frozenset({"w", "b"})  # arrays of which a prepared call may keep its own form: they are not renewed
OPERATORS = frozenset(operator.value for operator in Operator)


@cache
def adopt(backend: Backend) -> Backend:
    """Return a backend whose arrays can be written in place: itself, or a view that copies them for each call."""
    return backend if _is_writable(backend) and not _needs_result(backend) else Copying(backend)


def own_array(backend: Backend, a: Array) -> DeviceArray:
    """Return a copy of a NumPy array as an array of the backend's own library.

    backend: as `adopt` returns it. a: in any memory order, which the copy keeps.
    """
    return backend.own(a) if isinstance(backend, Copying) else backend.to_device(a)


def bring_outputs(backend: Backend, outputs: DeviceArrays) -> dict[str, DeviceArray]:
    """Return outputs by name as arrays that can be used as inputs of other calls, and be calculated with.

    backend: as `adopt` returns it. outputs: of one of its calls, by name.
    """
    if not isinstance(backend, Copying):
        return dict(outputs)
    return {name: np.array(backend.to_host(a)) for name, a in outputs.items()}


class Copying(Backend):
    """A view of a backend whose arrays are NumPy arrays, copied into the backend's own right before each call."""

    inner: Backend

    def __init__(self, inner: Backend) -> None:
        object.__setattr__(self, "inner", inner)

    def __getattribute__(self, name: str) -> Any:
        if name in _OWN or name.startswith("__"):
            return object.__getattribute__(self, name)
        value = getattr(object.__getattribute__(self, "inner"), name)
        return partial(self.call, value) if name in OPERATORS and callable(value) else value

    def to_device(self, array: Array) -> DeviceArray:
        """Return the NumPy array itself."""
        return array

    def to_host(self, array: DeviceArray) -> Array:
        """Return one of the backend's arrays as a NumPy array; a NumPy array as it is."""
        return array if type(array) is np.ndarray else self.inner.to_host(array)

    def own(self, array: Array) -> DeviceArray:
        """Return a new array of the backend's library with these contents; they are there when this returns."""
        made = self.inner.to_device(np.array(array, order="K"))
        self.wait((made,))
        return made

    def wait(self, result: Outputs) -> None:
        """Wait until a result, or arrays, are there."""
        if _takes_result(self.inner):
            self.inner.synchronize(result)
        else:
            self.inner.synchronize()

    def synchronize(self, result: Outputs = None) -> None:
        """Do nothing: every call has waited for its own result."""

    def call(self, method: Callable[..., Outputs], *arguments: Any) -> Outputs:
        """Call a method of the backend on copies; what it writes into them is written into the arrays, too."""
        given = [self.own(a) if isinstance(a, np.ndarray) else a for a in arguments]
        result = method(*given)
        self.wait(result)
        self.write_back((a, own) for a, own in zip(arguments, given, strict=True) if isinstance(a, np.ndarray))
        return result

    def write_back(self, pairs: Iterable[tuple[Array, DeviceArray]]) -> None:
        """Write into each array what its copy holds now, if that has changed: a call must leave its inputs alone."""
        for a, own in pairs:
            if (now := self.read_changed(a, own)) is not None:
                a[...] = now

    def read_changed(self, a: Array, own: DeviceArray) -> Array | None:
        """Return what the copy of an array holds if it was written to; None if it holds what the array does."""
        now = np.asarray(self.inner.to_host(own))
        same_kind = now.shape == a.shape and now.dtype == a.dtype
        return now if same_kind and now.tobytes() != a.tobytes() else None

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Return the backend's prepared call on copies, which it finds in the mapping that it is given."""
        return CopiedCall.make(self, problem, arrays)


_OWN = frozenset(
    {"inner", "to_device", "to_host", "own", "wait", "synchronize", "call", "write_back", "read_changed", "prepare"}
)


@dataclass(frozen=True, slots=True)
class CopiedCall:
    """A prepared call whose arrays are copied before it, outside of what is timed.

    arrays: NumPy arrays by name, whose contents change. bound: the mapping with their copies that the call reads.
    call: of the backend.
    """

    backend: Copying
    arrays: DeviceArrays
    bound: dict[str, DeviceArray]
    call: Call

    @classmethod
    def make(cls, backend: Copying, problem: Problem, arrays: DeviceArrays) -> CopiedCall:
        """Prepare a call. Without a `prepare` of its own, a backend is called with what the mapping holds then.

        backend: the view. problem: the operator and shapes. arrays: NumPy arrays by name.
        """
        inner = backend.inner
        bound = {name: backend.own(a) if isinstance(a, np.ndarray) else a for name, a in arrays.items()}
        if getattr(inner.prepare, "__func__", None) is Backend.prepare:
            method = getattr(inner, problem.operator.value)
            call: Call = lambda: method(*operator_arguments(problem, bound))  # noqa: E731 - read anew in each call
        else:
            call = inner.prepare(problem, bound)
        return cls(backend, arrays, bound, call)

    def __call__(self) -> Outputs:
        """Copy the arrays, make the call, and write back what it has written into the copies."""
        self.refresh()
        result = self.timed()
        self.backend.write_back((a, self.bound[name]) for name, a in self._list_renewed())
        return result

    def timed(self) -> Outputs:
        """Make the call on the copies that are there, and wait for its result."""
        result = self.call()
        self.backend.wait(result)
        return result

    def refresh(self) -> None:
        """Replace the copies of all arrays that the call reads anew by new ones."""
        for name, a in self._list_renewed():
            self.bound[name] = self.backend.own(a)

    def rewrite(self) -> None:
        """Do the work of `refresh`, but leave the copies that are there: nothing is new to the call."""
        for _, a in self._list_renewed():
            self.backend.own(a)

    def find_written(self) -> list[str]:
        """Return the names of the arrays into whose copies calls have written."""
        return [name for name, a in self._list_renewed() if self.backend.read_changed(a, self.bound[name]) is not None]

    def _list_renewed(self) -> list[tuple[str, Array]]:
        return [(name, a) for name, a in self.arrays.items() if name not in KEPT and isinstance(a, np.ndarray)]


def _is_writable(backend: Backend) -> bool:
    """Return True if the backend's arrays are NumPy's, torch's or CuPy's, and can be written in place."""
    try:
        made = backend.to_device(np.zeros((1, 1, 1), dtype=np.float32))
    except Exception:  # its own calls will show why
        return True
    if not _is_known(made):
        return False
    try:
        made[...] = made
    except (TypeError, ValueError, RuntimeError):
        return False
    return True


def _is_known(a: DeviceArray) -> bool:
    from array_api_compat import is_cupy_array, is_torch_array

    return isinstance(a, np.ndarray) or is_torch_array(a) or is_cupy_array(a)


@cache
def _takes_result(backend: Backend) -> bool:
    """Return True if the backend waits for a result that it is given."""
    return bool(_list_parameters(backend))


def _needs_result(backend: Backend) -> bool:
    return any(one.default is inspect.Parameter.empty for one in _list_parameters(backend))


def _list_parameters(backend: Backend) -> list[inspect.Parameter]:
    if getattr(backend.synchronize, "__func__", None) is Backend.synchronize:
        return []
    return [
        one for one in inspect.signature(backend.synchronize).parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]  # fmt: skip
