from harness.timing.caches import TIMES, last_cache_bytes, make_flush


def test_a_flush_writes_more_than_the_last_cache_holds():
    flush = make_flush("cpu")
    memory = flush.__closure__[0].cell_contents
    assert memory.nbytes == TIMES * last_cache_bytes() >= 2 * 2**20
    flush()
    assert (memory == 1).all()
