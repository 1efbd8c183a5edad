import itertools
import math

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp
from scipy.stats import wilcoxon as scipy_wilcoxon

from harness.analysis.sequential import STATISTICS, STUDENT, TRIMMED, WILCOXON, Design, replay
from harness.errors import UsageError

each = pytest.mark.parametrize("statistic", STATISTICS, ids=lambda one: one.name)


def noise(cells, passes=40, spread=0.015, seed=0):
    return np.random.default_rng(seed).normal(0, spread, (cells, passes))


@pytest.mark.parametrize("looks", [(6,), (6, 9, 13, 19, 28, 40), (6, 9, 13, 19, 28, 40, 60, 90, 130)])
def test_the_shares_sum_to_one_and_later_looks_get_more(looks):
    shares = Design(looks=looks).shares
    assert math.fsum(shares) == pytest.approx(1)
    assert all(a < b for a, b in itertools.pairwise(shares))


def test_no_number_of_passes_spends_more_than_the_whole_error():
    design = Design(looks=(6, 9, 13))
    for passes in range(20):
        for ended in (False, True):
            assert math.fsum(share for _, share in design.looks_at(passes, ended)) <= 1 + 1e-12


def test_passes_since_the_last_look_count_only_once_the_run_has_ended():
    design = Design(looks=(6, 9, 13))
    planned = tuple(zip(design.looks, design.shares, strict=True))
    assert design.looks_at(11) == planned[:2]
    assert design.looks_at(11, ended=True) == (*planned[:2], (11, design.shares[2]))
    assert design.looks_at(9, ended=True) == planned[:2]
    assert design.looks_at(5, ended=True) == ()
    assert design.looks_at(50, ended=True) == planned


@pytest.mark.parametrize(
    "wrong",
    [{"delta": 0}, {"delta": 1.0}, {"level": 0}, {"level": 0.5}, {"looks": ()}, {"looks": (2, 6)}, {"looks": (9, 9)}],
)
def test_a_design_that_cannot_decide_is_refused(wrong):
    with pytest.raises(UsageError, match=r"got .*, wanted "):
        Design(**wrong)


def test_students_t_and_signed_ranks_are_scipys():
    samples = noise(5, 13)
    wanted = ttest_1samp(samples, 0.01, axis=-1, alternative="greater").pvalue
    assert STUDENT.p_above(samples, 0.01) == pytest.approx(wanted)
    wanted = [scipy_wilcoxon(row - 0.01, alternative="greater", method="exact").pvalue for row in samples]
    assert WILCOXON.p_above(samples, 0.01) == pytest.approx(wanted)


def test_the_trimmed_mean_has_yuens_error():
    sample = np.array(
        [9.0, 1, 2, 4, 3, 100, 5, 6, 7, 8]
    )  # outer two of either end are cut: the winsorised values follow
    winsorised = [3, 3, 3, 4, 5, 6, 7, 8, 8, 8]
    centre, error, freedom = TRIMMED.summarise(sample)
    assert (centre, freedom) == (pytest.approx(5.5), 5)
    assert error == pytest.approx(math.sqrt(9 * np.var(winsorised, ddof=1) / (6 * 5)))


def test_the_trimmed_mean_is_students_t_where_nothing_is_cut():
    samples = noise(5, 4)
    assert TRIMMED.p_above(samples, 0.01) == pytest.approx(STUDENT.p_above(samples, 0.01))


def test_one_wild_pass_does_not_hide_a_change_from_the_trimmed_mean():
    samples = noise(1, 13) + 0.05
    samples[0, 3] = -0.5
    assert TRIMMED.p_above(samples, 0.01)[0] < 0.001 < 0.05 < STUDENT.p_above(samples, 0.01)[0]


@each
def test_centres_and_intervals_follow_the_sample(statistic):
    centre, error, _ = statistic.summarise(noise(1, 28)[0] + 0.2)
    assert centre == pytest.approx(0.2, abs=0.01)
    assert error == pytest.approx(0.015 / math.sqrt(28), rel=0.5)


@each
@pytest.mark.parametrize("passes", [2, 6, 13])
def test_identical_passes_claim_no_more_than_their_number_allows(statistic, passes):
    found = statistic.p_above(np.full((1, passes), 0.05), 0.01)
    assert found == pytest.approx(0.5**passes)
    assert statistic.p_above(np.full((1, passes), 0.01), 0.01) == pytest.approx(1)


@each
def test_any_number_of_passes_on_the_bound_is_no_evidence(statistic):
    assert statistic.p_above(np.full((1, 60), 0.01), 0.01) == pytest.approx(1)


def test_a_core_without_spread_is_no_certainty_either():
    assert TRIMMED.p_above(np.array([[0.05] * 5 + [0.06]]), 0.01) == pytest.approx(0.5**6)


@each
def test_more_passes_can_only_lower_the_p_values(statistic):
    design, samples = Design(), noise(20) + 0.012
    found = [replay([row[:passes] for row in samples], design, statistic) for passes in range(4, 42, 2)]
    assert all((later <= earlier).all() for earlier, later in itertools.pairwise(found))
    assert (found[0] == 1).all() and (found[-1] < found[2]).any()


@each
def test_the_error_of_all_looks_together_stays_at_the_level(statistic, cells=1000):
    samples, design = noise(cells), Design()
    for effect, row in ((design.bound, 0), (-design.bound, 1), (design.bound, 2)):
        wrong = int((replay(samples + effect, design, statistic)[row] <= 0.05).sum())
        assert wrong <= binom.isf(1e-3, cells, 0.05)


def test_without_shares_the_looks_would_err_too_often(cells=1000):
    samples, design = noise(cells) + Design().bound, Design()
    naive = np.min([TRIMMED.p_above(samples[:, :look], design.bound) for look in design.looks], axis=0)
    assert (naive <= 0.05).sum() > binom.isf(1e-3, cells, 0.05)
