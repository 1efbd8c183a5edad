import pytest
from scipy.stats import binom, binomtest

from harness.analysis.binomial import bound_rate, clopper_pearson


@pytest.mark.parametrize(("failures", "trials"), [(0, 1), (0, 300), (1, 300), (7, 20), (20, 20)])
def test_the_interval_is_the_exact_one(failures, trials):
    wanted = binomtest(failures, trials).proportion_ci(0.95, method="exact")
    assert clopper_pearson(failures, trials) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_at_the_bound_so_few_failures_are_as_rare_as_said():
    assert binom.cdf(2, 500, bound_rate(2, 500, 0.99)) == pytest.approx(0.01)
    assert bound_rate(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))


def test_no_trials_say_nothing():
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("failures", "trials", "confidence"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_impossible_counts_are_refused(failures, trials, confidence):
    with pytest.raises(ValueError, match="wanted"):
        clopper_pearson(failures, trials, confidence)


@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_the_interval_covers_at_least_as_often_as_it_says(rate):
    covered = sum(
        binom.pmf(k, 60, rate) for k in range(61) if clopper_pearson(k, 60)[0] <= rate <= clopper_pearson(k, 60)[1]
    )
    assert covered >= 0.95
