from harness.measure import slowdown
from harness.measure.slowdown import make_work


def test_known_work_has_as_many_steps_as_take_its_time(monkeypatch):
    monkeypatch.setattr(slowdown, "measure_step", lambda: 8.0)
    done = []
    monkeypatch.setattr(slowdown, "spin", done.append)
    make_work(80_000)()
    assert done == [10_000]
