"""The cells of bench_peers.py for tools that want a script of their own: run by them, not by hand."""

from __future__ import annotations

import json
import sys

from harness.laws.subject import BackendUnderTest
from harness.plugins.manager import load_plugins
from harness.problems.line import parse_line
from harness.worker.host.timed_problem import open_session
from harness.worker.protocol import Prepare

BACKENDS = ("numpy-direct", "im2col", "torch")
LINES = (
    "conv x=1x4x16x16 w=8x4x3x3 pad=1",
    "conv x=1x8x28x28 w=16x8x3x3 pad=1",
    "conv x=2x16x56x56 w=16x16x3x3 pad=1",
    "conv x=8x32x28x28 w=64x32x3x3 pad=1",
)
CELLS = tuple((backend, line) for backend in BACKENDS for line in LINES)


def make_call(backend: str, line: str):
    """The verified call of a cell."""
    subject = BackendUnderTest(load_plugins().backends[backend], parse_line(line))
    return open_session(subject, Prepare(problem=line, number=0)).members[0].call


def time_with_torch(path: str) -> None:
    """torch.utils.benchmark, defaults: seconds a call by cell, as JSON."""
    from torch.utils.benchmark import Timer

    times = {}
    for backend, line in CELLS:
        timer = Timer("call()", globals={"call": make_call(backend, line)}, num_threads=2)
        times[f"{backend} {line}"] = timer.blocked_autorange().median
    with open(path, "w") as file:
        json.dump(times, file)


def time_with_pyperf() -> None:
    """pyperf: one benchmark for every cell; arguments are pyperf's own."""
    import pyperf

    runner = pyperf.Runner()
    for backend, line in CELLS:
        runner.bench_func(f"{backend} {line}", Late(backend, line))


class Late:
    """A call that is made ready when it is called first, so that a pyperf process readies only its own cell."""

    def __init__(self, backend: str, line: str) -> None:
        self.cell, self.call = (backend, line), None

    def __call__(self) -> None:
        if self.call is None:
            self.call = make_call(*self.cell)
        self.call()


def pytest_generate_tests(metafunc) -> None:
    """One test for every cell, for pytest-benchmark."""
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", CELLS, ids=[f"{backend} {line}" for backend, line in CELLS])


def test_cell(benchmark, cell) -> None:
    """pytest-benchmark, defaults."""
    benchmark(make_call(*cell))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--torch"]:
        time_with_torch(sys.argv[2])
    else:
        time_with_pyperf()
