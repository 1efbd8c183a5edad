"""Capture of an ONNX graph: its calls are counted; nothing is executed and no weight is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.capture.onnx_window import ONNX_OPERATORS, make_onnx_window
from harness.capture.workload import Tally, Workload, gradient_problems
from harness.errors import HarnessError, UsageError, say_error
from harness.machine.files import read_file
from harness.problems.numerics import Dtype
from harness.problems.problem import Problem

NOT_INSTALLED = "onnx is not installed, wanted it to capture an ONNX file: pip install 'conv-harness[onnx]'"
MOST_MODEL_BYTES = 2**31  # what the format can hold, weights included
DOMAINS = ("", "ai.onnx")
DTYPES: dict[int, Dtype] = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
PRODUCTS = frozenset({"Gemm", "MatMul"})
PRODUCT = "a matrix product (fully connected), which is no convolution here"
FAMILY = re.compile(r"conv|pool", re.IGNORECASE)

Shape = tuple[int | str, ...]  # an unknown size is its name, or ?


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """Known facts of an array: its dtype as an ONNX number, and its shape, None if its rank is unknown."""

    dtype: int
    shape: Shape | None


def capture_onnx(
    file: str, *, inputs: Sequence[str] = (), dims: Sequence[str] = (), backward: bool = False
) -> Workload:  # fmt: skip
    """Count the calls of an ONNX graph.

    file: path of the model. inputs: shapes of its inputs, in order, such as 1x3x224x224. dims: NAME=SIZE for named
        dimensions.
    backward: True to add the gradients of each layer; a layer that reads an input of the graph gets no input gradient.
    Raises UsageError if the file is not an ONNX model, or if a name or size is wrong.
    """
    try:
        return _count_calls(file, inputs, dims, backward=backward)
    except HarnessError:
        raise
    except Exception as error:  # onnx and protobuf raise many types for a model that is damaged or makes no sense
        raise UsageError(f"capture: got '{file}' ({say_error(error):.300}), wanted a valid ONNX model") from None


def _count_calls(file: str, inputs: Sequence[str], dims: Sequence[str], *, backward: bool) -> Workload:
    model = load_model(file)
    graph = model.graph
    stored = {tensor.name for tensor in graph.initializer} | {one.values.name for one in graph.sparse_initializer}
    free = [item for item in graph.input if item.name not in stored]
    fix_inputs(free, inputs)
    fix_dimensions(graph, dims)
    model, note = infer(model)
    tally, values = Tally(), list_values(model.graph)
    sources = {item.name for item in free}
    for number, node in enumerate(model.graph.node, 1):
        name = node.name or f"{node.op_type}-{number}"
        for inner in list_inner(node):
            tally.leave(
                inner.name or f"{name}/{inner.op_type}", inner.op_type,
                f"inside of {node.op_type}, so that how often it runs is not known",
            )  # fmt: skip
        try:
            problem = read_node(node, values)
        except HarnessError as error:
            tally.leave(name, node.op_type, str(error))
            continue
        if problem is None:
            continue
        tally.take(name, problem)
        if backward:
            for gradient in gradient_problems(problem, x=node.input[0] not in sources, b=problem.bias):
                tally.take(name, gradient)
    return tally.finish(f"onnx:{file}", note)


# --- the file and its shapes -------------------------------------------------------------------------------------


def load_model(file: str) -> Any:
    """Read the model without its external weights. Raises UsageError if it is missing or not an ONNX model."""
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships none
    except ImportError:
        raise UsageError(NOT_INSTALLED) from None
    wanted = "an ONNX model"
    try:
        model = onnx.ModelProto.FromString(read_file(file, MOST_MODEL_BYTES))
    except OSError as error:
        raise UsageError(f"capture: got '{file}' ({error.strerror}), wanted {wanted}") from None
    except DecodeError:
        raise UsageError(f"capture: got '{file}', which is not an ONNX file, wanted {wanted}") from None
    if not model.ir_version or not model.HasField("graph"):  # some other files decode too, such as an empty one
        raise UsageError(f"capture: got '{file}', which is not an ONNX file, wanted {wanted}")
    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    return model


def fix_inputs(free: Sequence[Any], shapes: Sequence[str]) -> None:
    """Set the shapes of a graph's inputs. Raises UsageError."""
    names = ", ".join(item.name for item in free)
    if len(shapes) > len(free):
        raise UsageError(f"input: got {len(shapes)} shapes, wanted at most {len(free)}, for {names or 'no input'}")
    for item, text in zip(free, shapes, strict=False):
        if not re.fullmatch(r"\d+(x\d+)*", text.strip()):
            raise UsageError(f"input: got '{text}', wanted a shape such as 1x3x224x224")
        sizes = [int(size) for size in text.strip().split("x")]
        shape = item.type.tensor_type.shape
        known = [dim.dim_value if dim.HasField("dim_value") else None for dim in shape.dim]
        fits = len(known) == len(sizes) and all(k in (None, n) for k, n in zip(known, sizes, strict=True))
        if item.type.tensor_type.HasField("shape") and not fits:
            shape_text = "x".join(str(dim.dim_value or dim.dim_param or "?") for dim in shape.dim)
            raise UsageError(f"input: got {text} for '{item.name}', wanted a shape that fits {shape_text}")
        del shape.dim[:]
        for size in sizes:
            shape.dim.add().dim_value = size


def fix_dimensions(graph: Any, dims: Sequence[str]) -> None:
    """Replace named dimensions by sizes throughout the graph. Raises UsageError."""
    sizes: dict[str, int] = {}
    for text in dims:
        name, equals, size = text.rpartition("=")
        if not equals or not name or not re.fullmatch(r"\d+", size):
            raise UsageError(f"dim: got '{text}', wanted a name and a size, such as N=1")
        sizes[name] = int(size)
    places = [
        dim
        for item in (*graph.input, *graph.output, *graph.value_info)
        for dim in item.type.tensor_type.shape.dim
        if dim.HasField("dim_param")
    ]
    names = sorted({dim.dim_param for dim in places})
    for name in sizes.keys() - names:
        raise UsageError(f"dim: got '{name}', wanted one of {', '.join(names) or 'none, as all sizes are known'}")
    for dim in places:
        if dim.dim_param in sizes:
            dim.dim_value = sizes[dim.dim_param]


def infer(model: Any) -> tuple[Any, str]:
    """Return the model with inferred shapes, and a note for the user, empty if all is well.

    Strict inference comes first; if it fails, lenient inference yields as many shapes as it can.
    """
    from onnx.shape_inference import InferenceError, infer_shapes

    try:
        return infer_shapes(model, strict_mode=True, data_prop=True), ""
    except InferenceError as error:
        said = " ".join(str(error).split())
        return infer_shapes(model, strict_mode=False, data_prop=True), f"not all shapes could be inferred: {said:.200}"


def list_values(graph: Any) -> dict[str, Value]:
    """Return the arrays of a graph by name."""
    values = {}
    for item in (*graph.input, *graph.output, *graph.value_info):
        kind = item.type.tensor_type
        dims = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
        values[item.name] = Value(dtype=kind.elem_type, shape=tuple(dims) if kind.HasField("shape") else None)
    for tensor in graph.initializer:
        values[tensor.name] = Value(dtype=tensor.data_type, shape=tuple(tensor.dims))
    return values


# --- from a node to a problem ------------------------------------------------------------------------------------


def read_node(node: Any, values: Mapping[str, Value]) -> Problem | None:
    """Return the problem of a node; None if it is unrelated. Raises HarnessError with the reason if unsupported."""
    from onnx import helper

    kind = node.op_type
    if kind not in ONNX_OPERATORS or node.domain not in DOMAINS:
        if kind in PRODUCTS:
            raise UsageError(PRODUCT)
        if FAMILY.search(kind):
            raise UsageError("no operator of the harness" + (f" (domain {node.domain})" if node.domain else ""))
        return None
    given = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if given.get("storage_order"):
        raise UsageError("storage_order=1: indices column by column, which the harness has not")
    operator = ONNX_OPERATORS[kind]
    x, dtype = find_shape(node.input[0], values)
    w = None if operator.pools else find_shape(node.input[1], values)[0]
    if len(x) not in (3, 4, 5):
        raise UsageError(f"its input has {len(x)} dimensions, wanted 3, 4 or 5")
    window, extra = make_onnx_window(kind, given, x[2:], w)
    return Problem(
        operator=operator, x=x, w=w, window=window, bias=len(node.input) > 2 and bool(node.input[2]),
        output_padding=extra if operator.spec.transposed else None, dtype=dtype,
    )  # fmt: skip


def find_shape(name: str, values: Mapping[str, Value]) -> tuple[tuple[int, ...], Dtype]:
    """Return shape and dtype of an array. Raises UsageError if they are unknown, or if the dtype is unsupported."""
    value = values.get(name)
    if value is None or value.shape is None:
        raise UsageError(f"the shape of '{name}' is missing, and cannot be inferred")
    sizes = [size for size in value.shape if isinstance(size, int)]
    if len(sizes) < len(value.shape):
        shape_text = "x".join(map(str, value.shape))
        named = [size for size in value.shape if isinstance(size, str) and size != "?"]
        hint = f"--dim {named[0]}=SIZE" if named else "--input SHAPE"
        raise UsageError(f"the shape of '{name}' is dynamic ({shape_text}); give its sizes, such as {hint}")
    if value.dtype not in DTYPES:
        raise UsageError(f"its dtype is number {value.dtype} of ONNX, wanted {', '.join(sorted(DTYPES.values()))}")
    return tuple(sizes), DTYPES[value.dtype]


def list_inner(node: Any) -> Iterator[Any]:
    """Yield the related nodes in all subgraphs of a node, as those of If and Loop, at any depth."""
    for attribute in node.attribute:
        for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
            for inner in graph.node:
                if inner.op_type in PRODUCTS or FAMILY.search(inner.op_type):
                    yield inner
                yield from list_inner(inner)
