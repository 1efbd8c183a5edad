"""Large arrays, with limits of a few thousand elements: right backends pass, and overflowing ones fail."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness import Numerics, Operator, parse_line
from harness.backend.routing import UnsupportedError
from harness.laws.sampling import beyond, held, maxima
from harness.laws.sampling.beyond import (
    Bounds,
    call_on_large_arrays,
    check_exact,
    draw_large_arrays,
    find_offsets,
    is_beyond_32_bits,
    judge_large_outputs,
)
from harness.laws.sampling.contraction import contract_problem
from harness.laws.sampling.samples import recompute
from harness.laws.subject import BackendUnderTest, NotExactError
from harness.problems import reference
from tests.faulty.right import Right
from tests.laws.sampling.addresses import READS, WRITES, Overflowing, size_of

LIMIT = 2**12
SMALL = Bounds(LIMIT, 4 * LIMIT)
BLOCK = 700  # so that every array is read in many pieces

# Every operator, with each of its arrays beyond 2^12 elements in turn.
LARGE = [
    ("conv x=3x8x13x17 w=1x8x1x1 stride=2", "x"),
    ("conv x=1x16x1x2 w=300x16x1x1 bias", "w"),
    ("conv x=5x1x13x17 w=8x1x2x1", "y"),
    ("conv_transpose x=3x8x13x17 w=8x1x2x1", "x"),
    ("conv_transpose x=1x16x1x2 w=16x300x1x1 bias", "w"),
    ("conv_transpose x=5x1x9x7 w=1x8x2x2 stride=2", "y"),
    ("conv_input_grad x=5x1x13x17 w=8x1x2x1", "dy"),
    ("conv_input_grad x=1x300x1x2 w=16x300x1x1", "w"),
    ("conv_input_grad x=3x8x13x17 w=1x8x2x1", "dx"),
    ("conv_weight_grad x=2x1x1x9 w=300x1x1x2", "dy"),
    ("conv_weight_grad x=2x300x1x8 w=1x300x1x2", "x"),
    ("conv_weight_grad x=2x65x1x3 w=67x65x1x1", "dw"),
    ("conv_bias_grad x=3x1x11 w=150x1x1", "dy"),
    ("max_pool x=1x1x65x67 kernel=4x4 stride=4", "x"),
    ("max_pool x=3x7x15x16 kernel=2x1 stride=1", "y"),
    ("max_pool x=3x7x15x16 kernel=2x1 stride=1", "indices"),
    ("max_pool_grad x=1x1x65x67 kernel=2x2 stride=2", "dx"),
    ("max_pool_grad x=3x7x15x16 kernel=2x1 stride=1", "dy"),
    ("max_pool_grad x=3x7x15x16 kernel=2x1 stride=1", "indices"),
    ("avg_pool x=3x7x15x16 kernel=2x4 stride=2", "x"),
    ("avg_pool x=2x270x2x2 kernel=2x2 stride=1 pad=1", "y"),
    ("avg_pool_grad x=2x270x2x2 kernel=2x2 stride=1 pad=1", "dy"),
    ("avg_pool_grad x=3x7x15x16 kernel=2x4 stride=2", "dx"),
]  # fmt: skip
# Windows of every kind, on right backends.
WINDOWS = [
    "conv x=3x8x13x17 w=12x4x3x2 bias stride=2,1 pad=1:2,1 dilation=1,2 groups=2",
    "conv x=3x8x13x17 w=8x1x1x1 groups=8",
    "conv x=3x8x21x17 w=2x8x2x2 layout=channels-last",
    "conv x=3x8x130 w=12x4x3 stride=2 groups=2",
    "conv x=2x3x7x9x11 w=4x3x2x2x2 pad=1",
    "conv_transpose x=3x8x13x7 w=8x3x3x2 bias stride=2,3 pad=1:2,1 groups=2",
    "conv_transpose x=3x8x13x7 w=8x3x1x2 stride=3 layout=channels-last",
    "conv_input_grad x=3x8x13x17 w=12x4x3x2 stride=2,1 pad=1:2,1 dilation=1,2 groups=2",
    "conv_input_grad x=3x9x13x17 w=6x9x1x1 stride=3",
    "conv_weight_grad x=3x8x13x17 w=12x4x3x2 stride=2,1 pad=1:2,1 dilation=1,2 groups=2",
    "conv_weight_grad x=2x7x21x17 w=3x7x2x3 stride=2 pad=2 layout=channels-last",
    "conv_bias_grad x=3x4x13x7 w=70x4x1x1 layout=channels-last",
    "max_pool x=3x4x13x17 kernel=3x4 stride=2,3 pad=1",
    "max_pool x=3x4x13x17 kernel=2x3 stride=1 pad=1 ceil dilation=2 layout=channels-last",
    "max_pool_grad x=3x4x13x17 kernel=3x4 stride=2,3 pad=1",
    "max_pool_grad x=3x4x13x17x9 kernel=2x2x3 stride=2 layout=channels-last",
    "avg_pool x=3x4x13x17 kernel=2x4 stride=2,3 pad=1",
    "avg_pool_grad x=3x4x13x17 kernel=2x4 stride=2,3 pad=1",
    "avg_pool_grad x=3x4x13x17x9 kernel=2x2x1 stride=2 layout=channels-last",
]


@pytest.fixture(autouse=True)
def _short_tiles(monkeypatch):
    monkeypatch.setattr("harness.problems.tile.PERIOD", 65_521)  # the largest prime below 2^16: drawn in no time


def _read(line, data="data=integer"):
    return parse_line(f"{line} {data}")


def _hold(backend, problem):
    found = draw_large_arrays(BackendUnderTest(backend, problem), problem)
    found.block = BLOCK
    return found


def _judge(backend, problem, bounds=SMALL):
    arrays = _hold(backend, problem)
    call_on_large_arrays(arrays)
    return judge_large_outputs(arrays, bounds)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("line", [*WINDOWS, *dict.fromkeys(line for line, _ in LARGE)])
def test_right_answers_pass(line, dtype):
    problem = _read(line, f"data=integer dtype={dtype}")
    found = _judge(Right(), problem)
    assert found.passed, found.describe()
    assert found.compared > math.prod(problem.output)


@pytest.mark.parametrize(("line", "array"), LARGE)
def test_addresses_that_overflow_are_found(line, array):
    problem = _read(line, "data=integer dtype=float16")
    assert size_of(problem, array) > LIMIT
    for spoil in WRITES if array in problem.operator.outputs else READS:
        found = _judge(Overflowing(problem.operator, array, spoil, LIMIT), problem)
        assert not found.passed, spoil.__name__


@pytest.mark.parametrize(("line", "array"), LARGE)
def test_the_pass_over_every_element_finds_them_without_samples(line, array, monkeypatch):
    monkeypatch.setattr(beyond, "check_places", lambda held, bounds: held and _nothing())
    monkeypatch.setattr(beyond, "find_wrong", lambda held: None)
    problem = _read(line, "data=integer dtype=float16")
    for spoil in WRITES if array in problem.operator.outputs else READS:
        found = _judge(Overflowing(problem.operator, array, spoil, LIMIT), problem)
        assert not found.passed, spoil.__name__
        assert problem.operator is Operator.max_pool or "random contraction" in found.describe()


def _nothing():
    return beyond.compare_arrays(np.zeros(1), np.zeros(1), what="nothing")


@pytest.mark.parametrize("line", ["conv x=3x8x13x17 w=8x8x1x1 layout=channels-last", "avg_pool x=3x7x14x16 kernel=2x2"])
def test_offsets_count_in_the_order_of_memory(line):
    problem = _read(line)
    for layout in ("channels-first", "channels-last"):
        found = _judge(Overflowing(problem.operator, problem.operator.outputs[0], WRITES[1], 1000, layout), problem)
        assert not found.passed


@pytest.mark.parametrize("line", WINDOWS)
def test_samples_are_the_reference_at_every_output(line):
    problem = _read(line)
    arrays = _hold(Right(), problem)
    wanted = reference.compute(problem, arrays.arrays)
    name = problem.operator.outputs[0]
    places = [tuple(map(int, at)) for at in np.ndindex(wanted[name].shape)][::7]
    for at in places:
        assert recompute(arrays, at) == tuple(wanted[output][at] for output in problem.operator.outputs)


def _first_round(arrays):
    return next(iter(contract_problem(arrays)))


@pytest.mark.parametrize("line", [line for line in WINDOWS if not line.startswith("max_pool ")])
def test_one_wrong_element_anywhere_breaks_the_contraction(line):
    problem = _read(line)
    arrays = _hold(Right(), problem)
    call_on_large_arrays(arrays)
    output = arrays.arrays[problem.operator.outputs[0]]
    for offset in np.random.default_rng(3).integers(output.size, size=5):
        at = arrays.locate(problem.operator.outputs[0], int(offset)) if output.ndim > 1 else (int(offset),)
        output[at] += 1
        got, wanted = _first_round(arrays)
        assert got != wanted
        output[at] = math.nan
        got, wanted = _first_round(arrays)
        assert got is None or got != wanted
        output[at] = recompute(arrays, at)[0]
    got, wanted = _first_round(arrays)
    assert got == wanted


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_slices_that_change_places_break_the_contraction(axis):
    problem = _read("conv x=3x4x13x17 w=6x4x3x3")
    arrays = _hold(Right(), problem)
    call_on_large_arrays(arrays)
    y = np.swapaxes(arrays.arrays["y"], 0, axis)
    y[[0, 1]] = y[[1, 0]]
    assert any(got != wanted for got, wanted in contract_problem(arrays))


def test_a_fault_that_samples_miss_is_named_by_its_index(monkeypatch):
    class Flaw(Right):
        def conv(self, x, w, b, window):
            y = super().conv(x, w, b, window)
            y[1, 2, 1:] += 1  # not at an end, nor at a limit
            return y

    monkeypatch.setattr(beyond, "check_places", lambda held, bounds: _nothing())
    found = _judge(Flaw(), _read("conv x=3x8x13x17 w=5x8x1x1"))
    assert found.what == "y"
    assert found.index[:2] == (1, 2)
    assert "random contraction of y" in found.note


def test_an_input_that_the_call_changes_is_found(monkeypatch):
    class Writes(Right):
        def conv(self, x, w, b, window):
            y = super().conv(x, w, b, window)
            x[0, 0, 0, 0] += 1
            return y

    problem = _read("conv x=3x8x13x17 w=5x8x1x1")
    assert not _judge(Writes(), problem).passed
    monkeypatch.setattr(beyond, "check_places", lambda held, bounds: _nothing())
    monkeypatch.setattr(beyond, "check_contraction", lambda held: [_nothing()])
    found = _judge(Writes(), problem)
    assert (found.passed, found.what, found.index) == (False, "x after the call", (0, 0, 0, 0))


def test_a_wrong_shape_or_dtype_is_an_error():
    class Short(Right):
        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window)[:2]

    with pytest.raises(ValueError, match=r"gave y of shape \(2, 5, 13, 17\), wanted \(3, 5, 13, 17\)"):
        _judge(Short(), _read("conv x=3x8x13x17 w=5x8x1x1"))

    class Wide(Right):
        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window).astype(np.float64)

    with pytest.raises(ValueError, match="gave y as float64, wanted float32"):
        _judge(Wide(), _read("conv x=3x8x13x17 w=5x8x1x1"))


def test_arrays_that_cannot_be_filled_are_not_supported(monkeypatch):
    class Frozen(np.ndarray):
        def __setitem__(self, key, value):
            raise TypeError("immutable")

    monkeypatch.setattr(held, "make_blank", lambda like, size: np.zeros(size, like.dtype).view(Frozen))
    with pytest.raises(UnsupportedError, match="Frozen cannot be filled in place"):
        _hold(Right(), _read("conv x=3x8x13x17 w=5x8x1x1"))


# --- the parts -----------------------------------------------------------------------------------------------------


def test_limits_are_elements_and_bytes():
    assert is_beyond_32_bits(parse_line("conv x=1x8x16777217x16 w=1x8x1x1 dtype=float16"))  # 2^31 + 128 elements
    assert is_beyond_32_bits(parse_line("conv x=1x8x8388609x16 w=1x8x1x1 dtype=float32"))  # 2^32 + 512 bytes
    assert is_beyond_32_bits(parse_line("max_pool x=1x1x536870914 kernel=2 dtype=float16"))  # of indices
    assert not is_beyond_32_bits(parse_line("conv x=1x8x16777216x16 w=1x8x1x1 dtype=float16"))
    assert not is_beyond_32_bits(parse_line("max_pool x=1x1x536870912 kernel=2 dtype=float16"))


def test_samples_lie_around_every_limit_of_every_array():
    problem = _read("conv x=5x8x31x33 w=1x8x1x1", "data=integer dtype=float16")
    offsets = find_offsets(problem, "x", Bounds(2**12, 2**13))
    size = size_of(problem, "x")
    for limit in (2**11, 2**12, 2**13, 3 * 2**12):  # half of the elements, elements and bytes, multiples
        assert {limit - 1, limit, limit + 1} <= set(offsets)
    assert {0, size - 1} <= set(offsets)
    assert max(offsets) < size


def test_boxes_cover_every_element_once():
    for shape, order in (
        ((3, 5, 7), (0, 1, 2)),
        ((3, 5, 7, 4), (0, 2, 3, 1)),
        ((1, 1000), (0, 1)),
        ((50, 1, 2), (0, 1, 2)),
    ):
        for most in (1, 6, 20, 10**6):
            seen = np.zeros(shape, int)
            for box in held.split(shape, order, most):
                assert seen[box].size <= most
                seen[box] += 1
            assert (seen == 1).all()


def test_float16_is_widened_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    got, wanted = held.widen(every), every.astype(np.float64)
    finite = np.isfinite(wanted)
    assert np.array_equal(got[finite], wanted[finite])
    assert (np.abs(got[~finite]) >= 2**16).all()


@pytest.mark.parametrize("ties", ["first", "last"])
def test_maxima_in_blocks_are_those_of_the_reference(ties):
    for line in WINDOWS:
        if line.startswith("max_pool "):
            problem = _read(line)
            arrays = _hold(Right(), problem)
            y, indices = reference.max_pool(arrays.arrays["x"], problem.window, ties=ties)
            for box, got_y, got_indices in maxima.pool_blocks(arrays, ties):
                assert np.array_equal(got_y, y[box])
                assert np.array_equal(got_indices, indices[box])


def test_what_is_not_exact_is_not_asked():
    check_exact(_read("avg_pool x=1x1x8x8 kernel=2x4"), Numerics(), "one")
    for line in ("avg_pool x=1x1x8x8 kernel=3x2", "avg_pool x=1x1x8x8 kernel=4 pad=1 exclude_pad"):
        with pytest.raises(NotExactError, match="not exact"):
            check_exact(_read(line.replace(" kernel=4 ", " kernel=4x4 ")), Numerics(), "one")
    conv = _read("conv x=1x8x8x8 w=8x8x1x1")
    check_exact(conv, Numerics(algorithm="fft"), "one")
    with pytest.raises(NotExactError, match=r"\(one, fft\)"):
        check_exact(conv.with_(dtype="float16"), Numerics(algorithm="fft", accumulator={}), "one")


def test_a_norm_wise_answer_is_rounded():
    class Near(Right):
        numerics = Numerics(algorithm="fft")

        def conv(self, x, w, b, window):
            return super().conv(x, w, b, window) + np.float32(0.01)

    problem = _read("conv x=3x8x13x17 w=5x8x1x1")
    assert _judge(Near(), problem).passed
    assert not _judge(
        type("Exact", (Near,), {"numerics": replace(Near.numerics, algorithm="direct")})(), problem
    ).passed


def test_an_operator_that_cannot_be_sampled_is_not_judged(monkeypatch):
    monkeypatch.delitem(beyond.RECOMPUTED, Operator.avg_pool)
    problem = parse_line("avg_pool x=2x3x8x8 kernel=2x2 stride=2 data=integer")
    with pytest.raises(NotExactError, match="one output of avg_pool"):
        beyond.draw_large_arrays(BackendUnderTest(Right(), problem), problem)
