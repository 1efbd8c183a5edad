"""PyTorch without what the backend `torch` does for it: right where it is asked plainly, and wrong as torch is."""

import pytest

import harness
from harness import parse_line
from harness.plugins.manager import load_plugins
from suites.laws import all_laws
from tests.asking import ask

LAWS = {law.name: law for law in all_laws()}
PLAIN = (
    "conv x=2x3x8x9 w=4x3x3x2 bias stride=2,1",
    "conv_input_grad x=2x4x9x8 w=6x2x3x2 groups=2 pad=1",
    "conv_weight_grad x=2x3x9x8 w=6x3x3x2 stride=2,1",
    "conv_bias_grad x=2x3x9x8 w=6x3x3x2",
    "conv_transpose x=2x3x5x4 w=3x2x3x2 stride=2 output_padding=1 bias",
    "max_pool x=2x3x8x9 kernel=3x2 stride=2 pad=1",
    "max_pool x=2x3x17 kernel=3 stride=2 pad=1",
    "max_pool_grad x=2x3x8x9 kernel=3x2 stride=2",
    "max_pool_grad x=2x3x17 kernel=3 stride=2 pad=1",
    "max_pool_grad x=1x2x5x6x7 kernel=2x3x2",
    "avg_pool x=2x3x8x9 kernel=3x2 stride=2 pad=1 exclude_pad",
    "avg_pool_grad x=2x3x17 kernel=3 stride=2 pad=1",
    "avg_pool_grad x=1x2x5x6x7 kernel=2x3x2",
)


@pytest.fixture(scope="module")
def backend():
    found = load_plugins().backend("torch-as-released")
    if found.probe() is not None:
        pytest.skip(found.probe())
    return found


@pytest.mark.parametrize("line", PLAIN)
def test_it_is_right_where_it_is_asked_plainly(backend, line):
    found = ask(backend, LAWS["agrees-with-reference"], line)
    assert (found.outcome, found.reason) == ("passed", None)


@pytest.mark.parametrize(
    ("law", "line"),
    [
        ("zero-channels", "conv x=3x3x16x16 w=8x3x3x3 bias data=integer"),
        ("agrees-with-reference", "conv_transpose x=1x2x5x6 w=2x3x12x14 dtype=float16 data=uniform"),
        ("illegal-windows-are-refused", "conv_input_grad x=2x3x9x8 w=6x3x3x2 data=integer"),
    ],
)
def test_the_faults_of_torch_are_seen_that_the_other_backend_goes_around(backend, law, line):
    assert ask(backend, LAWS[law], line).outcome == "failed"
    assert ask(load_plugins().backend("torch"), LAWS[law], line).outcome == "passed"


def test_what_torch_does_not_have_is_unsupported(backend):
    assert "one padding" in backend.supports(parse_line("conv x=1x2x9 w=3x2x3 pad=1:2"))
    assert "half the kernel" in backend.supports(parse_line("max_pool x=1x2x9 kernel=3 pad=2"))
    assert backend.supports(parse_line("max_pool x=1x2x9 kernel=3 pad=2 dilation=2")) is None
    assert "dilation" in backend.supports(parse_line("avg_pool x=1x2x9 kernel=3 dilation=2"))
    assert isinstance(backend, harness.Backend)
