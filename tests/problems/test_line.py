import pytest
from hypothesis import given, settings

from harness import GeometryError, LineError, parse_line
from harness.problems.line import read_text
from tests.problems.strategies import problems


@given(problems())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_canonical_line_parses_back_to_the_same_problem(problem):
    assert parse_line(problem.line) == problem
    assert parse_line(problem.line).line == problem.line


def test_fields_may_come_in_any_order_and_one_value_stands_for_all_axes():
    wanted = parse_line("conv x=1x2x8x9 w=3x2x3x3 stride=2,2 pad=1,1 dtype=float64")
    assert parse_line("conv dtype=float64 pad=1 stride=2 w=3x2x3x3 x=1x2x8x9") == wanted


def test_a_line_says_only_what_is_not_usual():
    assert parse_line("conv x=1x1x5 w=1x1x3 stride=1 pad=0 dtype=float32 seed=0").line == "conv x=1x1x5 w=1x1x3"


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("", 1, "empty, wanted an operator and x="),
        ("convv x=1x1x5", 1, "did you mean 'conv'?"),
        ("conv w=1x1x3", 13, "x is missing"),
        ("conv x=1x1xq w=1x1x3", 12, "got 'q', wanted a whole number"),
        ("conv x=1x1x5 w=1x1x3 strid=2", 22, "did you mean 'stride'?"),
        ("conv x=1x1x5 x=1x1x6", 14, "field 'x' stands twice"),
        ("conv x=1x1x5 w=1x1x3 bias=1", 22, "wanted 'bias' alone"),
        ("conv x=1x1x5 w=1x1x3 pad", 22, "wanted 'pad=' and a value"),
        ("conv x=1x1x5 w=1x1x3 pad=1:2:3", 26, "wanted begin:end"),
    ],
)
def test_a_malformed_line_names_the_position(line, column, words):
    with pytest.raises(LineError) as caught:
        parse_line(line)
    assert f"column {column}:" in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("conv x=1x1x5 w=1x1x9", "effective kernel 9"),
        ("conv x=1x3x5 w=4x3x3 groups=2", "groups 2 does not divide"),
        ("conv x=1x4x5 w=4x4x3 groups=2", "takes 4 channels per group, wanted 2"),
        ("conv x=1x1x5 w=1x1x3 stride=0", "got stride 0"),
        ("conv x=1x1x5 w=1x1x3 stride=1,2", "stride has 2 axes, wanted 1"),
        ("conv x=1x1x0 w=1x1x3", "wanted space of at least 1"),
        ("conv x=5 w=1x1x3", "wanted 3, 4 or 5"),
        ("conv x=1x1x5 w=1x1x3 dtype=float8", "unknown dtype: got 'float8'"),
        ("conv x=1x1x5 w=1x1x3 seed=-1", "wanted 0 or more"),
        ("conv x=1x1x5 w=1x1x3 ceil", "no ceil mode"),
        ("max_pool x=1x1x5 kernel=3 pad=1 exclude_pad", "max_pool has no divisor"),
        ("conv x=1x1x5 w=1x1x3 output_padding=1", "belongs to conv_transpose"),
        ("conv_transpose x=1x1x5 w=1x1x3 output_padding=1", "got output_padding 1, wanted 0 to 0"),
        ("conv_transpose x=1x1x1 w=1x1x3 pad=2", "crops all of the output"),
        ("conv_input_grad x=1x1x5 w=1x1x3 bias", "takes no bias"),
        ("max_pool x=1x1x5 w=1x1x3", "wanted kernel="),
        ("max_pool x=1x1x5 kernel=3 flip", "no bias, flip, groups"),
    ],
)
def test_impossible_geometry_names_the_line(line, words):
    with pytest.raises(GeometryError) as caught:
        parse_line(line)
    assert words in str(caught.value)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("line", "dtype", "data"),
    [
        ("conv x=1x2x9 w=3x2x3", "float32", "normal"),
        ("conv x=1x2x9 w=3x2x3 data=integer dtype=float16", "float16", "integer"),
        ("  conv   x=1x2x9  w=3x2x3  dtype=float64", "float64", "normal"),
        ("network lenet5 step n=2 dtype=float64", "float64", "normal"),
    ],
)
def test_one_field_is_read_as_the_whole_line_is(line, dtype, data):
    assert (read_text(line, "dtype"), read_text(line, "data")) == (dtype, data)
    if not line.startswith("network"):
        assert (parse_line(line).dtype, parse_line(line).data) == (dtype, data)
