"""ONNX Runtime and OpenVINO as they are released: right where they are asked plainly, wrong where they are wrong."""

import pytest

import harness
from harness import parse_line
from harness.plugins.manager import load_plugins
from suites.laws import all_laws
from tests.asking import ask

LAWS = {law.name: law for law in all_laws()}
NAMES = ("onnxruntime", "openvino")
PLAIN = (
    "conv x=2x4x8x9 w=4x2x3x2 bias groups=2 stride=2,1 pad=1:0,0:1",
    "conv_weight_grad x=2x3x9x8 w=6x3x3x2 stride=2,1",
    "conv_transpose x=2x4x5 w=4x2x3 stride=2 groups=2 dilation=2 output_padding=1 bias dtype=float16",
    "max_pool x=1x2x5x6x7 kernel=2x3x2 pad=1 ceil",
    "avg_pool x=2x3x8x9 kernel=3x2 stride=2 pad=1 ceil exclude_pad",
)


@pytest.fixture(scope="module", params=NAMES)
def backend(request):
    found = load_plugins().backend(request.param)
    if (reason := found.probe()) is not None:
        assert "conv-harness[" in reason
        pytest.skip(reason)
    return found


@pytest.mark.parametrize("line", PLAIN)
def test_a_library_is_right_where_it_is_asked_plainly(backend, line):
    found = ask(backend, LAWS["agrees-with-reference"], line)
    assert (found.outcome, found.reason) == ("passed", None)


def test_a_maximum_loses_a_nan(backend):
    assert ask(backend, LAWS["nan-wins-its-windows"], "max_pool x=1x1x5 kernel=3 data=integer").outcome == "failed"


def test_threads_are_set_for_what_is_opened_later(backend):
    assert backend.set_threads(1) == 1
    assert ask(backend, LAWS["agrees-with-reference"], PLAIN[0]).outcome == "passed"


def test_a_refusal_is_a_value_error_in_the_words_of_the_library(backend):
    problem = parse_line("max_pool x=1x2x4 kernel=2 data=integer")
    window = harness.Window.of(1, kernel=(9,))
    with pytest.raises(ValueError, match=r"(ONNX Runtime|OpenVINO) refuses: "):
        backend.max_pool(harness.problems.make_arrays(problem)["x"], window)


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("onnxruntime", "conv x=1x2x9 w=3x2x3 dtype=float64", "no float64"),
        ("onnxruntime", "max_pool x=1x2x9 kernel=2 pad=2 dilation=3", "less than the kernel"),
        ("openvino", "avg_pool x=1x2x9 kernel=3 dilation=2", "no dilation"),
    ],
)
def test_what_a_library_does_not_have_is_unsupported(name, line, words):
    assert words in load_plugins().backend(name).supports(parse_line(line))


@pytest.mark.parametrize("name", NAMES)
def test_a_library_is_asked_only_where_it_is_named(name):
    assert name not in load_plugins().listed
