"""JAX on the processor: right by the reference, where it is installed; asked only where it is named."""

import subprocess
import sys
from os import environ

import pytest

from backends import jax_cpu
from harness import parse_line
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

SUBNORMAL = (
    "conv x=3x5x7x6 w=4x5x1x1", "conv x=3x5x7x6 w=4x5x3x3 dtype=float64", "conv x=3x5x7x6 w=4x5x3x3 dtype=bfloat16",
    "conv x=3x5x7x6 w=4x5x3x3 dtype=float16", "conv_bias_grad x=2x3x9x8 w=6x3x3x2",
    "conv_weight_grad x=2x3x9x8 w=6x3x3x2 dtype=float16", "max_pool_grad x=2x3x9x8 kernel=2x2",
)  # fmt: skip


def test_it_is_asked_only_where_it_is_named():
    registry = load_plugins()
    assert "jax" in registry.backends and "jax" not in registry.listed


@pytest.mark.parametrize("error", [ImportError("no jaxlib"), RuntimeError("no backend"), AttributeError("lax")])
def test_what_keeps_it_from_running_is_a_reason(monkeypatch, error):
    def fail():
        raise error

    backend = load_plugins().backend("jax")
    monkeypatch.setattr(jax_cpu, "import_jax", fail)
    assert str(error) in backend.probe() and "pip install 'conv-harness[jax]'" in backend.probe()


def _skip_without_jax():
    backend = load_plugins().backend("jax")
    if (why := backend.probe()) is not None:
        pytest.skip(why)
    return backend


@pytest.mark.slow
@pytest.mark.parametrize("line", SUBNORMAL)
def test_flushed_subnormals_are_declared(line):
    backend = _skip_without_jax()
    found = ask(backend, LAWS["subnormals-as-declared"], f"{line} data=subnormal")
    keeps = backend.numerics_for(parse_line(line)).keeps_subnormals
    assert found.outcome == "passed" and (found.deviation.observed == "kept") == keeps, found.deviation.observed


@pytest.mark.slow
def test_its_pool_has_the_threads_that_the_environment_grants():
    """Threads of the pool are made with it; the convolution asks for more than one."""
    _skip_without_jax()
    code = (
        "import os; from backends.jax_cpu import Jax; jax = Jax(); assert jax.probe() is None; "
        "print(sum('XLA' in open(f'/proc/self/task/{t}/comm').read() for t in os.listdir('/proc/self/task')))"
    )
    counts = [
        int(
            subprocess.check_output([sys.executable, "-c", code], text=True, env=environ | {"OMP_NUM_THREADS": threads})
        )
        for threads in ("1", "5")
    ]
    assert counts[1] - counts[0] >= 4, counts


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES)
def test_it_agrees_with_the_reference(line):
    found = ask(_skip_without_jax(), LAWS["agrees-with-reference"], line)
    assert (found.outcome, found.reason) == ("passed", None)
