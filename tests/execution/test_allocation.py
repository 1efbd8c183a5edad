"""Passes go where most decisions are expected, and contests stop at looks alone."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from harness.analysis.forecast import Forecast
from harness.analysis.sequential import TRIMMED, Design, weigh_claims
from harness.execution.allocation import Prospect, choose_prospects, expect_seconds
from harness.execution.contests import Contest
from harness.execution.looking import choose_contests, count_passes, expect_pass, find_next_pass
from harness.execution.timing_state import TimingState
from harness.plan.gate import Gate
from harness.plan.suite import Timing


def _forecast(spread, *, passes=6, centre=0.0):
    """The forecast of a cell whose log ratios have this spread, in percent, around a centre."""
    return Forecast(
        centre=centre, error=spread / 100 / passes**0.5, freedom=passes - 3.0, passes=passes, design=Design(),
        enough=(0.01, 0.01),
    )  # fmt: skip


def _prospects(*spreads, passes=6, pass_s=1.0):
    return [
        Prospect(passes=passes, more=None, pass_s=pass_s, forecasts=((_forecast(one, passes=passes),),))
        for one in spreads
    ]


def _choose_places(waiting, left_s, start_s):
    return choose_prospects(waiting, left_s, start_s, Gate().looks)


def test_what_is_near_a_decision_is_chosen_before_what_has_no_prospect():
    waiting = _prospects(40.0, 0.3, 30.0, 0.3, 50.0)
    assert sorted(_choose_places(waiting, 6.5, 0.1)) == [1, 3]
    assert len(_choose_places(waiting, 3.5, 0.1)) == 1
    assert set(_choose_places(waiting, 1e6, 0.1)) == {0, 1, 2, 3, 4}


def test_few_get_many_passes_where_all_would_get_too_few():
    waiting = _prospects(*[1.2] * 10)
    assert 0 < len(_choose_places(waiting, 40, 0.1)) < 5
    assert len(_choose_places(waiting, 500, 0.1)) == 10


def test_where_starting_workers_is_most_of_a_pass_all_take_part():
    waiting = _prospects(0.6, 0.6, 1.2, 1.2, pass_s=0.01)
    assert len(_choose_places(waiting, 60, 3.0)) == 4


def test_the_cheaper_of_two_with_one_prospect_comes_first():
    dear, cheap = _prospects(0.5, pass_s=3.0), _prospects(0.5, pass_s=1.0)
    assert _choose_places([*dear, *cheap], 6, 0.0) == [1]


def test_a_contest_of_two_cells_comes_before_one_of_one():
    (one,), other = _prospects(0.5), _forecast(0.5)
    two = Prospect(passes=6, more=None, pass_s=1.0, forecasts=((other,), (other,)))
    assert _choose_places([one, two], 5, 0.0) == [1]


def test_nothing_is_chosen_where_no_pass_fits_and_nothing_is_asked_of_none():
    assert _choose_places(_prospects(0.3, 0.4), 0.5, 0.1) == []
    assert _choose_places(_prospects(0.3, 0.4), -9.0, 0.0) == []
    assert _choose_places([], 100, 1.0) == []


@pytest.mark.parametrize(("centre", "spread"), [(0.0, 1.0), (0.005, 0.5), (0.03, 2.0), (-0.04, 1.5)])
def test_a_chance_grows_with_passes_and_is_as_often_met(centre, spread):
    draw = np.random.default_rng(3)
    looks = [9, 19, 40]
    forecast = _forecast(spread, centre=centre)
    chances = forecast.find_chances(looks)
    assert (np.diff(chances) > 0).all() and chances[0] >= 0 and chances[-1] <= 1
    design, enough, met = Design(), 0.01, []
    for number in looks:
        share = dict(zip(design.looks, design.shares, strict=True))[number]
        truth = centre + spread / 100 / 6**0.5 * draw.standard_normal((4000, 1))
        samples = truth + spread / 100 * draw.standard_normal((4000, number))
        met.append((weigh_claims(samples, design.bound, TRIMMED).min(0) <= enough * share).mean())
    assert np.abs(chances - met).max() < 0.35  # with few passes the power of a normal test is far from Student's
    assert abs(chances[-1] - met[-1]) < 0.05


def test_the_time_to_the_last_decision_is_known_only_where_every_contest_has_one_in_sight():
    near, far, never = (Prospect(passes=6, more=more, pass_s=2.0) for more in (3, 5, None))
    assert expect_seconds([near, far], start_s=1.0) == 2.0 * 8 + 5
    assert expect_seconds([near, never], start_s=1.0) == float("inf")
    assert expect_seconds([], start_s=1.0) == 0.0


def _state(passes, spreads, *, budget_s=1e6, spent_s=0.0, turn_s=1.0, restored=None):
    """A timing stage of one contest for each number of passes: base 2n, new 2n + 1."""
    contests, measured = [], {}
    for place, number in enumerate(passes):
        base, new = (SimpleNamespace(number=2 * place + n, arm=arm) for n, arm in enumerate(("base", "new")))
        contests.append(Contest(cells=(base, new), timing=Timing(), base=base))
        measured |= {one.number: [None] * number for one in (base, new)}
    execution = SimpleNamespace(plan=SimpleNamespace(gate=Gate(budget_s=budget_s)))
    state = TimingState(
        execution, measured=measured,
        forecasts={
            2 * n + 1: (_forecast(one, passes=number),)
            for n, (number, one) in enumerate(zip(passes, spreads, strict=True))
        },
        begun=time.monotonic() - spent_s, restored=restored or {},
    )  # fmt: skip
    for place in range(len(passes)):
        state.turns_s[2 * place].append(turn_s)
    state.starts_s.append(0.1)
    return state, contests


def _choose(state, contests, number):
    return [contests.index(one) for one in choose_contests(state, contests, number)]


def test_all_are_screened_before_any_is_chosen():
    state, contests = _state([5, 5, 5], [0.3, 40, 40], budget_s=1.0)
    assert _choose(state, contests, 5) == [0, 1, 2]
    state, contests = _state([6, 5, 6], [0.3, 40, 0.3])
    assert _choose(state, contests, 6) == [1]  # the interruption of a run left it behind


def test_contests_between_looks_go_on_whatever_their_prospect_and_those_at_a_look_are_chosen():
    state, contests = _state([7, 9, 6, 13], [40, 0.5, 40, 0.5], budget_s=100.0, spent_s=88.0)
    assert _choose(state, contests, 13) == [0, 1, 3]  # two for the first to its look
    state, contests = _state([7, 9, 6, 13], [40, 0.3, 40, 40], budget_s=100.0, spent_s=96.2)
    assert _choose(state, contests, 13) == [0, 1]
    assert count_passes(state, contests[1]) == 9


def test_the_last_pass_goes_to_all_where_none_fits_and_none_follows_the_last_look():
    state, contests = _state([9, 9], [0.5, 0.5], budget_s=10.0, spent_s=10.0)
    assert _choose(state, contests, 9) == [0, 1]
    state, contests = _state([60, 9], [0.5, 0.5])
    assert _choose(state, contests, 60) == [1]
    state.done |= {2, 3}
    assert _choose(state, contests, 60) == []


def test_a_pass_is_expected_to_take_what_its_contests_and_the_start_took():
    state, contests = _state([6, 6], [0.5, 0.5], turn_s=2.0)
    assert expect_pass(state, contests, [9.0]) == pytest.approx(4.1)
    assert expect_pass(state, contests[:1], [9.0]) == pytest.approx(2.1)
    state.turns_s.clear()
    assert expect_pass(state, contests, [1.0, 9.0, 7.0]) == 9.0


def test_passes_of_a_gate_that_goes_on_have_new_numbers():
    state, contests = _state([3, 2], [40, 40], restored={0: frozenset({0, 1, 2}), 2: frozenset({0, 1})})
    assert find_next_pass(state, contests) == 3
    assert _choose(state, contests, 3) == [0, 1]
