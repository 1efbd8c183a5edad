"""JAX on the processor: right by the reference, where it is installed; asked only where it is named."""

import pytest

from harness.plugins.manager import load_plugins
from suites.laws import all_laws
from tests.asking import ask

LAWS = {law.name: law for law in all_laws()}
LINES = (
    "conv x=2x4x8x9 w=6x2x3x2 bias stride=2,1 pad=1 groups=2 dtype=float64",
    "conv_input_grad x=2x4x9x8 w=6x2x3x2 groups=2 pad=1",
    "conv_weight_grad x=2x3x9x8 w=6x3x3x2 stride=2,1 dtype=float16",
    "max_pool x=2x3x8x9 kernel=3x2 stride=2 pad=1 ceil",
    "max_pool_grad x=2x3x17 kernel=3 stride=2 pad=1",
    "avg_pool_grad x=2x3x8x9 kernel=3x2 stride=2 pad=1 exclude_pad",
)


def test_it_is_asked_only_where_it_is_named():
    registry = load_plugins()
    assert "jax" in registry.backends and "jax" not in registry.listed


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_it_agrees_with_the_reference(line):
    backend = load_plugins().backend("jax")
    if (why := backend.probe()) is not None:
        pytest.skip(why)
    found = ask(backend, LAWS["agrees-with-reference"], line)
    assert (found.outcome, found.reason) == ("passed", None)
