"""Errors before and during the run of a torch module, in one line each."""

import builtins

import pytest

from harness.capture.torch_model import Want, build_module, capture_torch, read_shape
from harness.errors import UsageError

MODELS = "tests.capture.models"


@pytest.mark.parametrize(
    ("target", "inputs", "message"),
    [
        ("no.such.module:build", ["1x3"], r"'no\.such\.module' cannot be imported \(ModuleNotFoundError: No module"),
        ("./no_such.py:build", ["1x3"], r"got './no_such\.py', no such file"),
        ("tests.capture.models", ["1x3"], "wanted torch:package.module:name"),
        (":build", ["1x3"], "wanted torch:package.module:name"),
        (f"{MODELS}:missing", ["1x3"], "has no 'missing'"),
        (f"{MODELS}:number", ["1x3"], "is 3, wanted a torch module"),
        (f"{MODELS}:failing", ["1x3"], r"cannot build \(ValueError: no such weights\), wanted"),
        (f"{MODELS}:Bottleneck", ["1x3"], r"cannot build \(TypeError: .*missing 3 required"),
        ("builtins:dict", ["1x3"], "gives dict, wanted a torch.nn.Module"),
        (f"{MODELS}:pool", [], "input: got none, wanted a shape"),
        (f"{MODELS}:pool", ["1x3xH"], "input: got '1x3xH', wanted a shape"),
        (f"{MODELS}:pool", ["1x3:float31"], "dtype: got 'float31'"),
        (f"{MODELS}:Twice", ["1x4x8x8"], r"cannot run on 1x4x8x8 \(RuntimeError: .*channels"),
        (f"{MODELS}:Twice", ["1x3x8x8", "1"], r"cannot run on 1x3x8x8, 1 \(TypeError"),
    ],
)
def test_bad_input_is_said_in_one_line(target, inputs, message):
    with pytest.raises(UsageError, match=message) as caught:
        capture_torch(target, Want(inputs=inputs))
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_as_python_is_said(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("def build(:\n")
    with pytest.raises(UsageError, match=r"cannot be imported \(SyntaxError"):
        build_module(f"{path}:build")


def test_a_model_may_lie_in_a_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("import torch\n\nclass Nets:\n    conv = torch.nn.Conv1d(1, 1, 3, bias=False)\n")
    found = capture_torch(f"{path}:Nets.conv", Want(inputs=["1x1x5"], backward=False))
    assert [(n.name, n.problem.line) for n in found.problems] == [("conv-1", "conv x=1x1x5 w=1x1x3")]


def test_capturing_leaves_the_module_as_it_was():
    module = build_module(f"{MODELS}:resnet50")
    import tests.capture.models as models

    models.kept = module
    before = {name: one.device.type for name, one in module.state_dict().items()}
    capture_torch(f"{MODELS}:kept", Want(inputs=["1x3x64x64"]))
    assert {name: one.device.type for name, one in module.state_dict().items()} == before
    assert all(one.grad is None for one in module.parameters())
    assert not module._forward_hooks


def test_running_statistics_stay_as_they_were_on_real_numbers(tmp_path):
    path = tmp_path / "normed.py"
    path.write_text(
        "import torch\n\nclass Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.norm = torch.nn.BatchNorm1d(2)\n"
        "        self.conv = torch.nn.Conv1d(2, 2, 3)\n"
        "    def forward(self, x):\n        return self.conv(self.norm(x)) if x.max() > -9e9 else x\n\nnet = Net()\n"
    )
    found = capture_torch(f"{path}:net", Want(inputs=["4x2x5"]))
    import sys

    assert found.note == "on real random numbers, as it looks at them"
    assert sys.modules["harness_captured_normed"].net.norm.num_batches_tracked.item() == 0


def test_a_missing_torch_is_said(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "torch":
            raise ImportError("No module named 'torch'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"torch is not installed, .*pip install 'conv-harness\[torch\]'"):
        capture_torch(f"{MODELS}:pool", Want(inputs=["1x3x8x8"]))


def test_shapes_name_their_dtype_or_take_the_default():
    import torch

    assert read_shape("1x16:int64", "float32") == ((1, 16), torch.int64)
    assert read_shape(" 2x3 ", "float16") == ((2, 3), torch.float16)
