"""Payback of a plan: a number of calls with its ends, or a word."""

import math

import pytest

from harness.analysis.payback import Payback, format_calls, pay_back
from harness.analysis.statistics import Estimate
from harness.record.passes import Pass


def _passes(call_ns, prepare_ns, first_ns=None):
    return [
        Pass(number=n, process=n, loops=1, warmups=0, clock="host", device="cpu", prepare_ns=cost,
             first_call_ns=call_ns if first_ns is None else first_ns, samples_ns=(call_ns,) * 3)
        for n, cost in enumerate(prepare_ns)
    ]  # fmt: skip


def _ratio(value, low, high):
    return Estimate(value=value, low=low, high=high, over="processes")


BASE = _passes(1000, (100, 100, 100))


def test_a_dear_plan_pays_after_the_number_of_calls_that_the_totals_say():
    found = pay_back(BASE, _passes(500, (50_100,) * 3), _ratio(0.5, 0.4, 0.6))
    assert (found.kind, found.calls) == ("after", pytest.approx(100))
    assert (found.low, found.high) == pytest.approx((50_000 / 600, 50_000 / 400))
    assert 100 + 1000 * found.calls == pytest.approx(50_100 + 500 * found.calls)
    assert found.words == "after 100 calls (84 to 120)"


def test_a_first_call_that_plans_counts_as_its_plan():
    assert pay_back(BASE, _passes(500, (100,) * 3, first_ns=50_500), _ratio(0.5, 0.4, 0.6)).calls == pytest.approx(100)


def test_plans_that_differ_from_pass_to_pass_widen_the_ends():
    found = pay_back(BASE, _passes(500, (10_100, 50_100, 90_100)), _ratio(0.5, 0.5, 0.5))
    assert (found.low, found.calls, found.high) == pytest.approx((20, 100, 180))


@pytest.mark.parametrize(
    ("new", "ratio", "kind"),
    [
        (_passes(500, (100,) * 3), _ratio(0.5, 0.4, 0.6), "at once"),
        (_passes(500, (90,) * 3), _ratio(0.5, 0.4, 0.6), "at once"),
        (_passes(2000, (5_000,) * 3), _ratio(2.0, 1.9, 2.1), "never"),
        (_passes(2000, (100,) * 3), _ratio(2.0, 1.9, 2.1), "never"),
        (_passes(990, (5_000,) * 3), _ratio(0.99, 0.9, 1.1), "unknown"),
        (_passes(500, (5_000,) * 3), None, "unknown"),
        ([], _ratio(0.5, 0.4, 0.6), "unknown"),
    ],
)
def test_other_cases_have_a_word(new, ratio, kind):
    found = pay_back(BASE, new, ratio)
    assert (found.kind, found.calls) == (kind, None)
    assert found.words == ("" if kind == "unknown" else kind)


def test_a_cheap_plan_with_slow_calls_is_ahead_for_a_while():
    found = pay_back(_passes(1000, (100_000,) * 3), _passes(2000, (0,) * 3), _ratio(2.0, 1.5, 2.5))
    assert (found.kind, found.calls) == ("until", pytest.approx(100))
    assert found.words == "only up to 100 calls (67 to 200)"


def test_numbers_of_calls_are_short_and_whole():
    assert [format_calls(n) for n in (0.0, 0.4, 9.1, 99.5, 123.0, 1_290_000.0)] == [
        "1", "1", "10", "100", "120", "1300000",
    ]  # fmt: skip
    assert Payback(kind="after", calls=5.0, low=2.0, high=math.inf).words == "after 5 calls (2 to any number)"
