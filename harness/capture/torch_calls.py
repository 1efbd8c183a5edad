"""What a torch program calls, seen from two places: operators as they are dispatched, and functions as they are named.

Operators show every convolution and pooling, forwards and backwards, however it was written: as a module, a function
or a method. Two things are lost on the way to them and are seen as functions: adaptive mean pooling to one position,
which torch computes as a plain mean, and pooling along one axis, which torch computes along two.

This module imports torch; it is imported only where a torch model is captured.
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
from harness.problems.operator import Operator
from harness.problems.problem import Problem
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
NOT_A_LAYER = frozenset({"_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d_backward"})  # seen at its function
PRODUCT = "a matrix product (fully connected), which is no convolution here"
BACKWARD = "backward"


class UntakenError(HarnessError):
    """A call that cannot be said as a problem; the text is the reason."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves this class without types
    """Counts every convolution and pooling that runs while it is entered.

    names: qualified names of modules by id. backwards: whether gradients are being computed at the moment.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.tally, self.names, self.backwards = Tally(), names, False
        self.stack: list[tuple[str, bool]] = []  # of modules that are being called: name, and whether it is a layer
        self.numbers: dict[tuple[str, str], int] = {}
        self.forwards: dict[Problem, list[Problem]] = {}  # as torch calls it: as each call was meant
        self.quiet, self.along_one = False, False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count the call, and let it happen."""
        kwargs, name = kwargs or {}, func._schema.name.partition("::")[2]
        related = FAMILY.search(name) or name in PRODUCTS or name == "mean"
        if not related or self.quiet:
            return func(*args, **kwargs)
        if func._can_decompose():  # whole where autograd is switched off altogether, as inference_mode does
            with self:
                return func.decompose(*args, **kwargs)
        result = func(*args, **kwargs)
        try:
            self.record(name, bind(func, args, kwargs), result)
        except HarnessError as error:
            self.leave(name, str(error))
        return result

    def record(self, name: str, given: Values, result: Any) -> None:
        """Count one call of the operator. Raises HarnessError where it is no problem."""
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
        """Count gradients under the name of the first forward call that was alike."""
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
        """The layer's name; else the module's with operator and number."""
        name, layer = self.stack[-1] if self.stack else ("", False)
        if layer and name:
            return name
        number = self.numbers[name, operator] = self.numbers.get((name, operator), 0) + 1
        return f"{name}.{operator}-{number}" if name else f"{operator}-{number}"

    @contextmanager
    def follow_modules(self) -> Iterator[None]:
        """Know at any time which module is being called."""

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
    """Sees adaptive mean pooling and pooling along one axis under their own names, for a recorder."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Tell the recorder what it cannot see, and let the call happen."""
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
        """Count adaptive mean pooling, and its gradient when y gets one."""
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
    """Arguments of an operator by name, with the defaults of its schema."""
    schema = func._schema.arguments
    given = {item.name: item.default_value for item in schema if item.has_default_value()}
    return given | {item.name: value for item, value in zip(schema, args, strict=False)} | dict(kwargs)


def read_convolution(given: Values) -> Problem:
    """The forward problem of a convolution, from its own arguments or from those of its backward."""
    x, w, bias = given.get("input", given.get("self")), given["weight"], given.get("bias")
    axes = w.ndim - 2
    padding = spread(given["padding"], axes)
    turned = bool(given.get("transposed", False))
    return Problem(
        operator=Operator.conv_transpose if turned else Operator.conv,
        x=batched(x, axes),
        w=tuple(w.shape),
        window=Window(
            stride=spread(given["stride"], axes),
            padding=tuple((p, p) for p in padding),
            dilation=spread(given["dilation"], axes),
            groups=given["groups"],
        ),
        bias=bias is not None,
        output_padding=spread(given["output_padding"], axes) if turned else None,
        dtype=read_dtype(x),
        layout=read_layout(x),
    )


def read_pooling(name: str, given: Values, y: Tensor) -> Problem:
    """The forward problem of a pooling, from its own arguments or from those of its backward. Raises UntakenError."""
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
    """Adaptive pooling as pooling. Raises UntakenError where the sizes do not divide."""
    spatial, out = tuple(x.shape[-axes:]), tuple(y.shape[-axes:])
    window = whole_window(spatial, out)
    if window is None:
        sizes = [",".join(map(str, sizes)) for sizes in (spatial, out)]
        raise UntakenError(f"from {sizes[0]} to {sizes[1]} positions, so that its windows are not all of one size")
    return Problem(
        operator=operator, x=batched(x, axes), window=window, dtype=read_dtype(x), layout=read_layout(x)
    )  # fmt: skip


def drop_first_axis(problem: Problem) -> Problem:
    """The same pooling along one axis, where torch has put another in front of it."""
    window = problem.window
    assert window.kernel is not None
    narrow = replace(
        window, stride=window.stride[1:], padding=window.padding[1:], dilation=window.dilation[1:],
        kernel=window.kernel[1:],
    )  # fmt: skip
    return problem.with_(x=(*problem.x[:2], *problem.x[3:]), window=narrow, layout="channels-first")


def is_whole_mean(given: Values) -> bool:
    """Whether a mean is over all positions of maps in two or three dimensions."""
    x, dims = given["self"], given.get("dim")
    return x.ndim in (4, 5) and sorted(d % x.ndim for d in dims or ()) == list(range(2, x.ndim))


def spread(value: Any, axes: int) -> Sizes:
    """One value per axis; nothing stays nothing."""
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(int(size) for size in (sizes * axes if len(sizes) == 1 else sizes))


def batched(x: Tensor, axes: int) -> Sizes:
    """Shape of x, with a batch of one where it has none."""
    shape = tuple(int(size) for size in x.shape)
    return (1, *shape) if len(shape) == axes + 1 else shape


def read_dtype(x: Tensor) -> str:
    """Name of the dtype, as torch has it."""
    return str(x.dtype).removeprefix("torch.")


def read_layout(x: Tensor) -> str:
    """The order in memory; where both would be true, channels come first."""
    formats: dict[int, Any] = {4: torch.channels_last, 5: torch.channels_last_3d}
    last = x.ndim in formats and not x.is_contiguous() and x.is_contiguous(memory_format=formats[x.ndim])
    return "channels-last" if last else "channels-first"
