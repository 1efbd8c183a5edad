"""The best backend of each layer, and a gain that luck cannot make."""

import statistics
from dataclasses import replace

import numpy as np
import pytest

from harness.analysis.portfolio import find_portfolios
from harness.laws.deviation import Deviation
from tests.reports.made import make_run, spread, time_cell, time_network

LAYERS = {"conv x=1x2x9 w=3x2x3": 2, "conv x=1x4x9 w=3x4x3": 1, "max_pool x=1x2x8 kernel=2": 3}
NETWORK = "network made step"
WHOLE = time_network(99, "a", NETWORK, [10_000] * 3, LAYERS)
BUSY = {2: "busy", 3: "busy"}  # all blocks of the second pass


def _run(times):
    """A run in which the layers take these times, by backend in the order of LAYERS; None where there is none."""
    cells = [
        time_cell(number, backend, spread(ns), line, suite="network-layers")
        for backend, column in times.items()
        for number, (line, ns) in enumerate(zip(LAYERS, column, strict=True))
        if ns is not None
    ]
    return make_run(*cells, WHOLE)


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
    assert find_portfolios(make_run(WHOLE)) == ()


def test_one_pass_makes_choices_and_no_gain():
    cells = [time_cell(n, name, [1000 + n], line) for name in "ab" for n, line in enumerate(LAYERS)]
    (found,) = find_portfolios(make_run(*cells, WHOLE))
    assert found.mixed_ns > 0
    assert found.gain is None


def test_times_that_are_not_verified_choose_nothing():
    run = _run({"a": (1000, 2000, 400), "b": (10, 2000, 500)})
    fast = next(one for one in run.results if one.backend == "b")
    nothing = Deviation(kind="bound", worst=0.0, compared=0)
    for changed in (replace(fast, outcome="failed"), replace(fast, deviation=nothing)):
        (found,) = find_portfolios(make_run(*(changed if one is fast else one for one in run.results)))
        assert found.choices[0].best == "a"
        assert set(found.singles_ns) == {"a"}


def test_layers_may_lack_different_passes():
    """Disturbed passes are left out layer by layer; no pass has to be complete in all layers."""
    first, second, third = LAYERS
    cells = [
        time_cell(number, name, [factor * ns] * 3, line, dropped=dropped)
        for number, (line, ns, dropped) in enumerate(
            ((first, 1000, {}), (second, 2000, BUSY), (third, 400, dict.fromkeys(range(4), "busy")))
        )
        for name, factor in (("a", 1.0), ("b", 0.5 if line == first else 2.0))
    ]
    (found,) = find_portfolios(make_run(*cells, WHOLE))
    assert found.untimed == ()
    assert found.unjudged == (third,)
    assert found.mixed_ns == pytest.approx(2 * 500 + 2000 + 3 * 400)
    assert found.gain.value == pytest.approx((2 * 1000 + 2000) / (2 * 500 + 2000))


def test_a_pass_that_made_a_choice_does_not_judge_it():
    """Backend b has one lucky pass on the first layer: it seems to gain, and loses where that pass has no say."""
    first, second = "conv x=1x2x9 w=3x2x3", "conv x=1x4x9 w=3x4x3"
    cells = [
        time_cell(0, "a", [1000] * 3, first), time_cell(1, "b", [10, 2000, 2000], first),
        time_cell(2, "a", [1000] * 3, second), time_cell(3, "b", [5000] * 3, second),
    ]  # fmt: skip
    (found,) = find_portfolios(make_run(*cells, time_network(9, "a", NETWORK, [2000] * 3, {first: 1, second: 1})))
    assert [one.best for one in found.choices] == ["b", "a"]
    assert found.singles_ns["a"] / found.mixed_ns > 1.4
    assert found.gain.value < 0.9


def test_luck_is_no_gain():
    """Four equal backends with 10 % of noise: the best of each layer looks faster, and the interval holds 1."""
    naive, gains = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        cells = [
            time_cell(n, name, list(1000 * np.exp(0.1 * rng.standard_normal(3))), line, dropped=BUSY if drop else {})
            for n, (line, drop) in enumerate(zip(LAYERS, rng.random(3) < 0.3, strict=True))
            for name in "abcd"
        ]
        (found,) = find_portfolios(make_run(*cells, WHOLE))
        naive.append(found.singles_ns[found.best] / found.mixed_ns)
        gains.append(found.gain)
    assert statistics.fmean(naive) > 1.02
    assert statistics.fmean(gain.value for gain in gains) == pytest.approx(1, abs=0.015)
    assert sum(gain.low <= 1 <= gain.high for gain in gains) >= 54
    assert sum(gain.low > 1 for gain in gains) <= 3
