"""The backend of a compiled library: a class with a method for each function that the library has."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.backend.base import Backend
from harness.backend.compiled.buffers import Buffer, copy_input, make_output, same_bytes
from harness.backend.compiled.description import Description, read_description
from harness.backend.compiled.library import Library, open_library
from harness.backend.compiled.structures import (
    ARRAYS,
    CallArrays,
    CallGeometry,
    check_inputs,
    geometry_of,
    geometry_of_sum,
    make_geometry,
)
from harness.problems.arrays import Array, Call, DeviceArrays, Outputs
from harness.problems.calling import bind_operator
from harness.problems.data import apply_layout
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Layout, Problem
from harness.problems.validation import read_word
from harness.problems.window import Sizes, Window

MOST_COPIED = 2**26  # bytes of inputs that a plain call copies between guards
CHECKED = 3  # calls of a plan whose outputs are poisoned and whose guards are looked at: those before any is timed


class CompiledError(Exception):
    """A function of a compiled backend gave a reason why it failed."""


def load_backend(file: Path) -> Backend:
    """Load the backend of a shared library. Raises UsageError for a file that is none."""
    library = open_library(file)
    described = read_description(library.description)
    members: dict[str, Any] = {operator.value: METHODS[operator] for operator in library.operators}
    members |= {name: getattr(described, name) for name in DECLARED}
    for name in OPTIONAL:
        if library.find(name) is not None:
            members[name] = OPTIONAL[name]
    kind = type("Compiled", (CompiledBackend,), {"library": library, "described": described, **members})
    backend: Backend = kind()
    return backend


class CompiledBackend(Backend):
    """A backend whose operators are functions of a shared library; each library has a class of its own below it."""

    library: ClassVar[Library]
    described: ClassVar[Description]

    def probe(self) -> str | None:
        """Ask the library."""
        probe = self.library.find("probe")
        return None if probe is None else _text(probe())

    def supports(self, problem: Problem) -> str | None:
        """Refuse other memory orders than the declared ones; then ask the library."""
        if problem.layout not in self.described.layouts:
            return f"{self.name} has no layout {problem.layout}, only {', '.join(self.described.layouts)}"
        supports = self.library.find("supports")
        return None if supports is None else _text(supports(ctypes.byref(geometry_of(problem))))

    def workspace(self, problem: Problem) -> int:
        """Ask the library."""
        workspace = self.library.find("workspace")
        return 0 if workspace is None else int(workspace(ctypes.byref(geometry_of(problem))))

    def versions(self) -> dict[str, str]:
        """Return the versions of the description."""
        return dict(self.described.versions)

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Make the library's plan, and bind everything: the timed call is the library's function and nothing else.

        Arrays that are not dense are copied in each call, which is then a plain one.
        """
        given = {name: a for name, a in arrays.items() if a is not None}
        layout, dense = _arrange(given, self.described.layouts)
        if any(dense[name] is not given[name] for name in dense):
            return bind_operator(self, problem, arrays)
        geometry = geometry_of(problem.with_(layout=layout))
        check_inputs(geometry, given)
        return PreparedCall(self.library, problem.operator, geometry, dense, _shapes(problem), layout)

    def call(
        self, operator: Operator, inputs: Mapping[str, Array | None], shapes: Mapping[str, Sizes], *geometry: Any
    ) -> Outputs:
        """Call a function with a plan that lives as long as the call, and look for what it must not touch.

        Inputs are copied between guards, unless they are large: reads beyond them are NaN, writes are an error.

        inputs: by name, of any memory order. shapes: of the outputs, by name. geometry: arguments of `make_geometry`
        after the operator, up to the dtype; none for conv_bias_grad.
        """
        given = {name: a for name, a in inputs.items() if a is not None}
        layout, dense = _arrange(given, self.described.layouts)
        dtype = _name_dtype(next(iter(given.values())))
        if geometry:
            described = make_geometry(operator, *geometry, dtype, layout)
        else:
            described = geometry_of_sum(given["dy"].shape, dtype, layout)
        check_inputs(described, given)
        copies: dict[str, Buffer] = {}
        if sum(a.nbytes for a in given.values()) <= MOST_COPIED:
            copies = {name: copy_input(a, layout) for name, a in given.items()}
        seen = {name: copies[name].array if copies else a for name, a in dense.items()}
        call = PreparedCall(self.library, operator, described, seen, shapes, layout)
        outputs = call()
        for name, buffer in copies.items():
            if damage := buffer.describe_damage():
                raise CompiledError(f"{operator}: it {damage} of the input {name}")
            if not same_bytes(buffer.array, given[name]):
                raise CompiledError(f"{operator}: it changed its input {name}")
        return outputs


class PreparedCall:
    """A function of a library with its plan and its arrays, which it owns; each call fills the same outputs."""

    def __init__(
        self,
        library: Library,
        operator: Operator,
        geometry: CallGeometry,
        inputs: Mapping[str, Array],
        shapes: Mapping[str, Sizes],
        layout: Layout,
    ) -> None:
        dtype = next(iter(inputs.values())).dtype
        self._buffers = {
            name: make_output(shape, np.dtype(np.int64) if name == "indices" else dtype, layout)
            for name, shape in shapes.items()
        }
        self._unchecked = CHECKED
        self._inputs, outputs = inputs, {name: buffer.array for name, buffer in self._buffers.items()}
        addresses = CallArrays(**{name: a.ctypes.data for name, a in {**inputs, **outputs}.items() if name in ARRAYS})
        self._arguments = [ctypes.byref(geometry), ctypes.byref(addresses), ctypes.c_void_p()]
        self._function, self._name = library.operators[operator], operator.value
        self._outputs: Outputs = tuple(outputs.values()) if len(outputs) > 1 else next(iter(outputs.values()))
        prepare = library.find("prepare")
        if prepare is not None:
            plan = ctypes.c_void_p()
            _check("prepare", prepare(*self._arguments[:2], ctypes.byref(plan)))
            self._arguments[2] = plan
            weakref.finalize(self, library.table.destroy, plan)

    def __call__(self) -> Outputs:
        """Call the function. Raises CompiledError if it fails, with its reason, or writes outside of an output."""
        if self._unchecked:
            return self._call_checked()
        said = self._function(*self._arguments)
        if said is not None:
            _check(self._name, said)
        return self._outputs

    def _call_checked(self) -> Outputs:
        """Call as the first few times: with poisoned outputs, whose guards are looked at afterwards."""
        self._unchecked -= 1
        for buffer in self._buffers.values():
            buffer.poison()
        _check(self._name, self._function(*self._arguments))
        for name, buffer in self._buffers.items():
            damage = buffer.describe_damage()
            if damage is not None:
                raise CompiledError(f"{self._name}: it {damage} of {name}")
        return self._outputs


def _conv(self: CompiledBackend, x: Array, w: Array, b: Array | None, window: Window) -> Outputs:
    window.check_conv(x.shape, w.shape)
    y = (x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:]))
    inputs = {"x": x, "w": w, "b": b}
    return self.call(Operator.conv, inputs, {"y": y}, x.shape, w.shape, window, None, b is not None)


def _conv_input_grad(self: CompiledBackend, dy: Array, w: Array, x_shape: Sizes, window: Window) -> Outputs:
    window.check_conv(x_shape, w.shape)
    inputs, shapes = {"dy": dy, "w": w}, {"dx": tuple(x_shape)}
    return self.call(Operator.conv_input_grad, inputs, shapes, tuple(x_shape), w.shape, window, None, False)


def _conv_weight_grad(self: CompiledBackend, dy: Array, x: Array, w_shape: Sizes, window: Window) -> Outputs:
    window.check_conv(x.shape, w_shape)
    inputs, shapes = {"dy": dy, "x": x}, {"dw": tuple(w_shape)}
    return self.call(Operator.conv_weight_grad, inputs, shapes, x.shape, tuple(w_shape), window, None, False)


def _conv_bias_grad(self: CompiledBackend, dy: Array) -> Outputs:
    return self.call(Operator.conv_bias_grad, {"dy": dy}, {"db": (dy.shape[1],)})


def _conv_transpose(
    self: CompiledBackend, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes
) -> Outputs:
    window.check_transposed(x.shape, w.shape, output_padding)
    space = window.transposed_shape(x.shape[2:], w.shape[2:], output_padding)
    y, inputs = (x.shape[0], w.shape[1] * window.groups, *space), {"x": x, "w": w, "b": b}
    geometry = (x.shape, w.shape, window, tuple(output_padding), b is not None)
    return self.call(Operator.conv_transpose, inputs, {"y": y}, *geometry)


def _max_pool(self: CompiledBackend, x: Array, window: Window) -> Outputs:
    y = _pooled(x.shape, window)
    return self.call(Operator.max_pool, {"x": x}, {"y": y, "indices": y}, x.shape, None, window, None, False)


def _max_pool_grad(self: CompiledBackend, dy: Array, x: Array, indices: Array, window: Window) -> Outputs:
    _pooled(x.shape, window)
    inputs = {"dy": dy, "x": x, "indices": indices.astype(np.int64, copy=False)}
    return self.call(Operator.max_pool_grad, inputs, {"dx": x.shape}, x.shape, None, window, None, False)


def _avg_pool(self: CompiledBackend, x: Array, window: Window) -> Outputs:
    shapes = {"y": _pooled(x.shape, window)}
    return self.call(Operator.avg_pool, {"x": x}, shapes, x.shape, None, window, None, False)


def _avg_pool_grad(self: CompiledBackend, dy: Array, x_shape: Sizes, window: Window) -> Outputs:
    _pooled(x_shape, window)
    geometry = (tuple(x_shape), None, window, None, False)
    return self.call(Operator.avg_pool_grad, {"dy": dy}, {"dx": tuple(x_shape)}, *geometry)


METHODS: Mapping[Operator, Callable[..., Outputs]] = {
    Operator.conv: _conv,
    Operator.conv_input_grad: _conv_input_grad,
    Operator.conv_weight_grad: _conv_weight_grad,
    Operator.conv_bias_grad: _conv_bias_grad,
    Operator.conv_transpose: _conv_transpose,
    Operator.max_pool: _max_pool,
    Operator.max_pool_grad: _max_pool_grad,
    Operator.avg_pool: _avg_pool,
    Operator.avg_pool_grad: _avg_pool_grad,
}
DECLARED = ("name", "axes", "dtypes", "grouped", "rate", "numerics", "instruction_sets", "listed")


def _set_threads(self: CompiledBackend, threads: int) -> int:
    return int(self.library.table.set_threads(threads))


OPTIONAL: Mapping[str, Callable[..., Any]] = {"set_threads": _set_threads}  # absent unless the library has it


def _pooled(x: Sizes, window: Window) -> Sizes:
    """Return the shape of the output of pooling; the window is checked."""
    assert window.kernel is not None
    return (x[0], x[1], *window.output_shape(x[2:], window.kernel))


def _shapes(problem: Problem) -> dict[str, Sizes]:
    return {name: problem.shapes[name] for name in problem.operator.outputs}


def _arrange(arrays: Mapping[str, Array | None], layouts: tuple[Layout, ...]) -> tuple[Layout, dict[str, Array]]:
    """Return a memory order that the library takes, and the arrays in it: the same ones if they have it already."""
    given = {name: a for name, a in arrays.items() if a is not None}
    for layout in layouts:
        if all(_is_dense(a, layout) for a in given.values()):
            return layout, given
    first = layouts[0]
    return first, {name: a if _is_dense(a, first) else apply_layout(a, first) for name, a in given.items()}


def _is_dense(a: Array, layout: Layout) -> bool:
    if layout == LAYOUTS[0] or a.ndim < 3:
        return a.flags.c_contiguous
    return a.transpose(0, *range(2, a.ndim), 1).flags.c_contiguous


def _name_dtype(a: Array) -> Dtype:
    """Return the name of an array's dtype. Raises GeometryError for one that problems do not have."""
    return read_word("dtype", a.dtype.name, DTYPES)


def _check(name: str, said: bytes | None) -> None:
    """Raise CompiledError with what a function said, if it said anything."""
    if said is not None:
        raise CompiledError(f"{name}: {_text(said) or 'it gives no reason'}")


def _text(said: bytes | None) -> str | None:
    return None if said is None else said.decode(errors="replace")
