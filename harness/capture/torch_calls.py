"""Capture of the calls of a torch program at two levels: dispatched operators, and named functions.

Operators show every convolution and pooling, forwards and backwards, whether written as a module, a function or a
method. Two cases are no longer visible there and are captured as functions: adaptive average pooling to one position,
which torch computes as a plain mean, and 1-D pooling, which torch computes along two axes.

This module imports torch; it is imported only to capture a torch model.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from harness.capture.workload import Tally, gradient_problems, settle_divisor, whole_window
from harness.errors import HarnessError
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import Layout, Problem
from harness.problems.validation import read_word
from harness.problems.window import Sizes, Window

Tensor = torch.Tensor
Values = Mapping[str, Any]

LAYERS = ("torch.nn.modules.conv", "torch.nn.modules.pooling")
CONVOLUTION = re.compile(r"(mkldnn_|cudnn_|miopen_|_)?convolution(_overrideable)?$")
POOLING = re.compile(r"(max|avg)_pool([123])d(_with_indices)?(_backward)?$")
ADAPTIVE_MAX = re.compile(r"adaptive_max_pool[123]d(_backward)?$")
ADAPTIVE_MEAN = re.compile(r"_?adaptive_avg_pool([123])d$")
FAMILY = re.compile(r"conv|pool")
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "linear"})
NOT_A_LAYER = frozenset({"_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"})  # counted at its function
PRODUCT = "a matrix product (fully connected), which is no convolution here"
BACKWARD = "backward"


class UntakenError(HarnessError):
    """A call that cannot be expressed as a problem; the text is the reason."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves this class without types
    """Dispatch mode that counts every convolution and pooling that runs while it is active.

    names: qualified names of modules by id. backwards: set to True while gradients are computed.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.tally, self.names, self.backwards = Tally(), names, False
        self.stack: list[tuple[str, bool]] = []  # modules being called: name, and True for a layer
        self.numbers: dict[tuple[str, str], int] = {}
        self.forwards: dict[Problem, list[Problem]] = {}  # problem as torch calls it -> problems as written
        self.quiet, self.along_one = False, False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count the call, and execute it."""
        kwargs, name = kwargs or {}, func._schema.name.partition("::")[2]
        related = FAMILY.search(name) or name in PRODUCTS or name == "mean"
        if not related or self.quiet:
            return func(*args, **kwargs)
        if func._can_decompose():  # composite operators arrive undecomposed without autograd, as in inference_mode
            with self:
                return func.decompose(*args, **kwargs)
        result = func(*args, **kwargs)
        try:
            self.record(name, bind(func, args, kwargs), result)
        except HarnessError as error:
            self.leave(name, str(error))
        return result

    def record(self, name: str, given: Values, result: Any) -> None:
        """Count one call of an operator.

        name: operator without its namespace. given: arguments by name. result: return value of the call.
        Raises HarnessError if the call cannot be expressed as a problem.
        """
        if name in PRODUCTS:
            self.leave(name, PRODUCT)
        elif name == "mean":
            if is_whole_mean(given):
                raise UntakenError("a mean over all positions; write it as adaptive_avg_pool to have it taken")
        elif CONVOLUTION.match(name):
            self.take(read_convolution(given))
        elif name == "convolution_backward":
            mask = given["output_mask"]
            forward = read_convolution({**given, "bias": None})
            self.take_gradients(forward, x=mask[0], w=mask[1], b=mask[2])
        elif (ADAPTIVE_MAX.match(name) or POOLING.match(name)) and name.endswith("_backward"):
            self.take_gradients(read_pooling(name, given, given["grad_output"]), w=False)
        elif ADAPTIVE_MAX.match(name) or POOLING.match(name):
            self.take(read_pooling(name, given, result[0] if isinstance(result, tuple) else result))
        elif name not in NOT_A_LAYER:
            raise UntakenError("no operator of the harness")

    def take(self, called: Problem) -> None:
        """Count a forward call, and remember it for its gradients."""
        meant = drop_first_axis(called) if self.along_one else called
        self.tally.take(self.name_call(meant.operator), meant)
        self.forwards.setdefault(called.with_(bias=False), []).append(meant)

    def take_gradients(self, called: Problem, *, x: bool = True, w: bool = True, b: bool = False) -> None:
        """Count gradients, under the name of the first forward call with the same problem.

        called: forward problem as torch called it. x, w, b: True for each gradient that is computed.
        """
        known = self.forwards.get(called, [])
        meant = (known.pop() if len(known) > 1 else known[0]) if known else called
        name = self.tally.taken[meant][0] if known else BACKWARD
        for problem in gradient_problems(meant, x=x, w=w, b=b):
            self.tally.take(name, problem)

    def leave(self, operator: str, reason: str) -> None:
        """Count a call that is no problem, under the name of the module that made it."""
        name = self.stack[-1][0] if self.stack else BACKWARD if self.backwards else ""
        self.tally.leave(name or operator, operator, reason)

    def name_call(self, operator: str) -> str:
        """Return the name of the layer, else that of the module with operator and number."""
        name, layer = self.stack[-1] if self.stack else ("", False)
        if layer and name:
            return name
        number = self.numbers[name, operator] = self.numbers.get((name, operator), 0) + 1
        return f"{name}.{operator}-{number}" if name else f"{operator}-{number}"

    @contextmanager
    def follow_modules(self) -> Iterator[None]:
        """Track the module that is being called, while the block runs."""

        def enter(module: Any, *_: Any) -> None:
            layer = any(base.__module__ in LAYERS for base in type(module).__mro__)
            outer = self.stack[-1][0] if self.stack else ""
            self.stack.append((self.names.get(id(module), outer), layer))

        def leave(*_: Any) -> None:
            self.stack.pop()

        begin = hooks.register_module_forward_pre_hook(enter)
        end = hooks.register_module_forward_hook(leave, always_call=True)
        try:
            yield
        finally:
            begin.remove()
            end.remove()


class Functions(TorchFunctionMode):
    """Function mode that captures adaptive average pooling and 1-D pooling by name, for a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Inform the recorder of calls that it cannot see, and execute the call."""
        kwargs, name, recorder = kwargs or {}, str(getattr(func, "__name__", "")), self.recorder
        adaptive = ADAPTIVE_MEAN.match(name.partition(".")[0])
        recorder.quiet, recorder.along_one = bool(adaptive), "pool1d" in name
        try:
            result = func(*args, **kwargs)
        finally:
            recorder.quiet = recorder.along_one = False
        if adaptive:
            self.take_mean(int(adaptive[1]), (*args, *kwargs.values())[0], result)
        return result

    def take_mean(self, axes: int, x: Tensor, y: Tensor) -> None:
        """Count an adaptive average pooling, and its gradient when y receives one.

        axes: number of spatial axes. x, y: input and output.
        """
        recorder = self.recorder
        try:
            problem = read_adaptive(Operator.avg_pool, axes, x, y)
            recorder.tally.take(recorder.name_call(problem.operator), problem)
            name = recorder.tally.taken[problem][0]
        except HarnessError as error:
            recorder.leave(f"adaptive_avg_pool{axes}d", str(error))
            return
        if y.requires_grad:
            (gradient,) = gradient_problems(problem, w=False)
            y.register_hook(lambda _: recorder.tally.take(name, gradient))  # type: ignore[no-untyped-call]  # as above


# --- from a call to a problem ------------------------------------------------------------------------------------


def bind(func: Any, args: tuple[Any, ...], kwargs: Values) -> dict[str, Any]:
    """Return the arguments of an operator by name, with the defaults of its schema.

    func: the operator overload. args, kwargs: as passed.
    """
    schema = func._schema.arguments
    given = {item.name: item.default_value for item in schema if item.has_default_value()}
    return given | {item.name: value for item, value in zip(schema, args, strict=False)} | dict(kwargs)


def read_convolution(given: Values) -> Problem:
    """Return the forward problem of a convolution, from its own arguments or from those of its backward operator."""
    x, w, bias = given.get("input", given.get("self")), given["weight"], given.get("bias")
    axes = w.ndim - 2
    padding = spread(given["padding"], axes)
    transposed = bool(given.get("transposed", False))
    return Problem(
        operator=Operator.conv_transpose if transposed else Operator.conv,
        x=batched(x, axes),
        w=tuple(w.shape),
        window=Window(
            stride=spread(given["stride"], axes),
            padding=tuple((p, p) for p in padding),
            dilation=spread(given["dilation"], axes),
            groups=given["groups"],
        ),
        bias=bias is not None,
        output_padding=spread(given["output_padding"], axes) if transposed else None,
        dtype=read_dtype(x),
        layout=read_layout(x),
    )


def read_pooling(name: str, given: Values, y: Tensor) -> Problem:
    """Return the forward problem of a pooling, from its own arguments or from those of its backward operator.

    name: operator without its namespace. given: arguments by name. y: output, or its gradient.
    Raises UntakenError if the harness has no such pooling.
    """
    x = given["self"]
    if ADAPTIVE_MAX.match(name):
        return read_adaptive(Operator.max_pool, int(name.partition("pool")[2][0]), x, y)
    found = POOLING.match(name)
    assert found is not None
    axes = int(found[2])
    kernel = spread(given["kernel_size"], axes)
    divisor, ceil = given.get("divisor_override"), given["ceil_mode"]
    window = Window(
        stride=spread(given["stride"], axes) or kernel,
        padding=tuple((p, p) for p in spread(given["padding"], axes)),
        dilation=spread(given.get("dilation", 1), axes),
        kernel=kernel,
        ceil_mode=ceil,
        count_include_pad=given.get("count_include_pad", True) or divisor is not None,
    )
    if divisor is not None and (ceil or divisor != math.prod(kernel)):
        raise UntakenError(f"divisor_override={divisor}, which the harness has not")
    return Problem(
        operator=Operator(f"{found[1]}_pool"), x=batched(x, axes), window=settle_divisor(window), dtype=read_dtype(x),
        layout=read_layout(x),
    )  # fmt: skip


def read_adaptive(operator: Operator, axes: int, x: Tensor, y: Tensor) -> Problem:
    """Convert adaptive pooling into pooling. Raises UntakenError if the sizes are not divisible.

    operator: max_pool or avg_pool. axes: number of spatial axes. x, y: input and output.
    """
    spatial, out = tuple(x.shape[-axes:]), tuple(y.shape[-axes:])
    window = whole_window(spatial, out)
    if window is None:
        sizes = [",".join(map(str, sizes)) for sizes in (spatial, out)]
        raise UntakenError(f"from {sizes[0]} to {sizes[1]} positions, so that its windows are not all of one size")
    return Problem(
        operator=operator, x=batched(x, axes), window=window, dtype=read_dtype(x), layout=read_layout(x)
    )  # fmt: skip


def drop_first_axis(problem: Problem) -> Problem:
    """Return the 1-D pooling of a 2-D one to which torch added an axis in front."""
    window = problem.window
    assert window.kernel is not None
    narrow = replace(
        window, stride=window.stride[1:], padding=window.padding[1:], dilation=window.dilation[1:],
        kernel=window.kernel[1:],
    )  # fmt: skip
    return problem.with_(x=(*problem.x[:2], *problem.x[3:]), window=narrow, layout="channels-first")


def is_whole_mean(given: Values) -> bool:
    """Return True for a mean over all positions of an input with two or three spatial axes."""
    x, dims = given["self"], given.get("dim")
    return x.ndim in (4, 5) and sorted(d % x.ndim for d in dims or ()) == list(range(2, x.ndim))


def spread(value: Any, axes: int) -> Sizes:
    """Expand one value to all axes; an empty list remains empty."""
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))


def batched(x: Tensor, axes: int) -> Sizes:
    """Return the shape of x, with a batch of one if it has no batch axis."""
    shape = tuple(int(size) for size in x.shape)
    return (1, *shape) if len(shape) == axes + 1 else shape


def read_dtype(x: Tensor) -> Dtype:
    """Return the name of the dtype. Raises GeometryError for a dtype that problems do not have."""
    return read_word("dtype", str(x.dtype).removeprefix("torch."), DTYPES)


def read_layout(x: Tensor) -> Layout:
    """Return the memory layout; channels-first if both apply."""
    formats: dict[int, Any] = {4: torch.channels_last, 5: torch.channels_last_3d}
    last = x.ndim in formats and not x.is_contiguous() and x.is_contiguous(memory_format=formats[x.ndim])
    return "channels-last" if last else "channels-first"
