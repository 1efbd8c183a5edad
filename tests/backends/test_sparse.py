"""The sparse matrix of convolution: its entries by hand, its transpose, its limits, and what is planned once."""

import numpy as np
import pytest

from backends.sparse import MOST_ENTRIES, Sparse, count_entries, make_matrix, make_means
from harness import BackendUnderTest, GeometryError, Operator, Window, parse_line
from harness.backend.base import native_operators
from harness.backend.routing import find_route
from harness.problems import reference
from harness.problems.data import make_arrays

LINES = (
    "conv x=2x4x9x8 w=6x2x3x2 groups=2 bias stride=2,1 pad=1:0,2",
    "conv x=1x2x13 w=3x2x4 pad=1:2 dilation=2",
    "conv x=1x2x5x4x3 w=3x2x3x2x2 pad=1,0:1,0 stride=1,2,1",
    "conv_input_grad x=2x4x9x8 w=6x2x3x2 groups=2 pad=1:0,2 stride=2,3",
    "conv_weight_grad x=2x4x9x8 w=6x2x3x2 groups=2 stride=2,1 pad=0:1,1",
    "conv_bias_grad x=2x3x9x8 w=6x3x3x2",
    "conv_transpose x=2x4x5x4 w=4x3x3x2 groups=2 stride=2,3 output_padding=1,2 bias",
    "avg_pool x=2x3x8x7 kernel=2x3 stride=3,2 pad=1 exclude_pad ceil",
    "avg_pool x=2x3x8x9 kernel=3x2 stride=2,3 pad=1,0 ceil",
    "avg_pool_grad x=2x3x8x7 kernel=2x3 stride=3,2 pad=1 exclude_pad ceil",
)


def test_three_taps_over_five_numbers_make_three_rows_of_five():
    matrix = make_matrix(np.array([[[7.0, 8, 9]]]), (5,), Window.of(1))
    assert matrix.toarray().tolist() == [[7, 8, 9, 0, 0], [0, 7, 8, 9, 0], [0, 0, 7, 8, 9]]
    assert (matrix.nnz, matrix.has_canonical_format) == (9, True)


def test_padding_and_stride_and_dilation_cut_rows_and_leave_some_out():
    window = Window.of(1, stride=2, padding=((1, 0),), dilation=2)
    matrix = make_matrix(np.array([[[7.0, 8]]]), (4,), window)
    assert matrix.toarray().tolist() == [[0, 8, 0, 0], [0, 7, 0, 8]]
    assert matrix.nnz == 3  # what falls on padding is no entry


def test_groups_are_blocks_and_channels_stand_side_by_side():
    w = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    matrix = make_matrix(w, (2,), Window.of(1, groups=2))
    assert matrix.toarray().tolist() == [
        [1, 0, 2, 0, 0, 0, 0, 0], [0, 1, 0, 2, 0, 0, 0, 0], [0, 0, 0, 0, 3, 0, 4, 0], [0, 0, 0, 0, 0, 3, 0, 4]
    ]  # fmt: skip


def test_zeros_of_the_kernel_are_entries():
    assert make_matrix(np.zeros((1, 1, 3)), (5,), Window.of(1)).nnz == 9


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({"padding": 1}, [[1 / 3, 1 / 3, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3]]),
        ({"padding": 1, "count_include_pad": False}, [[1 / 2, 1 / 2, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3]]),
        ({"ceil_mode": True}, [[1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 1 / 2, 1 / 2]]),
    ],
)
def test_means_hold_one_over_their_divisors(options, rows):
    window = Window.of(1, stride=2, kernel=(3,), **options)
    assert np.array_equal(make_means((4,), window, np.float64).toarray(), rows)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
@pytest.mark.parametrize("line", LINES)
def test_whole_numbers_are_exact_and_means_close(line, dtype):
    problem = parse_line(f"{line} dtype={dtype} data=integer")
    arrays, name = make_arrays(problem), problem.operator.outputs[0]
    wanted = reference.compute(problem, arrays)[name]
    got = BackendUnderTest(Sparse(), problem).run(problem, arrays)[name].astype(np.float64)
    loss = {"float64": 1e-15, "float32": 1e-6, "float16": 1e-3, "bfloat16": 8e-3}[dtype]
    allowed = 8 * loss if problem.operator in (Operator.avg_pool, Operator.avg_pool_grad) else 0.0
    assert np.abs(got - wanted).max() <= allowed * max(1.0, np.abs(wanted).max())


def test_the_prepared_call_reads_its_inputs_anew_and_plain_calls_the_kernel_too():
    for line in LINES:
        problem = parse_line(f"{line} data=integer")
        backend, arrays = Sparse(), {k: a.copy() for k, a in make_arrays(problem).items()}
        call = backend.prepare(problem, arrays)
        call()
        later = make_arrays(problem.with_(seed=1))
        for name in arrays.keys() - {"w", "b"}:
            arrays[name][...] = later[name]
        assert np.array_equal(call(), backend.prepare(problem, arrays)()), line
        for name in arrays:
            arrays[name][...] = later[name]
        fresh = {name: a.copy() for name, a in later.items()}
        assert np.array_equal(backend.prepare(problem, arrays)(), backend.prepare(problem, fresh)()), line


def test_the_matrix_is_made_while_planning(monkeypatch):
    problem = parse_line("conv x=1x1x5 w=1x1x3")
    call = Sparse().prepare(problem, make_arrays(problem))
    monkeypatch.setattr("backends.sparse.make_pattern", None)  # a call that made a matrix would raise
    assert call().shape == (1, 1, 3)


@pytest.mark.parametrize(
    "line",
    [
        "conv x=2x64x56x56 w=64x64x3x3 pad=1",
        "conv_weight_grad x=64x64x16x16 w=64x64x3x3",
        "avg_pool x=1x1x4096x4096 kernel=3x3",
    ],
)
def test_large_matrices_are_refused_with_their_size(line):
    problem = parse_line(line)
    route = find_route(Sparse(), problem)
    assert route.kind == "unsupported"
    assert f"the matrix would have {count_entries(problem)} entries, wanted at most {MOST_ENTRIES}" in route.reason


@pytest.mark.parametrize("operator", ["conv", "conv_input_grad", "conv_weight_grad", "conv_bias_grad"])
def test_entries_are_counted_before_the_matrix_is_made(operator):
    problem = parse_line(f"{operator} x=2x4x9x8 w=6x2x3x2 groups=2 stride=2,1 dtype=float64")
    matrix, *_ = Sparse().prepare(problem, make_arrays(problem)).args
    made = 6 * matrix.taps.size if operator == "conv_weight_grad" else matrix.nnz
    assert made == count_entries(problem)


@pytest.mark.parametrize(
    ("line", "entries"),
    [("conv_transpose x=2x4x5 w=4x3x3 groups=2 stride=2", 5 * 3 * 4 * 3), ("avg_pool x=2x3x9x8 kernel=3x2", 49 * 6)],
)
def test_entries_of_other_matrices_are_counted_too(line, entries):
    problem = parse_line(line)
    matrix, *_ = Sparse().prepare(problem, make_arrays(problem)).args
    assert matrix.nnz == entries == count_entries(problem)


def test_the_largest_number_of_entries_is_taken():
    assert Sparse().supports(parse_line("conv x=1x1x4194304 w=1x1x1")) is None
    assert Sparse().supports(parse_line("conv x=1x1x4194305 w=1x1x1")) is not None


def test_estimates_follow_the_entries():
    small, twice = (parse_line(f"conv x={n}x2x8x8 w=4x2x3x3") for n in (1, 2))
    assert Sparse().workspace(small) == 8 * 36 * 4 * 18 + 2 * 4 * 4 * 36
    assert Sparse().work(twice) == 2 * Sparse().work(small) == 2 * small.flops
    grad = parse_line("conv_weight_grad x=1x2x8x8 w=4x2x3x3")
    assert Sparse().work(grad) == grad.flops + 36 * 9 * 4


def test_a_nan_under_a_zero_of_the_kernel_stays_in_its_windows():
    x = np.ones((1, 1, 6), dtype=np.float32)
    x[0, 0, 1] = np.nan
    y = Sparse().conv(x, np.zeros((1, 1, 3), dtype=np.float32), None, Window.of(1))
    assert np.isnan(y[0, 0]).tolist() == [True, True, False, False]


def test_complex_kernels_are_not_conjugated():
    x, w = np.array([[[1j, 2.0, 0.0]]]), np.array([[[1.0, 1j]]])
    assert Sparse().conv(x, w, None, Window.of(1)).tolist() == [[[3j, 2.0]]]


def test_maximum_pooling_is_not_linear_and_not_offered():
    assert set(Operator) - set(native_operators(Sparse())) == {Operator.max_pool, Operator.max_pool_grad}


def test_impossible_windows_are_refused():
    x, w = np.ones((1, 1, 4)), np.ones((1, 1, 3))
    with pytest.raises(GeometryError, match="stride 0"):
        Sparse().conv(x, w, None, Window.of(1, stride=0))
    with pytest.raises(GeometryError, match="larger than the padded input"):
        Sparse().conv(x, w, None, Window.of(1, dilation=2))
