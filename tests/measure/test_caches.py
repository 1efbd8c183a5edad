import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from harness.measure.caches import (
    DEVICE_TIMES,
    TIMES,
    UNKNOWN_CACHE_BYTES,
    last_cache_bytes,
    make_device_flush,
    make_flush,
    make_flush_of_all_cores,
    private_cache_bytes,
    read_l2_bytes,
)
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / ".ci"))

from gpucheck.walking import LINES, WIDTH, make_walk, time_walks


def test_a_flush_writes_more_than_the_last_cache_holds():
    flush = make_flush("cpu")
    memory = flush.__closure__[0].cell_contents
    assert memory.nbytes == TIMES * last_cache_bytes() >= 2 * 2**20
    flush()
    assert (memory == 1).all()


def test_a_flush_of_all_cores_visits_each_and_leaves_the_thread_where_it_was(monkeypatch):
    before, visited, put = os.sched_getaffinity(0), [], os.sched_setaffinity
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cores: (visited.append(set(cores)), put(pid, cores)))
    flush = make_flush_of_all_cores(2**21)
    memory = next(cell.cell_contents for cell in flush.__closure__ if getattr(cell.cell_contents, "nbytes", 0) == 2**21)
    flush()
    assert (memory == 1).all()
    assert visited == ([{core} for core in before] if len(before) > 1 else []) + [before]
    assert os.sched_getaffinity(0) == before
    assert 0 < private_cache_bytes() <= last_cache_bytes()


def test_a_core_that_was_taken_away_is_passed_over(monkeypatch):
    def refuse(pid, cores):
        if len(cores) == 1:
            raise OSError

    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    make_flush_of_all_cores(2**21)()


def _cupy(l2_bytes, made, waited):
    """CuPy's names that a flush uses, on NumPy arrays."""

    def empty(size, dtype):
        made.append(np.zeros(size, dtype=dtype))
        return made[-1]

    runtime = SimpleNamespace(deviceSynchronize=lambda: waited.append(int(made[-1].min())))
    device = SimpleNamespace(attributes={"L2CacheSize": l2_bytes})
    cuda = SimpleNamespace(runtime=runtime, Device=lambda: device)
    return SimpleNamespace(__name__="cupy", uint8=np.uint8, empty=empty, cuda=cuda)


def test_on_a_device_all_of_its_l2_is_written_before_the_flush_returns_with_cupy_alone():
    made, waited = [], []
    make_device_flush(_cupy(50_000, made, waited))()
    assert [a.nbytes for a in made] == [DEVICE_TIMES * 50_000]
    assert waited == [1]  # the device was waited for, after everything was written


def test_a_device_that_does_not_tell_its_cache_is_taken_for_a_large_one():
    assert read_l2_bytes(_cupy(0, [], [])) == UNKNOWN_CACHE_BYTES


def test_a_walk_reads_every_line_once_and_then_stands_where_it_began():
    """CuPy's names on NumPy arrays, with its kernel in Python."""
    seen = []

    def launch(blocks, threads, arguments):
        following, end, steps = arguments
        at = 0
        for _ in range(steps):
            seen.append(at // WIDTH)
            at = int(following[at])
        end[0] = at

    names = {name: getattr(np, name) for name in ("zeros", "arange", "empty", "int32")}
    make_walk(SimpleNamespace(__name__="cupy", RawKernel=lambda code, name: launch, **names))()
    assert seen == list(range(LINES))


@pytest.mark.gpu("torch-cudnn")
def test_what_was_in_the_l2_is_read_from_memory_after_a_flush():
    import torch

    _is_read_slower_after_a_flush(torch)


@pytest.mark.gpu("cupy")
def test_what_was_in_the_l2_is_read_from_memory_after_a_flush_by_cupy():
    import cupy

    _is_read_slower_after_a_flush(cupy)


def _is_read_slower_after_a_flush(library):
    hot_ns, cold_ns = time_walks(library)
    assert cold_ns > 1.3 * hot_ns  # memory answers after twice the time of the L2 and more
