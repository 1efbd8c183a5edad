"""`capture` as its users call it, and `--problems` of the commands that take its file."""

import json

import click
import pytest

from harness.cli.capture import command
from harness.cli.gate import command as gate_command
from harness.cli.options import read_problems
from harness.cli.run import command as run_command
from harness.cli.versus import command as versus_command
from harness.errors import HarnessError, UsageError
from tests.commands import call_harness

OWN = """
import torch

def build():
    return torch.nn.Sequential(
        torch.nn.Conv1d(2, 3, 3, bias=False), torch.nn.Flatten(), torch.nn.Linear(21, 2, bias=False)
    )

relu = torch.nn.ReLU()
"""
ARGUMENTS = ("torch:./own.py:build", "--input", "1x2x9")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    return command.main(args=list(arguments), standalone_mode=False)


def test_a_model_becomes_a_file_and_a_table(folder, capsys):
    assert call(*ARGUMENTS) == 0
    said = capsys.readouterr().out
    assert "0     conv x=1x2x9 w=3x2x3" in said
    assert "2 problems in 2 calls, 5.04e-07 GFLOP; 3 calls left out" in said
    assert "own-build.json: use it with --problems own-build.json" in said
    found = json.loads((folder / "own-build.json").read_text())
    assert found["format"] == 1
    assert found["source"] == "torch:./own.py:build 1x2x9"
    assert found["problems"] == [
        {"name": "0", "line": "conv x=1x2x9 w=3x2x3", "multiplicity": 1},
        {"name": "0", "line": "conv_weight_grad x=1x2x9 w=3x2x3", "multiplicity": 1},
    ]
    assert {item["name"]: item["operator"] for item in found["left_out"]} == {"2": "mm", "backward": "mm"}


def test_a_file_is_written_over_only_where_it_is_asked_for(folder):
    (folder / "own-build.json").write_text("precious")
    with pytest.raises(UsageError, match="which exists, wanted a new file"):
        call(*ARGUMENTS)
    assert (folder / "own-build.json").read_text() == "precious"
    assert call(*ARGUMENTS, "--no-backward", "--replace") == 0
    assert [named.problem.line for named in read_problems((), ["own-build.json"])] == ["conv x=1x2x9 w=3x2x3"]


def test_nothing_to_take_is_exit_code_4_and_no_file(folder, capsys):
    assert call("torch:own.py:relu", "--input", "1x2x9") == 4
    assert "nothing was taken, and no file is written" in capsys.readouterr().out
    assert not list(folder.glob("*.json"))


def test_an_onnx_file_is_captured_under_its_own_name(folder):
    from onnx import TensorProto, helper

    node = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in (("x", ["N", 1, 5]), ("y", None))]
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:]))
    (folder / "small.onnx").write_bytes(model.SerializeToString())
    assert call("onnx:small.onnx") == 4
    assert call("onnx:small.onnx", "--dim", "N=3") == 0
    assert read_problems((), ["small.json"])[0].problem.line == "max_pool x=3x1x5 kernel=2"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.pt"], "model: got 'model.pt', wanted torch:package.module:name"),
        (["torch:"], "model: got 'torch:'"),
        (["keras:a:b"], "model: got 'keras:a:b'"),
        (["torch:own.py:build", "--dim", "N=1"], "--dim: got it with torch:"),
        (["onnx:m.onnx", "--dtype", "float16"], "--dtype: got it with onnx:"),
        (["onnx:m.onnx", "--input-grad"], "--input-grad: got it with onnx:"),
        (["onnx:m.onnx"], "No such file or directory"),
        (["torch:none.py:build"], "no such file"),
    ],
)
def test_bad_arguments_are_said_and_write_nothing(folder, arguments, message):
    with pytest.raises(HarnessError, match=message):
        call(*arguments)
    assert not list(folder.glob("*.json"))


@pytest.mark.parametrize("taker", [run_command, versus_command, gate_command], ids=lambda one: one.name)
def test_every_command_that_takes_lines_takes_files(taker):
    options = {option for one in taker.params if isinstance(one, click.Option) for option in one.opts}
    assert {"--problem", "--problems"} <= options


def test_lines_and_files_stand_beside_each_other_in_a_run(folder):
    entry = {"name": "stem", "line": "conv x=1x2x9 w=3x2x3", "multiplicity": 7}
    (folder / "mine.json").write_text(json.dumps({"format": 1, "source": "by hand", "problems": [entry]}))
    done = call_harness(
        "run", "correctness", "--law", "agrees-with-reference", "--threads", 1, "--backend", "im2col",
        "--problem", "max_pool x=1x2x9 kernel=2", "--problems", "mine.json", "--output", "out", "--format", "csv",
        "--time-limit", "60s", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in (folder / "out" / "report" / "results.csv").read_text().splitlines() if "im2col" in line]
    assert [("stem" in row and "conv x=1x2x9 w=3x2x3" in row, "max_pool x=1x2x9 kernel=2" in row) for row in rows] == [
        (False, True), (True, False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [["run", "speed-short"], ["versus", "im2col", "fft"], ["gate", "--base-env", "x", "--unqualified"]]
)
def test_a_file_that_is_none_is_one_line_and_exit_code_2(folder, arguments):
    done = call_harness(*arguments, "--problems", "own.py", cwd=folder)
    assert done.returncode == 2
    assert done.stderr.startswith("error: problems: line ")
    assert "of 'own.py': problem line, column 1: unknown operator: got '" in done.stderr
    assert len(done.stderr.splitlines()) == 1
