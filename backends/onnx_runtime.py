"""ONNX Runtime on the CPU, as it is released: a session of one node, with its kernel and bias as constants.

Nothing here goes around a fault of the library: arrays are passed as they come, and no window is checked beforehand, so
that laws see what ONNX Runtime itself answers. docs/findings.md lists what they found. Gradients are derived.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

from backends.planned import PlannedBackend
from harness import Backend, Numerics, Operator, Problem, Window, hookimpl
from harness.problems import Array, Call, Sizes

NOT_INSTALLED = "onnxruntime or onnx is not installed; install the extra: pip install 'conv-harness[onnxruntime]'"
OPSET = 22  # the first with dilations in all pools, and that names bfloat16
KEPT_SESSIONS = 64
SESSION_WORK = 4e6  # operations in the 2 ms that it takes to open a session
LARGEST_CONSTANT = 2**30  # bytes; a model of more than 2 GiB is no protobuf message

POOLS = (Operator.max_pool, Operator.avg_pool)

Named = tuple[tuple[str, Any], ...]


class OnnxRuntime(PlannedBackend):
    """Conv, ConvTranspose, MaxPool and AveragePool of ONNX Runtime's CPU provider."""

    name = "onnxruntime"
    listed: ClassVar[bool] = False
    dtypes = ("float64", "float32", "float16")
    numerics: ClassVar[Numerics] = Numerics(algorithm="gemm")
    rate = 2e9
    plan_work = SESSION_WORK

    def supports(self, problem: Problem) -> str | None:
        """ONNX Runtime has float64 on the CPU in MaxPool alone, and pads pools by less than the undilated kernel."""
        if problem.dtype == "float64" and problem.operator is not Operator.max_pool:
            return f"ONNX Runtime has no float64 in {problem.operator} on the CPU"
        sides = zip(problem.window.padding, problem.kernel, strict=True)
        if problem.operator in POOLS and any(max(padding) >= m for padding, m in sides):
            return "ONNX Runtime pads pools by less than the kernel"
        return None

    def numerics_for(self, problem: Problem) -> Numerics:
        """Pools refuse an input without channels ("Only N can be zero"); layers take it, and what they derive."""
        pools = problem.operator in POOLS and self.supports(problem) is None
        return replace(self.numerics, zero_channels=not pools)

    def workspace(self, problem: Problem) -> int:
        """Blocked, unrolled or widened copies of the arrays, and the constants of the model."""
        columns = prod(problem.kernel) * prod(problem.x[:2]) * prod(problem.y[2:])
        return 4 * (2 * sum(map(prod, problem.shapes.values())) + columns)

    def _plan_conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Call:
        return self._plan_layer("Conv", x, w, b, _attributes(window, kernel=w.shape[2:], group=window.groups))

    def _plan_conv_transpose(self, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Call:
        more = {"output_padding": tuple(output_padding), "group": window.groups}
        return self._plan_layer("ConvTranspose", x, w, b, _attributes(window, kernel=w.shape[2:], **more))

    def _plan_layer(self, node: str, x: Array, w: Array, b: Array | None, attributes: Named) -> Call:
        given = {"x": x, "w": w} if b is None else {"x": x, "w": w, "b": b}
        constants = {name: a for name, a in given.items() if name != "x" and a.nbytes < LARGEST_CONSTANT}
        session = self._open(node, given, constants, attributes)
        feed = {name: a for name, a in given.items() if name not in constants}
        return lambda: _run(session, feed)[0]

    def _plan_max_pool(self, x: Array, window: Window) -> Call:
        attributes = _attributes(window, kernel=window.kernel, ceil_mode=int(window.ceil_mode))
        session, feed, elements = self._open("MaxPool", {"x": x}, {}, attributes), {"x": x}, prod(x.shape[2:])

        def call() -> tuple[Array, Array]:
            y, indices = _run(session, feed)
            return y, indices % elements

        return call

    def _plan_avg_pool(self, x: Array, window: Window) -> Call:
        rules = {"ceil_mode": int(window.ceil_mode), "count_include_pad": int(window.count_include_pad)}
        session = self._open("AveragePool", {"x": x}, {}, _attributes(window, kernel=window.kernel, **rules))
        feed = {"x": x}
        return lambda: _run(session, feed)[0]

    def _open(self, node: str, given: dict[str, Array], constants: dict[str, Array], attributes: Named) -> Any:
        shapes = tuple((name, a.shape) for name, a in given.items())
        contents = tuple((name, a.tobytes()) for name, a in constants.items())
        return _open_session(node, given["x"].dtype, shapes, contents, attributes, self._threads)

    def probe(self) -> str | None:
        """Run one convolution."""
        try:
            import onnx  # noqa: F401
            import onnxruntime
        except ModuleNotFoundError:
            return NOT_INSTALLED
        except (ImportError, OSError) as error:
            return f"onnxruntime cannot be imported: {type(error).__name__}: {error}"
        import numpy as np

        ones = np.ones((1, 1, 3), dtype="float32")
        try:
            got = self.conv(ones, ones, None, Window.of(1)).item()
        except Exception as error:
            return f"onnxruntime {onnxruntime.__version__} cannot run conv: {type(error).__name__}: {error}"
        return None if got == 3.0 else f"onnxruntime {onnxruntime.__version__} gives 1+1+1 = {got}"

    def versions(self) -> dict[str, str]:
        """Versions of ONNX Runtime and of ONNX, which writes the models."""
        import onnx
        import onnxruntime

        return {"onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}


def _attributes(window: Window, kernel: Sizes | None, **more: Any) -> Named:
    """Attributes of a node, in ONNX's names."""
    return (
        ("kernel_shape", kernel),
        ("strides", window.stride),
        ("dilations", window.dilation),
        ("pads", (*(begin for begin, _ in window.padding), *(end for _, end in window.padding))),
        *more.items(),
    )


@lru_cache(maxsize=KEPT_SESSIONS)
def _open_session(
    node: str, dtype: Any, shapes: Named, contents: tuple[tuple[str, bytes], ...], attributes: Named, threads: int
) -> Any:
    """Return a session of a model of one node.

    node: name of the operator in ONNX. dtype: NumPy's, of all arrays but indices. shapes: of all inputs of the
    node, by name. contents: bytes of the inputs that are constants. attributes: of the node. threads: of the
    session; 0 is one a core.
    Raises ValueError with ONNX Runtime's own text where it refuses.
    """
    import onnxruntime
    from onnx import TensorProto, helper

    kind, shape_of, fixed = helper.np_dtype_to_tensor_dtype(dtype), dict(shapes), dict(contents)
    outputs = ["y", "indices"] if node == "MaxPool" else ["y"]
    graph = helper.make_graph(
        [helper.make_node(node, list(shape_of), outputs, **dict(attributes))],
        node,
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes if name not in fixed],
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name == "indices" else kind, None)
            for name in outputs
        ],
        [helper.make_tensor(name, kind, shape_of[name], content, raw=True) for name, content in contents],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what is refused is raised as well
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return _refuse_by_value(
        onnxruntime.InferenceSession, model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _run(session: Any, feed: dict[str, Array]) -> Any:
    return _refuse_by_value(session.run, None, feed)


def _refuse_by_value(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call ONNX Runtime; raise ValueError with its own text where it refuses."""
    try:
        return call(*arguments, **options)
    except _refusals() as error:
        raise ValueError(f"ONNX Runtime refuses: {str(error).splitlines()[0]}") from error


def _refusals() -> tuple[type[Exception], ...]:
    """Exceptions by which ONNX Runtime refuses a model; they have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
    return tuple(getattr(state, name) for name in names)


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register ONNX Runtime."""
    register(OnnxRuntime())
