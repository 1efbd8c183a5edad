"""The best backend of each layer, and a gain that luck cannot make."""

import statistics

import numpy as np
import pytest

from harness.checking.deviation import Deviation
from harness.checking.exhibit import Exhibit
from harness.timing.portfolio import find_portfolios
from tests.reports.made import make_run, spread, time_cell

LAYERS = {"conv x=1x2x9 w=3x2x3": 2, "conv x=1x4x9 w=3x4x3": 1, "max_pool x=1x2x8 kernel=2": 3}
NETWORK = "network made step"


def _whole(parts=LAYERS, backend="a"):
    found = Deviation(kind="bound", worst=0.5, compared=1, exhibit=Exhibit(figures={"parameters": 5.0}, parts=parts))
    return time_cell(99, backend, [10_000] * 3, NETWORK, deviation=found)


def _run(times):
    """A run in which the layers take these times, by backend in the order of LAYERS; None where there is none."""
    cells = [
        time_cell(number, backend, spread(ns), line, suite="network-layers")
        for backend, column in times.items()
        for number, (line, ns) in enumerate(zip(LAYERS, column, strict=True))
        if ns is not None
    ]
    return make_run(*cells, _whole())


def test_layers_count_as_often_as_they_occur_and_the_best_of_each_is_chosen():
    (found,) = find_portfolios(_run({"a": (1000, 2000, 400), "b": (2000, 1000, 300)}))
    assert found.network == NETWORK
    assert [(one.best, one.second, one.count) for one in found.choices] == [("a", "b", 2), ("b", "a", 1), ("b", "a", 3)]
    assert found.singles_ns["a"] == pytest.approx(2 * 1000 + 2000 + 3 * 400, rel=0.01)
    assert found.best == "a"
    assert found.mixed_ns == pytest.approx(2 * 1000 + 1000 + 3 * 300, rel=0.01)
    assert found.gain.value == pytest.approx(5200 / 3900, rel=0.01)
    assert found.gain.low > 1
    assert found.choices[0].margin.value == pytest.approx(2, rel=0.01)
    assert found.choices[0].margin.low > 1


def test_a_backend_without_all_layers_is_no_single_but_may_be_chosen():
    (found,) = find_portfolios(_run({"a": (1000, 2000, 400), "b": (None, 500, None)}))
    assert set(found.singles_ns) == {"a"}
    assert [one.best for one in found.choices] == ["a", "b", "a"]
    assert (found.choices[0].second, found.choices[0].margin) == ("", None)
    assert found.gain.value == pytest.approx(5200 / 3700, rel=0.01)


def test_what_nobody_timed_is_named():
    (found,) = find_portfolios(_run({"a": (1000, None, 400)}))
    assert found.untimed == ("conv x=1x4x9 w=3x4x3",)
    assert len(found.choices) == 2


def test_without_layers_or_a_whole_network_there_is_no_portfolio():
    run = _run({"a": (1000, 2000, 400)})
    assert find_portfolios(make_run(*run.results[:-1])) == ()
    assert find_portfolios(make_run(_whole())) == ()


def test_one_pass_makes_choices_and_no_gain():
    cells = [time_cell(n, name, [1000 + n], line) for name in "ab" for n, line in enumerate(LAYERS)]
    (found,) = find_portfolios(make_run(*cells, _whole()))
    assert found.mixed_ns > 0
    assert found.gain is None


def test_luck_is_no_gain():
    """Four equal backends with 10 % of noise: the best of each layer looks faster, the portfolio does not."""
    naive, gains = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cells = [
            time_cell(n, name, list(1000 * np.exp(0.1 * rng.standard_normal(3))), line)
            for name in "abcd"
            for n, line in enumerate(LAYERS)
        ]
        (found,) = find_portfolios(make_run(*cells, _whole()))
        naive.append(found.singles_ns[found.best] / found.mixed_ns)
        gains.append(found.gain)
    assert statistics.fmean(naive) > 1.02
    assert statistics.fmean(gain.value for gain in gains) == pytest.approx(1, abs=0.015)
    assert sum(gain.low > 1 for gain in gains) <= 6
