"""Backends in shared libraries: what reaches the functions, and what the harness finds in their answers."""

import gc
import re

import numpy as np
import pytest

from harness import GeometryError, Operator, Window, parse_line
from harness.backend.compiled.backend import CompiledError, load_backend
from harness.backend.compiled.buffers import GUARD, copy_input, make_output
from harness.backend.compiled.structures import CallArrays, CallGeometry, geometry_of
from harness.backend.routing import refusal_reason, run
from harness.problems.data import make_arrays
from harness.problems.reference import compute
from tests.backend.compiled.libraries import EXAMPLES, WHOLE, build, build_copy, needs_compiler

pytestmark = needs_compiler
ONE = Window.of(1)
X, W = np.arange(12, dtype=np.float32).reshape(2, 2, 3), np.eye(2, dtype=np.float32).reshape(2, 2, 1)
NUMBERS = """
#include <stddef.h>
#include <stdio.h>
#include "harness_backend.h"
static const char *say(const harness_problem *p, const harness_arrays *a, void *plan) {
    static char text[400];
    snprintf(text, sizeof text, "%d %d %d %d %d %d %d|%ld %ld %ld %ld|%ld %ld %ld|%ld %ld|%ld %ld|%ld %ld|%ld|%d%d%d%d",
        p->operation, p->dtype, p->layout, p->axes, p->bias, p->ceil_mode, p->count_include_pad,
        (long)p->n, (long)p->c, (long)p->o, (long)p->groups, (long)p->space[0], (long)p->space[1], (long)p->space[2],
        (long)p->kernel[0], (long)p->out[1], (long)p->stride[1], (long)p->dilation[0], (long)p->pad_begin[0],
        (long)p->pad_end[0], (long)p->output_padding[0], a->x != 0, a->w != 0, a->b != 0, a->y != 0);
    return text;
}
static const harness_backend backend = {
    .abi = HARNESS_ABI, .size = sizeof(harness_backend), .description = "{\\"name\\": \\"numbers\\"}", .conv = say,
    .conv_transpose = say, .avg_pool = say,
};
const harness_backend *harness_get_backend(void) { return &backend; }
int sizes[2] = {sizeof(harness_problem), sizeof(harness_arrays)};
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return load_backend(build(tmp_path_factory.mktemp("example"), (EXAMPLES / "mine.c").read_text()))


@pytest.fixture(scope="module")
def numbers(tmp_path_factory):
    return load_backend(build(tmp_path_factory.mktemp("numbers"), NUMBERS))


@pytest.mark.parametrize(
    "line",
    [
        "conv x=2x4x9x8 w=6x2x3x3 pad=1:2,0:1 stride=2,1 dilation=1,2 groups=2 bias data=integer",
        "conv x=2x3x17 w=4x3x5 stride=3 data=integer",
        "conv x=1x2x5x6x4 w=3x2x2x3x1 pad=1 data=integer",
        "conv x=0x2x9 w=3x2x3 data=integer",
        "max_pool x=2x3x9x8 kernel=3x2 stride=2 ceil data=distinct",
        "max_pool x=2x3x4x5x6 kernel=2x2x2 pad=1 data=distinct",
    ],
)
def test_the_example_computes_what_the_reference_does(example, line):
    problem = parse_line(line)
    arrays = make_arrays(problem)
    got = run(example, problem, arrays)
    wanted = compute(problem, arrays)
    outputs = got if isinstance(got, tuple) else (got,)
    for array, name in zip(outputs, problem.operator.outputs, strict=True):
        np.testing.assert_array_equal(array, wanted[name])
    again = example.prepare(problem, arrays)()
    np.testing.assert_array_equal(again[0] if isinstance(again, tuple) else again, outputs[0])


def test_structures_are_as_large_as_in_c(numbers):
    import ctypes

    sizes = (ctypes.c_int * 2).in_dll(ctypes.CDLL(str(numbers.library.file)), "sizes")
    assert list(sizes) == [ctypes.sizeof(CallGeometry), ctypes.sizeof(CallArrays)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "conv x=2x4x9x8 w=6x2x3x1 pad=1:2,0 stride=2,3 dilation=2,1 groups=2 bias dtype=float64",
            "0 0 0 2 1 0 1|2 4 6 2|9 8 1|3 3|3 2|1 2|0|1111",
        ),
        (
            "conv_transpose x=2x4x9 w=4x3x5 stride=2 output_padding=1 pad=1 dtype=float32",
            "4 1 0 1 0 0 1|2 4 3 1|9 1 1|5 1|1 1|1 1|1|1101",
        ),
        (
            "avg_pool x=2x4x9x8 kernel=3x2 stride=2 ceil exclude_pad pad=1",
            "7 1 0 2 0 1 0|2 4 4 1|9 8 1|3 5|2 1|1 1|0|1001",
        ),
    ],
)
def test_the_geometry_reaches_the_function(numbers, line, said):
    problem = parse_line(line)
    with pytest.raises(CompiledError, match=f"{problem.operator}: {re.escape(said)}"):
        run(numbers, problem, make_arrays(problem))
    with pytest.raises(CompiledError, match=re.escape(said)):
        numbers.prepare(problem, make_arrays(problem))()


def test_a_sum_of_dy_has_the_geometry_of_one_tap():
    found = geometry_of(parse_line("conv_bias_grad x=2x4x9x8 w=6x2x3x3 groups=2 dtype=float64 layout=channels-last"))
    assert (found.operation, found.dtype, found.layout, found.axes) == (3, 0, 1, 2)
    assert (found.n, found.c, found.o, found.groups) == (2, 1, 6, 1)
    assert (list(found.space), list(found.out), list(found.kernel)) == ([7, 6, 1], [7, 6, 1], [1, 1, 1])


def test_arrays_of_any_memory_order_are_made_dense(tmp_path):
    backend = load_backend(build_copy(tmp_path))
    turned = np.asfortranarray(X)
    np.testing.assert_array_equal(backend.conv(turned, W, None, ONE), X)
    np.testing.assert_array_equal(backend.conv(X[:, :, ::-1], W, None, ONE), X[:, :, ::-1])
    problem = parse_line("conv x=2x2x3 w=2x2x1")
    call = backend.prepare(problem, {"x": turned, "w": W})
    turned[...] = 7
    np.testing.assert_array_equal(call(), turned)


def test_a_library_gets_the_layout_that_it_takes(tmp_path):
    both = '{"name": "copy", "dtypes": ["float32"], "layouts": ["channels-first", "channels-last"]}'
    backend = load_backend(build_copy(tmp_path, description=both))
    last = np.ascontiguousarray(X.transpose(0, 2, 1)).transpose(0, 2, 1)
    y = backend.conv(last, np.ascontiguousarray(W.transpose(0, 2, 1)).transpose(0, 2, 1), None, ONE)
    np.testing.assert_array_equal(y, X)
    assert y.strides == last.strides
    assert refusal_reason(backend, parse_line("conv x=2x2x3 w=2x2x1 layout=channels-last")) is None


def test_another_layout_than_the_declared_one_is_refused(example):
    problem = parse_line("conv x=2x2x3 w=2x2x1 layout=channels-last")
    assert refusal_reason(example, problem) == "mine-c has no layout channels-last, only channels-first"


def test_elements_that_are_not_written_are_nan(tmp_path):
    backend = load_backend(build_copy(tmp_path, body="memcpy(a->y, a->x, 4 * (length - 1));"))
    y = backend.conv(X, W, None, ONE)
    np.testing.assert_array_equal(y.ravel()[:-1], X.ravel()[:-1])
    assert np.isnan(y.ravel()[-1])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("memcpy(a->y, a->x, 4 * length); ((float *)a->y)[length] = 0;", "wrote beyond the end, up to 4 bytes away"),
        ("memcpy(a->y, a->x, 4 * length); ((char *)a->y)[-9] = 0;", "wrote before the start, up to 9 bytes away"),
        ('return "no memory";', "conv: no memory"),
        ('return "";', "conv: it gives no reason"),
    ],
)
def test_a_function_that_fails_says_how(tmp_path, body, reason):
    backend = load_backend(build_copy(tmp_path, body=body))
    with pytest.raises(CompiledError, match=reason):
        backend.conv(X, W, None, ONE)


def test_a_plan_is_made_once_and_destroyed(tmp_path):
    extra = """
    #include <stdlib.h>
    int made, destroyed;
    static const char *plan(const harness_problem *p, const harness_arrays *a, void **at) {
        made++; *at = malloc(8); *(const void **)*at = a->x; return a->w ? 0 : "no kernel";
    }
    static void destroy(void *plan) { destroyed++; free(plan); }
    """
    body = f'if (*(const void **)plan != a->x) return "another plan";\n{WHOLE}'
    library = build_copy(tmp_path, body=body, extra=extra, members=".prepare = plan, .destroy = destroy")
    backend = load_backend(library)
    import ctypes

    handle = ctypes.CDLL(str(library))
    made, destroyed = (ctypes.c_int.in_dll(handle, name) for name in ("made", "destroyed"))
    call = backend.prepare(parse_line("conv x=2x2x3 w=2x2x1"), {"x": X, "w": W})
    for _ in range(3):
        np.testing.assert_array_equal(call(), X)
    assert (made.value, destroyed.value) == (1, 0)
    del call
    gc.collect()
    assert destroyed.value == 1
    backend.conv(X, W, None, ONE)
    gc.collect()
    assert (made.value, destroyed.value) == (2, 2)


def test_optional_functions_are_asked(tmp_path):
    extra = """
    static const char *probe(void) { return "no device"; }
    static const char *supports(const harness_problem *p) { return p->space[0] > 9 ? "too long" : 0; }
    static int64_t workspace(const harness_problem *p) { return 8 * p->n; }
    static int32_t threads(int32_t wanted) { return wanted < 2 ? wanted : 2; }
    """
    members = ".probe = probe, .supports = supports, .workspace = workspace, .set_threads = threads"
    backend = load_backend(build_copy(tmp_path, extra=extra, members=members))
    assert backend.probe() == "no device"
    assert backend.supports(parse_line("conv x=1x1x9 w=1x1x1")) is None
    assert backend.supports(parse_line("conv x=1x1x10 w=1x1x1")) == "too long"
    assert backend.workspace(parse_line("conv x=3x1x9 w=1x1x1")) == 24
    assert [backend.set_threads(number) for number in (1, 2, 5)] == [1, 2, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("((float *)a->x)[-1] = 0;", "wrote before the start, up to 4 bytes away from it of the input x"),
        ("((float *)a->w)[4] = 0;", "wrote beyond the end, up to 4 bytes away from it of the input w"),
        ("((float *)a->x)[3] = 99;", "it changed its input x"),
    ],
)
def test_a_function_that_writes_into_or_around_its_inputs_is_an_error(tmp_path, body, reason):
    backend = load_backend(build_copy(tmp_path, body=f"{WHOLE}\n{body}"))
    with pytest.raises(CompiledError, match=reason):
        backend.conv(X, W, None, ONE)
    assert X[0, 1, 0] == 3, "the caller's array is copied"


@pytest.mark.parametrize("place", [-1, 12])
def test_what_is_read_beyond_an_input_is_nan(tmp_path, place):
    body = f"{WHOLE}\n((float *)a->y)[0] += 0 * ((const float *)a->x)[{place}];"
    y = load_backend(build_copy(tmp_path, body=body)).conv(X, W, None, ONE)
    assert np.isnan(y.ravel()[0])


def test_the_first_calls_of_a_plan_are_looked_at(tmp_path):
    body = f"""
    static int calls;
    {WHOLE}
    if (++calls == 2)
        ((float *)a->y)[length] = 0;
    """
    backend = load_backend(build_copy(tmp_path, body=body))
    call = backend.prepare(parse_line("conv x=2x2x3 w=2x2x1"), {"x": X, "w": W})
    np.testing.assert_array_equal(call(), X)
    with pytest.raises(CompiledError, match="beyond the end"):
        call()


def test_an_element_that_is_written_in_the_first_call_of_a_plan_alone_is_nan(tmp_path):
    extra = """
    static const char *plan(const harness_problem *p, const harness_arrays *a, void **at) {
        static int calls[9]; static int used; *at = &calls[used++]; return 0;
    }
    static void destroy(void *plan) {}
    """
    body = "memcpy(a->y, a->x, 4 * (length - (++*(int *)plan > 1)));"
    backend = load_backend(build_copy(tmp_path, body=body, extra=extra, members=".prepare = plan, .destroy = destroy"))
    call = backend.prepare(parse_line("conv x=2x2x3 w=2x2x1"), {"x": X, "w": W})
    np.testing.assert_array_equal(call(), X)
    assert np.isnan(call().ravel()[-1])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"b": np.zeros(3, np.float32)}, r"b: got float32 of shape \(3,\), wanted float32 of shape \(2,\)"),
        ({"w": W.astype(np.float16)}, "w: got float16"),
    ],
)
def test_arrays_that_do_not_fit_never_reach_the_library(tmp_path, arrays, reason):
    backend = load_backend(build_copy(tmp_path, body="__builtin_trap();"))
    with pytest.raises(GeometryError, match=reason):
        backend.conv(X, arrays.get("w", W), arrays.get("b"), ONE)


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_inputs_are_aligned_to_their_elements_alone(layout):
    copy = copy_input(X, layout)
    np.testing.assert_array_equal(copy.array, X)
    assert copy.array.ctypes.data % 64 == X.itemsize
    assert np.isnan(copy.before.view(np.float32)).all()
    assert np.isnan(copy.after.view(np.float32)).all()


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
def test_outputs_are_aligned_poisoned_and_guarded(layout):
    buffer = make_output((2, 3, 5), np.dtype(np.float16), layout)
    assert buffer.array.shape == (2, 3, 5)
    assert buffer.array.ctypes.data % 64 == 0
    assert np.isnan(buffer.array).all()
    assert (make_output((2,), np.dtype(np.int64), layout).array == -1).all()
    buffer.array[...] = 1
    assert buffer.describe_damage() is None
    buffer.after[GUARD - 1] = 0
    assert buffer.describe_damage() == f"wrote beyond the end, up to {GUARD} bytes away from it"


def test_the_order_of_operators_is_that_of_the_header():
    from harness.backend.compiled.header import HEADER
    from harness.backend.compiled.structures import OPERATORS

    text = HEADER.read_text()
    listed = re.search(r"enum harness_operator \{(.*?)\}", text, re.DOTALL)[1]
    assert [name.strip().removeprefix("HARNESS_").lower() for name in listed.split(",")] == list(OPERATORS)
    assert re.findall(r"harness_function (\w+);", text) == [one.value for one in OPERATORS]
    assert Operator.conv is OPERATORS[0]
