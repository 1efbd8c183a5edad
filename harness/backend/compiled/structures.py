"""The structures of `harness_backend.h` for ctypes, and the geometry of a call in them."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import lru_cache

from harness.errors import GeometryError
from harness.problems.arrays import Array
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import LAYOUTS, Layout, Problem
from harness.problems.window import Sizes, Window

ABI = 1  # HARNESS_ABI
MOST_AXES = 3  # of which a CallGeometry has numbers
REMEMBERED = 1024  # geometries
OPERATORS = (  # in the order of `enum harness_operator` and of the functions of `harness_backend`
    Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_bias_grad,
    Operator.conv_transpose, Operator.max_pool, Operator.max_pool_grad, Operator.avg_pool, Operator.avg_pool_grad,
)  # fmt: skip
WORDS = ("operation", "dtype", "layout", "axes", "bias", "ceil_mode", "count_include_pad", "reserved")
COUNTS = ("n", "c", "o", "groups")
PER_AXIS = ("space", "kernel", "out", "stride", "dilation", "pad_begin", "pad_end", "output_padding")
ARRAYS = ("x", "w", "b", "dy", "y", "dx", "dw", "db", "indices")
_PerAxis = ctypes.c_int64 * MOST_AXES


class CallGeometry(ctypes.Structure):
    """`harness_problem`: the geometry of a call."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in WORDS),
        *((name, ctypes.c_int64) for name in COUNTS),
        *((name, _PerAxis) for name in PER_AXIS),
    )


class CallArrays(ctypes.Structure):
    """`harness_arrays`: the addresses of the arrays of a call."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ARRAYS)


_Geometry, _Addresses = ctypes.POINTER(CallGeometry), ctypes.POINTER(CallArrays)
_Text, _Pointer = ctypes.c_char_p, ctypes.c_void_p
_Operate = ctypes.CFUNCTYPE(_Text, _Geometry, _Addresses, _Pointer)


class Table(ctypes.Structure):
    """`harness_backend`: what the library offers."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("description", _Text),
        *((operator.value, _Operate) for operator in OPERATORS),
        ("probe", ctypes.CFUNCTYPE(_Text)),
        ("supports", ctypes.CFUNCTYPE(_Text, _Geometry)),
        ("prepare", ctypes.CFUNCTYPE(_Text, _Geometry, _Addresses, ctypes.POINTER(_Pointer))),
        ("destroy", ctypes.CFUNCTYPE(None, _Pointer)),
        ("workspace", ctypes.CFUNCTYPE(ctypes.c_int64, _Geometry)),
        ("set_threads", ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32)),
    )


def geometry_of(problem: Problem) -> CallGeometry:
    """Return the geometry of a problem; a call with its arrays has the same."""
    if problem.operator is Operator.conv_bias_grad:
        return geometry_of_sum(problem.y, problem.dtype, problem.layout)
    return make_geometry(
        problem.operator, problem.x, problem.w, problem.window, problem.output_padding, problem.bias, problem.dtype,
        problem.layout,
    )  # fmt: skip


def check_inputs(geometry: CallGeometry, arrays: Mapping[str, Array]) -> None:
    """Raise GeometryError unless the inputs of a call have the shapes and the dtype of its geometry."""
    wanted = _list_shapes(geometry)
    for name, a in arrays.items():
        dtype = "int64" if name == "indices" else DTYPES[geometry.dtype]
        if a.shape != wanted[name] or a.dtype.name != dtype:
            got, of = f"{a.dtype.name} of shape {a.shape}", f"{dtype} of shape {wanted[name]}"
            raise GeometryError(f"{OPERATORS[geometry.operation]}, {name}: got {got}, wanted {of}")


def _list_shapes(of: CallGeometry) -> dict[str, Sizes]:
    """Return the shapes of all inputs that a call may have."""
    space, kernel, out = (tuple(sizes)[: of.axes] for sizes in (of.space, of.kernel, of.out))
    rows, columns = (of.c, of.o) if OPERATORS[of.operation].spec.transposed else (of.o, of.c)
    dy = (of.n, of.o, *out)
    return {
        "x": (of.n, of.c, *space), "w": (rows, columns // of.groups, *kernel), "b": (of.o,), "dy": dy, "indices": dy,
    }  # fmt: skip


def geometry_of_sum(dy: Sizes, dtype: Dtype, layout: Layout) -> CallGeometry:
    """Return the geometry of conv_bias_grad, which depends on the shape of dy alone: a kernel of one tap.

    dy: its shape. dtype, layout: of dy.
    """
    x, w = (dy[0], 1, *dy[2:]), (dy[1], 1, *(1,) * (len(dy) - 2))
    return make_geometry(Operator.conv_bias_grad, x, w, Window.of(len(x) - 2), None, False, dtype, layout)


@lru_cache(maxsize=REMEMBERED)
def make_geometry(
    operator: Operator,
    x: Sizes,
    w: Sizes | None,
    window: Window,
    output_padding: Sizes | None,
    bias: bool,
    dtype: Dtype,
    layout: Layout,
) -> CallGeometry:
    """Return the geometry of a call.

    operator: called. x: shape of the forward operator's input. w: shape of its kernel, None for pooling.
    window: of the forward operator.
    output_padding: of conv_transpose, else None. bias: whether b is given. dtype, layout: of the arrays.
    """
    kernel = w[2:] if w is not None else window.kernel or ()
    if output_padding is not None:
        assert w is not None
        outputs, out = w[1] * window.groups, window.transposed_shape(x[2:], kernel, output_padding)
    else:
        outputs, out = x[1] if w is None else w[0], window.output_shape(x[2:], kernel)
    found = CallGeometry(
        operation=OPERATORS.index(operator), dtype=DTYPES.index(dtype), layout=LAYOUTS.index(layout), axes=len(kernel),
        bias=bias, ceil_mode=window.ceil_mode, count_include_pad=window.count_include_pad,
        n=x[0], c=x[1], o=outputs, groups=window.groups,
    )  # fmt: skip
    begins, ends = zip(*window.padding, strict=True)
    sizes: dict[str, Sizes] = {
        "space": x[2:], "kernel": kernel, "out": out, "stride": window.stride, "dilation": window.dilation,
        "pad_begin": begins, "pad_end": ends, "output_padding": output_padding or (0,) * len(kernel),
    }  # fmt: skip
    for name, numbers in sizes.items():
        beyond = 0 if "pad" in name else 1
        setattr(found, name, _PerAxis(*numbers, *(beyond,) * (MOST_AXES - len(numbers))))
    return found
