"""OpenVINO on the CPU, as it is released: a compiled model of one operator, with its kernel and bias as constants.

Nothing here goes around a fault of the library: no window is checked beforehand, so that laws see what OpenVINO itself
answers. docs/findings.md lists what they found. Gradients are derived.
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

NOT_INSTALLED = "openvino is not installed; install the extra: pip install 'conv-harness[openvino]'"
KEPT_MODELS = 64
POOLS = (Operator.max_pool, Operator.avg_pool)
MODEL_WORK = 1e7  # operations in the 20 ms that it takes to compile a model
# The defaults choose cores by what the system says of them, and pin threads to them: in a container that shows a part
# of the machine, nothing may be left. The hint keeps float32 in float32 where the processor has bfloat16.
SETTINGS = {
    "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False, "ENABLE_HYPER_THREADING": True,
    "SCHEDULING_CORE_TYPE": "ANY_CORE",
}  # fmt: skip

Constants = tuple[tuple[Sizes, bytes], ...]


class Openvino(PlannedBackend):
    """Convolution, ConvolutionBackpropData, MaxPool and AvgPool of OpenVINO's CPU plugin."""

    name = "openvino"
    listed: ClassVar[bool] = False
    dtypes = ("float32", "float16")  # float64 is computed in float32
    numerics: ClassVar[Numerics] = Numerics(algorithm="gemm")
    rate = 5e8
    plan_work = MODEL_WORK

    def numerics_for(self, problem: Problem) -> Numerics:
        """Pools refuse a batch without images, and all but `conv` and what is derived from it no channels."""
        pools = problem.operator in POOLS and self.supports(problem) is None
        convolves = problem.operator in (Operator.conv, Operator.conv_weight_grad, Operator.conv_bias_grad)
        return replace(self.numerics, empty_batch=not pools, zero_channels=convolves)

    def supports(self, problem: Problem) -> str | None:
        """OpenVINO has no dilation in AvgPool."""
        if problem.operator is Operator.avg_pool and set(problem.window.dilation) != {1}:
            return "OpenVINO has no dilation in AvgPool"
        return None

    def workspace(self, problem: Problem) -> int:
        """Blocked or widened copies of the arrays, and the constants of the model."""
        return 12 * sum(map(prod, problem.shapes.values()))

    def _plan_conv(self, x: Array, w: Array, b: Array | None, window: Window) -> Call:
        return self._plan("convolution", x, (w,) if b is None else (w, b), window)

    def _plan_conv_transpose(self, x: Array, w: Array, b: Array | None, window: Window, output_padding: Sizes) -> Call:
        return self._plan("convolution_backprop_data", x, (w,) if b is None else (w, b), window, tuple(output_padding))

    def _plan_max_pool(self, x: Array, window: Window) -> Call:
        return self._plan("max_pool", x, (), window)

    def _plan_avg_pool(self, x: Array, window: Window) -> Call:
        if set(window.dilation) != {1}:
            raise ValueError("OpenVINO has no dilation in AvgPool")
        return self._plan("avg_pool", x, (), window)

    def _plan(
        self, name: str, x: Array, constants: tuple[Array, ...], window: Window, output_padding: Sizes = ()
    ) -> Call:
        if any(side < 0 for sides in window.padding for side in sides):
            raise ValueError("padding is below 0, by which OpenVINO crops")
        held = tuple((a.shape, a.tobytes()) for a in constants)
        try:
            model = _compile(name, x.dtype, x.shape, held, window, output_padding, self._threads)
        except RuntimeError as error:
            raise ValueError(f"OpenVINO refuses: {str(error).strip().splitlines()[-1]}") from error
        request = model.create_infer_request()

        def call() -> Any:
            found = request.infer([x], share_inputs=False)
            outputs = tuple(found[number] for number in range(len(found)))
            return outputs if len(outputs) > 1 else outputs[0]

        return call

    def probe(self) -> str | None:
        """Run one convolution."""
        try:
            import openvino
        except ModuleNotFoundError:
            return NOT_INSTALLED
        except (ImportError, OSError) as error:
            return f"openvino cannot be imported: {type(error).__name__}: {error}"
        import numpy as np

        ones = np.ones((1, 1, 3), dtype="float32")
        try:
            got = self.conv(ones, ones, None, Window.of(1)).item()
        except Exception as error:
            return f"openvino {openvino.__version__} cannot run conv: {type(error).__name__}: {error}"
        return None if got == 3.0 else f"openvino {openvino.__version__} gives 1+1+1 = {got}"

    def versions(self) -> dict[str, str]:
        """Version of OpenVINO."""
        import openvino

        return {"openvino": openvino.__version__.partition("-")[0]}


@lru_cache(maxsize=1)
def _find_core() -> Any:
    import openvino

    return openvino.Core()


@lru_cache(maxsize=KEPT_MODELS)
def _compile(
    name: str, dtype: Any, x_shape: Sizes, constants: Constants, window: Window, output_padding: Sizes, threads: int
) -> Any:
    """Return the compiled model of one operator.

    name: of the operator in OpenVINO's operation set. dtype: NumPy's, of all arrays. x_shape: n c *s.
    constants: kernel and bias as shape and bytes. threads: of an inference; 0 leaves them to OpenVINO.
    Raises RuntimeError where OpenVINO refuses.
    """
    import numpy as np
    import openvino
    from openvino import opset15

    held = [np.frombuffer(content, dtype).reshape(shape) for shape, content in constants]
    x = opset15.parameter(list(x_shape), dtype)
    steps = {"strides": list(window.stride), **_pads(window)}
    if name == "max_pool":
        y = opset15.max_pool(
            x, dilations=list(window.dilation), kernel_shape=list(window.kernel or ()), rounding_type=_rounding(window),
            index_element_type="i64", axis=2, **steps,
        )  # fmt: skip
    elif name == "avg_pool":
        y = opset15.avg_pool(
            x, kernel_shape=list(window.kernel or ()), exclude_pad=not window.count_include_pad,
            rounding_type=_rounding(window), **steps,
        )  # fmt: skip
    else:
        w = held[0]
        if window.groups != 1:
            name = f"group_{name}"
            w = w.reshape(window.groups, -1, *w.shape[1:])
        more = {"output_padding": list(output_padding)} if output_padding else {}
        y = getattr(opset15, name)(x, opset15.constant(w), dilations=list(window.dilation), **steps, **more)
        if len(held) > 1:
            y = opset15.add(y, opset15.constant(held[1].reshape(1, -1, *(1,) * window.axes)))
    settings = SETTINGS | ({"INFERENCE_NUM_THREADS": threads} if threads else {})
    return _find_core().compile_model(openvino.Model(y.outputs(), [x], name), "CPU", settings)


def _pads(window: Window) -> dict[str, list[int]]:
    return {
        "pads_begin": [begin for begin, _ in window.padding],
        "pads_end": [end for _, end in window.padding],
    }


def _rounding(window: Window) -> str:
    """Name of the rule for output sizes; `ceil_torch` drops a window that begins in the end padding."""
    return "ceil_torch" if window.ceil_mode else "floor"


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register OpenVINO."""
    register(Openvino())
