from types import SimpleNamespace

import numpy as np
import pytest

from harness.timing.caches import (
    DEVICE_TIMES,
    TIMES,
    UNKNOWN_CACHE_BYTES,
    last_cache_bytes,
    make_device_flush,
    make_flush,
    read_l2_bytes,
)


def test_a_flush_writes_more_than_the_last_cache_holds():
    flush = make_flush("cpu")
    memory = flush.__closure__[0].cell_contents
    assert memory.nbytes == TIMES * last_cache_bytes() >= 2 * 2**20
    flush()
    assert (memory == 1).all()


def _cupy(l2_bytes, made, waited):
    """CuPy's names for what a flush needs, on NumPy arrays."""

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


@pytest.mark.gpu("torch-cudnn")
def test_what_was_in_the_l2_is_read_from_memory_after_a_flush():
    import torch

    _reads_slower_after_a_flush(torch, lambda n: torch.ones(n, device="cuda"))


@pytest.mark.gpu("cupy")
def test_what_was_in_the_l2_is_read_from_memory_after_a_flush_by_cupy():
    import cupy

    _reads_slower_after_a_flush(cupy, lambda n: cupy.ones(n, dtype="f4"))


def _reads_slower_after_a_flush(library, make):
    """Events around the sum of an array that fills half of the L2."""
    from harness.timing.clocks import CudaClock

    a, flush = make(read_l2_bytes(library) // 8), make_device_flush(library)
    clock = CudaClock(lambda: None, library)
    hot, cold = ([_time_sum(clock, a, before) for _ in range(30)] for before in (lambda: a.sum(), flush))
    assert min(cold) > 1.1 * min(hot)


def _time_sum(clock, a, before):
    before()
    return clock.time(a.sum)[1]
