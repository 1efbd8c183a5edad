import math

import numpy as np
import pytest
from scipy.stats import ttest_ind

from harness.analysis.history.changes import chance_of_height, find_changes
from harness.errors import UsageError


def draw(count=1, points=100, spread=0.01, seed=0, steps=(), rho=0.0, spikes=0.0):
    """Log times, shape (count, points): noise, and steps as (first point, relative size)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, spread, (count, points))
    for i in range(1, points if rho else 0):
        noise[:, i] = rho * noise[:, i - 1] + math.sqrt(1 - rho**2) * noise[:, i]
    noise += (rng.random(noise.shape) < spikes) * np.log1p(rng.uniform(0.05, 0.5, noise.shape))
    for at, size in steps:
        noise[:, at:] += math.log1p(size)
    return noise


def alone(noise, **options):
    """Each series judged as if there were no other."""
    return [find_changes({0: points}, **options)[0] for points in noise]


def only(noise, **options):
    (found,) = alone(noise, **options)
    (change,) = found
    return change


def share_found(noise, *places):
    found = alone(noise)
    return np.mean([any(abs(one.at - at) <= 5 for one in changes) for changes in found for at in places])


@pytest.mark.parametrize(
    ("noise", "most"),
    [
        (draw(250), 0.02),
        (draw(250, spread=0.03), 0.03),
        (draw(250, spikes=0.03), 0.05),
        (draw(250, rho=0.7), 0.05),
        (draw(250, rho=0.7, spread=0.014), 0.05),
        (draw(250, points=12), 0.03),
    ],
    ids=["gauss", "gauss of 3 %", "spikes", "correlated", "innovations of 1 %", "short"],
)
def test_noise_alone_is_hardly_ever_a_change(noise, most):
    assert np.mean([bool(found) for found in alone(noise)]) <= most


@pytest.mark.parametrize("at", [20, 40, 60, 90])
@pytest.mark.parametrize("size", [0.03, -0.03])
def test_a_step_of_three_percent_is_found_in_noise_of_one(at, size):
    assert share_found(draw(80, steps=[(at, size)], seed=1), at) >= 0.9


def test_a_step_is_found_among_spikes_and_two_are_found_apart():
    assert share_found(draw(80, steps=[(60, 0.03)], spikes=0.03), 60) >= 0.9
    assert share_found(draw(80, steps=[(30, 0.03), (60, -0.03)]), 30, 60) >= 0.9


def test_a_short_bump_is_two_changes_and_a_spike_is_none():
    (found,) = alone(draw(steps=[(50, 0.08), (54, 1 / 1.08 - 1)]))
    assert [one.at for one in found] == [50, 54]
    assert alone(draw(steps=[(50, 0.5), (52, 1 / 1.5 - 1)])) == [()]


def test_the_newest_three_points_can_be_a_change_and_the_newest_two_cannot():
    assert only(draw(steps=[(97, 0.1)])).at == 97
    assert alone(draw(steps=[(98, 0.1)])) == [()]


def test_slow_drift_is_no_step_and_a_step_upon_it_is_one():
    drift = draw(40, seed=3) + np.linspace(0, 0.1, 100)
    assert sum(map(len, alone(drift))) <= 2
    drift[:, 60:] += math.log1p(0.05)
    found = alone(drift)
    assert share_found(drift, 60) >= 0.9 and sum(map(len, found)) <= 1.1 * len(found)


def test_the_place_and_the_ratio_lie_in_their_ranges():
    found = [one for changes in alone(draw(150, steps=[(60, 0.03)], seed=5)) for one in changes]
    assert len(found) >= 140 and all(one.earliest < one.at <= one.latest for one in found)
    assert np.mean([one.earliest < 60 <= one.latest for one in found]) >= 0.93
    assert np.mean([one.ratio.low <= 1.03 <= one.ratio.high for one in found]) >= 0.88
    assert np.mean([one.latest - one.earliest for one in found]) <= 4
    assert all(one.ratio.low < one.ratio.value < one.ratio.high for one in found)


def test_the_range_is_wider_where_the_step_is_harder_to_see():
    plain, hard = (only(draw(steps=[(60, 0.06)], spread=spread, seed=2)) for spread in (0.005, 0.03))
    assert (plain.earliest, plain.at, plain.latest) == (59, 60, 60)
    assert hard.latest - hard.earliest > 3 and hard.p > plain.p


@pytest.mark.parametrize(
    "noise",
    [
        draw(120, steps=[(60, 0.06)], rho=0.7, seed=11),
        draw(120, steps=[(60, 0.06)], seed=12) + np.linspace(0, 0.1, 100),
        draw(120, steps=[(80, 0.06)], seed=13) * np.where(np.arange(100) < 80, 0.2, 1),
    ],
    ids=["correlated", "on a drift", "noisier after"],
)
def test_the_ratio_is_as_uncertain_as_the_noise_makes_it(noise):
    found = [one for changes in alone(noise) for one in changes if one.ratio.value > 1]
    assert len(found) >= 100
    assert np.mean([one.ratio.low <= 1.06 <= one.ratio.high for one in found]) >= 0.8


def test_p_allows_for_the_choice_of_the_place_and_for_half_the_least_change():
    noise = draw(points=100, steps=[(60, 0.03)], spread=0.015, seed=4)
    change = only(noise)
    before, after = noise[0, : change.at], noise[0, change.at :]
    assert change.p > 10 * ttest_ind(after - math.log1p(0.02) / 2, before).pvalue
    assert change.p > 10 * only(noise, least=0.005).p


def test_places_are_settled_when_all_levels_are_known():
    (found,) = alone(draw(points=60, steps=[(20, 0.03), (26, 0.03), (40, 0.1)], seed=638))
    assert [one.at for one in found] == [20, 26, 40]  # chosen one after the other, the first two are missed


def test_the_smallest_change_that_counts_can_be_chosen():
    noise = draw(steps=[(60, 0.015)], spread=0.002)
    assert alone(noise) == [()]
    assert only(noise, least=0.01).at == 60


def test_points_of_a_level_can_be_more():
    noise = draw(steps=[(50, 0.1), (54, 1 / 1.1 - 1)])
    assert len(alone(noise)[0]) == 2
    assert alone(noise, segment=6) == [()]


def test_many_series_ask_for_more_evidence():
    noise = draw(40, points=60, spread=0.02, steps=[(30, 0.028)], seed=6)
    weak = max((changes[0] for changes in alone(noise) if changes), key=lambda one: one.p)
    place = [one[0].p if one else None for one in alone(noise)].index(weak.p)
    crowd = dict(enumerate(draw(100, points=60, seed=7)))
    assert 1e-3 < weak.p <= 0.05
    assert find_changes({"it": noise[place], **crowd})["it"] == ()


def test_a_family_of_quiet_series_is_quiet_and_keeps_its_keys():
    keys = [("backend", f"problem {i}") for i in range(100)]
    found = find_changes(dict(zip(keys, draw(100, seed=8), strict=True)))
    assert list(found) == keys and sum(map(bool, found.values())) == 0


@pytest.mark.parametrize("points", [[], [0.0], [0.0, 0.0, 0.0, 1.0, 1.0]])
def test_a_series_that_is_too_short_has_no_change_and_is_no_hypothesis(points):
    found = find_changes({"short": points, "long": draw(steps=[(60, 0.05)])[0]})
    assert found["short"] == () and len(found["long"]) == 1


def test_series_without_any_noise_are_read():
    assert alone([[0.5] * 10, [0.0] * 50]) == [(), ()]
    assert only([[0.0] * 10 + [0.1] * 10]).at == 10
    few = only([[0.0] * 3 + [0.1] * 3])
    assert few.at == 3 and few.p > 1e-6 and few.ratio.low < few.ratio.high
    rounded = np.round(draw(20, seed=9) / 0.02) * 0.02  # a clock that tells 2 % apart
    assert sum(map(len, alone(rounded))) <= 3


def test_the_unit_of_time_does_not_matter():
    noise = draw(steps=[(60, 0.05)])
    assert only(noise + math.log(1e9)).at == only(noise).at
    assert only(noise + math.log(1e9)).p == pytest.approx(only(noise).p, rel=1e-4)


def test_the_chance_of_a_height_is_what_noise_gives():
    n, segment, count = 100, 3, 4000
    sums = np.random.default_rng(0).normal(0, 1, (count, n)).cumsum(1)
    before = np.arange(segment, n - segment + 1)
    bridge = sums[:, before - 1] - sums[:, -1:] * before / n
    heights = np.abs(bridge / np.sqrt(before * (n - before) / n)).max(1)
    for height in (2.5, 3.0, 3.5):
        assert chance_of_height(height, n, segment) == pytest.approx(np.mean(heights > height), rel=0.15)
    assert 0 <= chance_of_height(math.inf, n, segment) < 1e-200


@pytest.mark.parametrize(
    ("options", "said"),
    [({"least": 0}, "least: got 0"), ({"segment": 1}, "segment: got 1"), ({"level": 0.5}, "level: got 0.5")],
)
def test_options_that_mean_nothing_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        find_changes({}, **options)


def test_times_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match=r"log times of cell: .*wanted finite"):
        find_changes({"cell": [0.0, math.nan] * 4})
