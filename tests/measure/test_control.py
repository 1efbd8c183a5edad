import tracemalloc

from harness.measure.control import ELEMENTS, make_control, measure_control


def test_the_shortest_of_the_runs_counts():
    times = iter([0, 500, 600, 900, 1000, 1400])
    assert measure_control(3, now=lambda: next(times)) == 300


def test_it_takes_time():
    assert measure_control() > 0


def test_it_allocates_nothing():
    run = make_control()
    run()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < 8 * ELEMENTS // 4  # no array, only the interpreter's small change


def test_its_arrays_are_made_once():
    assert make_control() is make_control()
