"""Cases of the ONNX package as problems: geometry, arrays and expected outputs in this harness's terms.

Taken are the 106 forward cases of convolution, transposed convolution and pooling that the package carries: 60 `node`
cases, which it builds in Python while its modules are imported, and 43 `pytorch-converted` and 3 `pytorch-operator`
cases, which lie in its folder as a model with its inputs and outputs. Whole networks are not touched.

What ONNX says otherwise is turned into what this harness says (windows as `capture` does):
    Indices        flat over the whole tensor, column by column if storage_order is 1; here flat per map, row by row
    uint8, int8    float32, in which they are exact
    Unsqueeze, OPERATOR, Squeeze   the operator, on arrays with the same axes of size 1

The package pools element by element in Python: two cases of 90 000 elements took 5.5 s in every process that read them.
What it pools is computed when it is first read (`Pooled`), by the package's own function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from harness import HarnessError, Problem, UsageError
from harness.capture import ONNX_OPERATORS, make_onnx_window
from harness.problems import DTYPES, Array, Regime, Sizes, read_word, reference

WANTED = 106
NOT_INSTALLED = "suite onnx needs the package onnx: pip install 'conv-harness[onnx]'"
ATTRIBUTES = frozenset({
    "auto_pad", "ceil_mode", "count_include_pad", "dilations", "group", "kernel_shape", "output_padding",
    "output_shape", "pads", "storage_order", "strides",
})  # fmt: skip
STORED = ("pytorch-converted", "pytorch-operator")
DECIMALS = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 4}  # inputs and outputs rounded to so many decimals


class Pooled:
    """An output that the package's function `pool` computes when it is first read.

    The package asks it for `shape` and `dtype` alone while it builds its cases.
    """

    def __init__(self, compute: Callable[[], Array], shape: Sizes, dtype: np.dtype[Any]) -> None:
        self.shape, self.dtype = shape, dtype
        self._compute = compute

    @cached_property
    def array(self) -> Array:
        """The output, computed once."""
        return self._compute()


class Outputs(Mapping[str, Array]):
    """The outputs of a case by name. What the package pools is computed when it is first read."""

    def __init__(self, stated: Mapping[str, Array | Pooled]) -> None:
        self._stated = stated

    def __getitem__(self, name: str) -> Array:
        stated = self._stated[name]
        return stated.array if isinstance(stated, Pooled) else stated

    def __contains__(self, name: object) -> bool:
        return name in self._stated

    def __iter__(self) -> Iterator[str]:
        return iter(self._stated)

    def __len__(self) -> int:
        return len(self._stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case of the package.

    kind: the package's own word for its origin: node, pytorch-converted or pytorch-operator.
    problem: its seed is the case's number from 1, in the order of names; its `data` describes the arrays.
    inputs: the operator's arrays by name. outputs: as the case states them; max pooling may leave indices out.
    slack: possible error of the outputs if they and the inputs are rounded decimals.
    """

    kind: str
    name: str
    problem: Problem
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    slack: Array | float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of a model: its operator, attributes and arrays in ONNX's order; a left-out input is None."""

    kind: str
    name: str
    operator: str
    attributes: Mapping[str, Any]
    inputs: Sequence[Array | None]
    outputs: Sequence[Array | Pooled]


@cache
def load_cases() -> tuple[Case, ...]:
    """All cases in the order of their names, read once in a process.

    Raises UsageError where onnx is not installed, or where its cases differ from the known ones.
    """
    try:
        import onnx
    except ImportError:
        raise UsageError(NOT_INSTALLED) from None
    try:
        nodes = sorted((*read_built(), *read_stored()), key=lambda node: node.name)
        cases = tuple(make_case(node, number) for number, node in enumerate(nodes, 1))
    except (ImportError, OSError, LookupError, ValueError) as error:
        raise UsageError(f"onnx {onnx.__version__}: its cases cannot be read ({error}), wanted onnx 1.23") from error
    if len(cases) != WANTED:
        raise UsageError(f"onnx {onnx.__version__} has {len(cases)} such cases, wanted {WANTED} as in onnx 1.23")
    return cases


# --- reading the package -----------------------------------------------------------------------------------------


def read_built() -> Iterator[Node]:
    """Cases that the package builds while a module is imported.

    Only the modules of our operators are: its own loader imports all of them, takes twice as long and warns.
    """
    package = "onnx.backend.test.case.node"
    state = np.random.get_state()  # each module seeds NumPy's own generator, which belongs to the caller
    with _pool_later() as restore:
        for name in ONNX_OPERATORS:
            restore(import_module(f"{package}.{name.lower()}"))
    built = import_module(package)._NodeTestCases
    np.random.set_state(state)
    for case in built:
        if _find_node(case.model.graph):
            ((given, expected),) = case.data_sets
            yield _read_graph("node", case.name, case.model.graph, given, expected)


@contextmanager
def _pool_later() -> Iterator[Callable[[ModuleType], None]]:
    """Modules of the package that are imported meanwhile get a `Pooled` from `pool`.

    Yields the function that restores the `pool` of such a module.
    """
    from onnx.reference.ops import op_pool_common

    pool = op_pool_common.pool

    def pool_later(
        padded: Array, x_shape: Sizes, kernel: Sizes, strides: Sizes, out_shape: Sizes, *rest: Any, **more: Any
    ) -> Pooled:
        compute = partial(pool, padded, x_shape, kernel, strides, out_shape, *rest, **more)
        return Pooled(compute, (*x_shape[:2], *out_shape), padded.dtype)

    def restore(module: ModuleType) -> None:
        if vars(module).get("pool") is pool_later:
            module.pool = pool  # type: ignore[attr-defined]

    op_pool_common.pool = pool_later  # type: ignore[assignment]
    try:
        yield restore
    finally:
        op_pool_common.pool = pool


def read_stored() -> Iterator[Node]:
    """Cases that lie in the package's folder, as a model with one set of inputs and outputs."""
    import onnx
    from onnx.backend.test.loader import load_model_tests

    for kind in STORED:
        for case in load_model_tests(kind=kind):
            folder = Path(str(case.model_dir))
            graph = onnx.load(folder / "model.onnx").graph
            if _find_node(graph):
                (data,) = folder.glob("test_data_set_*")
                yield _read_graph(kind, case.name, graph, _read_tensors(data, "input"), _read_tensors(data, "output"))


def _read_tensors(folder: Path, what: str) -> list[Any]:
    """The tensors in input_0.pb, input_1.pb and so on, or in output_0.pb and so on."""
    from onnx import TensorProto

    count = len(list(folder.glob(f"{what}_*.pb")))
    return [TensorProto.FromString((folder / f"{what}_{number}.pb").read_bytes()) for number in range(count)]


def _find_node(graph: Any) -> tuple[Any, Sizes] | None:
    """The node of one of our operators and the axes of size 1 put around it; None where a model is anything else."""
    kinds = [node.op_type for node in graph.node]
    if len(kinds) == 1 and kinds[0] in ONNX_OPERATORS:
        return graph.node[0], ()
    if kinds[::2] == ["Unsqueeze", "Squeeze"] and kinds[1] in ONNX_OPERATORS:
        before, after = (tuple(_attributes(node)["axes"]) for node in graph.node[::2])
        return (graph.node[1], before) if before == after else None
    return None


def _read_graph(kind: str, name: str, graph: Any, given: Sequence[Any], expected: Sequence[Any]) -> Node:
    """The node with its arrays; `given` and `expected` belong to the model, which holds its weights itself."""
    found = _find_node(graph)
    assert found is not None
    node, axes = found
    values = {tensor.name: read_array(tensor) for tensor in graph.initializer}
    free = [item.name for item in graph.input if item.name not in values]
    values |= zip(free, map(read_array, given), strict=True)
    values[node.input[0]] = np.expand_dims(values[graph.node[0].input[0]], axes)
    return Node(
        kind=kind,
        name=name,
        operator=node.op_type,
        attributes=_attributes(node),
        inputs=[values[name] if name else None for name in node.input],
        outputs=[
            tensor if isinstance(tensor, Pooled) else np.expand_dims(read_array(tensor), axes) for tensor in expected
        ],
    )


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def read_array(tensor: Any) -> Array:
    """An array of a floating dtype; whole numbers as float32. Raises ValueError where that is not exact."""
    from onnx import numpy_helper

    a = tensor if isinstance(tensor, np.ndarray) else numpy_helper.to_array(tensor)
    if a.dtype.kind == "f" or a.dtype == np.int64:  # int64 is what indices are
        return a
    single = a.astype(np.float32)
    if not np.array_equal(single, a):
        raise ValueError(f"{a.dtype} values that float32 does not hold")
    return single


# --- turning a node into a case ----------------------------------------------------------------------------------


def make_case(node: Node, number: int) -> Case:
    """The case of a node. Raises ValueError, with its name, where a node cannot be said as a problem."""
    try:
        if unknown := node.attributes.keys() - ATTRIBUTES:
            raise ValueError(f"attributes {', '.join(sorted(unknown))}, which are not known here")
        names = ONNX_OPERATORS[node.operator].inputs
        inputs = {name: a for name, a in zip(names, node.inputs, strict=False) if a is not None}
        problem = _make_problem(node, inputs, number)
        outputs = dict(zip(problem.operator.outputs, node.outputs, strict=False))
    except (HarnessError, ValueError) as error:
        raise ValueError(f"{node.name}: {error}") from error
    if "indices" in outputs:
        by_column = node.attributes.get("storage_order", 0) == 1
        outputs["indices"] = place_per_map(Outputs(outputs)["indices"], problem.x, by_column)
    slack = _carry_rounding(problem, DECIMALS[node.name]) if node.name in DECIMALS else 0.0
    return Case(kind=node.kind, name=node.name, problem=problem, inputs=inputs, outputs=Outputs(outputs), slack=slack)


def _make_problem(node: Node, inputs: Mapping[str, Array], number: int) -> Problem:
    operator, x, w = ONNX_OPERATORS[node.operator], inputs["x"], inputs.get("w")
    window, extra = make_onnx_window(node.operator, node.attributes, x.shape[2:], None if w is None else w.shape)
    return Problem(
        operator=operator,
        x=x.shape,
        w=None if w is None else w.shape,
        window=window,
        bias="b" in inputs,
        output_padding=extra,
        dtype=read_word("dtype", str(x.dtype), DTYPES),
        data=_name_regime(inputs.values()),
        seed=number,
    )


def place_per_map(indices: Array, x: Sizes, by_column: bool) -> Array:
    """Convert places in the whole tensor x into places in each feature map, row by row.

    indices: n c *p. x: shape n c *s. by_column: the places count columns first.
    """
    spatial = x[2:]
    maps = np.arange(math.prod(x[:2])).reshape(*x[:2], *(1,) * len(spatial))
    places = indices - maps * math.prod(spatial)
    if not by_column:
        return places
    return np.asarray(np.ravel_multi_index(np.unravel_index(places, spatial, order="F"), spatial))


def _carry_rounding(problem: Problem, decimals: int) -> Array:
    """h + avg_pool(h), with h half a unit of the last decimal: the most that rounded outputs and inputs may be off."""
    half = 0.5 * 10.0**-decimals
    return np.asarray(half + reference.avg_pool(np.full(problem.x, half), problem.window))


def _name_regime(arrays: Iterable[Array]) -> Regime:
    """Name the regime of the arrays: whole numbers, real numbers of both signs, or of one."""
    whole, low, high = True, 0.0, 0.0
    for a in arrays:
        whole &= bool(np.all(a == np.rint(a)))
        low, high = min(low, float(a.min())), max(high, float(a.max()))
    return "integer" if whole else "normal" if low < 0 < high else "uniform"
