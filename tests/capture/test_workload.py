"""The file of a workload, and the functions that both kinds of models share."""

import json
from pathlib import Path

import pytest

import harness
from harness.capture.workload import (
    LeftOut,
    Tally,
    Workload,
    gradient_problems,
    name_problems,
    read_workload,
    settle_divisor,
    whole_window,
    write_workload,
)
from harness.errors import UsageError
from harness.plugins.manager import load_plugins
from harness.problems.line import parse_line
from harness.problems.window import Window

LINE = "conv x=1x2x9 w=4x2x3"
FILE = {"format": 1, "source": "onnx:m.onnx", "problems": [{"name": "a", "line": LINE, "multiplicity": 3}]}


@pytest.fixture
def workload():
    tally = Tally()
    tally.take("a", parse_line(LINE))
    tally.take("b", parse_line("max_pool x=1x4x8 kernel=2 dtype=bfloat16"))
    tally.take("c", parse_line(LINE))
    tally.leave("d", "LpPool", "no operator")
    tally.leave("d", "LpPool", "no operator")
    return tally.finish("onnx:m.onnx")


def test_equal_calls_are_one_problem_under_the_first_name(workload):
    assert [(n.name, n.problem.line, n.multiplicity) for n in workload.problems] == [
        ("a", LINE, 2), ("b", "max_pool x=1x4x8 kernel=2 dtype=bfloat16", 1),
    ]  # fmt: skip
    assert workload.left_out == (LeftOut(name="d", operator="LpPool", reason="no operator", count=2),)
    assert workload.flops == 2 * (2 * 7 * 3 * 2 * 4) + 7 * 2 * 4


def test_a_file_is_read_as_it_was_written(workload, tmp_path):
    write_workload(workload, tmp_path / "mine.json")
    assert read_workload(tmp_path / "mine.json") == workload
    assert set(json.loads((tmp_path / "mine.json").read_text())) == {"format", "source", "problems", "left_out"}


def test_a_file_is_replaced_only_where_it_is_asked_for(workload, tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("precious")
    with pytest.raises(UsageError, match=r"which exists, wanted a new file; name one with --output, or add --replace"):
        write_workload(workload, path)
    assert path.read_text() == "precious"
    write_workload(workload, path, replace=True)
    assert read_workload(path) == workload
    with pytest.raises(UsageError, match="No such file or directory"):
        write_workload(workload, tmp_path / "no" / "mine.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"\(it is empty\), wanted a file that `python -m harness capture` writes"),
        ("import numpy", "malformed"),
        ("[1, 2]", "Expected `object`, got `array`"),
        ("{}", "missing required field `format`"),
        ('{"format": "1"}', "Expected `int`"),
        ('{"format": 1}', "missing required field `source`"),
        (json.dumps(FILE | {"format": 2}), "of format 2, wanted at most 1; upgrade the harness"),
        (json.dumps(FILE | {"problems": []}), "which has no problem in it, wanted one at least"),
        (json.dumps(FILE | {"problems": [FILE["problems"][0] | {"multiplicity": 0}]}), r"int` >= 1"),
        (
            json.dumps(FILE | {"problems": [*FILE["problems"], {"name": "fc", "line": "konv x=1x1x5"}]}),
            r"problem 2 \('fc'\) of .*unknown operator: got 'konv'",
        ),
        (
            json.dumps(FILE | {"problems": [{"name": "big", "line": "conv x=1x2x9 w=4x2x30"}]}),
            r"problem 1 \('big'\) of .*impossible geometry",
        ),
    ],
)
def test_a_file_that_is_none_is_said_in_one_line(tmp_path, content, message):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_workload(path)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_and_files_that_are_not_there_are_said(tmp_path):
    (tmp_path / "mine.json").write_bytes(b'{"format": 1, "source": "\xff\xfe"}')
    with pytest.raises(UsageError, match="wanted a file that"):
        read_workload(tmp_path / "mine.json")
    with pytest.raises(UsageError, match="No such file or directory"):
        read_workload(tmp_path / "none.json")


def test_a_name_that_no_file_can_have_is_said_as_any_other(tmp_path):
    with pytest.raises(UsageError, match="File name too long"):
        name_problems([tmp_path / f"{'a' * 300}.txt"])


def test_paths_stand_for_all_their_problems_beside_lines(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(FILE))
    named = name_problems(["max_pool x=1x4x8 kernel=2", path])
    assert [(n.name, n.multiplicity) for n in named] == [("given/max_pool", 1), ("a", 3)]
    with pytest.raises(harness.UsageError, match="problems: got the path"):
        harness.run(problems=Path("mine.json"))


def test_gradients_are_those_that_are_needed():
    conv = parse_line("conv x=1x2x9 w=4x2x3 bias stride=2")
    assert [p.line for p in gradient_problems(conv, b=True)] == [
        f"{operator} x=1x2x9 w=4x2x3 stride=2" for operator in ("conv_input_grad", "conv_weight_grad", "conv_bias_grad")
    ]
    assert [p.operator.value for p in gradient_problems(conv, x=False)] == ["conv_weight_grad"]
    pool = parse_line("max_pool x=1x2x9 kernel=3")
    assert [p.line for p in gradient_problems(pool)] == ["max_pool_grad x=1x2x9 kernel=3"]
    assert list(gradient_problems(pool, x=False)) == []


@pytest.mark.parametrize("window", ["stride=2 pad=1 output_padding=1", "stride=3 pad=0:1 dilation=2", "groups=2"])
def test_gradients_of_a_transposed_convolution_give_arrays_of_the_right_shapes(window):
    forward = parse_line(f"conv_transpose x=2x4x7 w=4x3x3 bias {window}")
    by_x, by_w, by_b = gradient_problems(forward, b=True)
    assert by_x.output == forward.x
    assert by_w.output == forward.w
    assert by_b.output == forward.shapes["b"]
    assert by_w.y == forward.x
    assert by_b.y == forward.y


def test_windows_of_whole_maps_need_sizes_that_divide():
    assert whole_window((6, 4), (3, 1)) == Window.of(2, stride=(2, 4), kernel=(2, 4))
    assert whole_window((7, 4), (3, 1)) is None
    assert whole_window((7,), (0,)) is None


def test_the_divisor_matters_only_with_padding():
    bare = Window.of(1, kernel=(2,), count_include_pad=False)
    padded = Window.of(1, kernel=(2,), padding=1, count_include_pad=False)
    assert settle_divisor(bare).count_include_pad
    assert settle_divisor(padded) == padded


def test_a_workload_without_problems_costs_nothing():
    assert Workload(source="torch:m:b", problems=()).flops == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_text_file_has_a_problem_in_each_line(tmp_path, end):
    lines = ["# of my model", "conv x=1x2x9 w=4x2x3 ", "", "  max_pool x=1x4x8 kernel=2", "network lenet5 forward n=2"]
    path = tmp_path / "mine.txt"
    path.write_bytes(("\ufeff" + end.join(lines)).encode())
    named = name_problems([path, "conv x=1x1x3 w=1x1x2"], load_plugins().networks)
    assert [one.problem.line for one in named] == [
        "conv x=1x2x9 w=4x2x3", "max_pool x=1x4x8 kernel=2", named[2].problem.line, "conv x=1x1x3 w=1x1x2"
    ]  # fmt: skip
    assert named[2].problem.line.startswith("network lenet5 forward")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"conv x=1x2x9 w=4x2x3\nkonv x=1x1x5\n", "problems: line 2 of .*unknown operator: got 'konv'"),
        (b"# nothing\n", "has no problem in it"),
        (b"conv x=1x2x9 w=4x2x3 \xff\n", "wanted a file that"),
    ],
)
def test_a_text_file_that_cannot_be_read_is_told_with_its_line(tmp_path, content, message):
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        name_problems([tmp_path / "mine.txt"])
