"""Backends whose arrays cannot be written in place, such as those of JAX and TensorFlow, or are handles of a library.

Laws and times change the contents of arrays between calls. Where a backend's own arrays do not allow it, `adopt` puts a
view in front of the backend: its arrays are NumPy arrays, and each call gets new arrays that the backend's `to_device`
makes of them. Nothing else is asked of an array than that `to_device` makes it and `to_host` reads it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from harness.backend.base import Backend
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import operator_arguments
from harness.problems.numerics import dtype_of
from harness.problems.operator import Operator
from harness.problems.problem import Problem

KEPT = frozenset({"w", "b"})  # arrays of which a prepared call may keep its own form: they are not renewed
OPERATORS = frozenset(operator.value for operator in Operator)
RESULT = "result"  # name of the argument of `synchronize` by which a backend says that it waits for results
_adopted: dict[int, tuple[Backend, Backend]] = {}  # by identity, as a backend need not be hashable; each stays alive


def adopt(backend: Backend) -> Backend:
    """Return a backend whose arrays can be written in place: itself, or a view that copies them for each call."""
    if id(backend) not in _adopted:
        writable = _is_writable(backend) and not _needs_result(backend)
        _adopted[id(backend)] = backend, backend if writable else Copying(backend)
    return _adopted[id(backend)][1]


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
    waiting: inspect.Parameter | None  # argument by which the backend's `synchronize` takes a result

    def __init__(self, inner: Backend) -> None:
        object.__setattr__(self, "inner", inner)
        object.__setattr__(self, "waiting", _find_result(inner))

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
        return self.bring(np.array(array, order="K"))

    def bring(self, array: Array) -> DeviceArray:
        """Return an array of the backend's library, which may use the memory of the given one; wait until it is there.

        array: used for nothing else.
        """
        made = self.inner.to_device(array)
        self.wait((made,))
        return made

    def wait(self, result: Outputs) -> None:
        """Wait until a result, or arrays, are there."""
        if self.waiting is None:
            self.inner.synchronize()
        elif self.waiting.kind is self.waiting.POSITIONAL_ONLY:
            self.inner.synchronize(result)
        else:
            self.inner.synchronize(result=result)

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
    {
        "inner", "waiting", "to_device", "to_host", "own", "bring", "wait", "synchronize", "call", "write_back",
        "read_changed", "prepare",
    }
)  # fmt: skip


Make = Callable[[Array], DeviceArray]


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

    def refresh(self, make: Make | None = None) -> None:
        """Replace the copies of all arrays that the call reads anew by new ones.

        make: makes a copy of an array as one of the backend's; None for `Copying.own`.
        """
        for name, a in self._list_renewed():
            self.bound[name] = (make or self.backend.own)(a)

    def rewrite(self, make: Make | None = None) -> None:
        """Do the work of `refresh`, but leave the copies that are there: nothing is new to the call."""
        for _, a in self._list_renewed():
            (make or self.backend.own)(a)

    def find_written(self) -> list[str]:
        """Return the names of the arrays into whose copies calls have written."""
        return [name for name, a in self._list_renewed() if self.backend.read_changed(a, self.bound[name]) is not None]

    def _list_renewed(self) -> list[tuple[str, Array]]:
        return [(name, a) for name, a in self.arrays.items() if name not in KEPT and isinstance(a, np.ndarray)]


def _is_writable(backend: Backend) -> bool:
    """Return True if the backend's arrays are NumPy's, torch's or CuPy's, and can be written in place.

    An array of the first dtype and number of axes that the backend declares is what it is asked for.
    """
    try:
        made = backend.to_device(np.zeros((1, 1) + (1,) * backend.axes[0], dtype=dtype_of(backend.dtypes[0])))
    except Exception:  # its own calls will show why
        return True
    try:
        if not _is_known(made):
            return False
        made[...] = made
    except Exception:  # of any type that a library may raise: it has not written
        return False
    return True


def _is_known(a: DeviceArray) -> bool:
    from array_api_compat import is_cupy_array, is_torch_array

    return isinstance(a, np.ndarray) or is_torch_array(a) or is_cupy_array(a)


def _needs_result(backend: Backend) -> bool:
    found = _find_result(backend)
    return found is not None and found.default is inspect.Parameter.empty


def _find_result(backend: Backend) -> inspect.Parameter | None:
    """Return the argument by which the backend's own `synchronize` takes a result; None if it takes none."""
    if getattr(backend.synchronize, "__func__", None) is Backend.synchronize:
        return None
    try:
        found = inspect.signature(backend.synchronize).parameters.get(RESULT)
    except (TypeError, ValueError):  # a function of native code may have no signature
        return None
    return None if found is None or found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD) else found
