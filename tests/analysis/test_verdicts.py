import math

import numpy as np
import pytest
from scipy.stats import binom, ttest_1samp

from harness.analysis.forecast import Forecast
from harness.analysis.sequential import STATISTICS, STUDENT, TRIMMED, Design
from harness.analysis.verdicts import control_discoveries, estimate_centre, judge, overall

each = pytest.mark.parametrize("statistic", STATISTICS, ids=lambda one: one.name)
DESIGN = Design(looks=(6, 9, 13, 19, 28, 40))


def passes(ratio=1.0, spread=0.01, count=40, seed=0):
    return list(math.log(ratio) + np.random.default_rng(seed).normal(0, spread, count))


def verdict(sample, design=DESIGN, **more):
    return judge({"cell": sample}, design, **more)["cell"]


@each
@pytest.mark.parametrize(("ratio", "wanted"), [(1.05, "SLOWER"), (1 / 1.05, "FASTER"), (1.0, "SAME")])
def test_plain_cases_get_their_verdict(statistic, ratio, wanted):
    found = verdict(passes(ratio), statistic=statistic)
    assert (found.verdict, found.passes, found.more_passes, found.reason) == (wanted, 40, None, None)
    assert found.ratio.low < ratio < found.ratio.high
    claims = {"SLOWER": found.p_slower, "FASTER": found.p_faster, "SAME": found.p_same}
    assert min(claims, key=claims.get) == wanted and claims.pop(wanted) < 0.001 and min(claims.values()) > 0.05


def test_a_change_that_is_sure_but_too_small_to_count_is_not_slower():
    sample = passes(1.008, spread=0.002)
    assert verdict(sample).verdict == "SAME"
    assert verdict(sample, Design(delta=0.003)).verdict == "SLOWER"


def test_same_needs_evidence_and_not_the_lack_of_it():
    noisy = passes(1.0, spread=0.05, count=13)
    found = verdict(noisy)
    assert found.verdict == "INCONCLUSIVE" and found.p_slower > 0.05
    assert "lies across ±1 %" in found.reason and f"about {found.more_passes} more passes" in found.reason


def test_a_ratio_at_the_bound_is_neither_slower_nor_the_same():
    wrong = sum(one.verdict != "INCONCLUSIVE" for one in judge(
        {seed: passes(1.01, seed=seed) for seed in range(300)}, DESIGN).values())  # fmt: skip
    assert wrong <= 1


def test_no_passes_are_missing_and_few_are_inconclusive():
    assert verdict([]).verdict == "MISSING" and verdict([]).ratio is None
    one = verdict([0.5])
    assert (one.verdict, one.ratio, one.more_passes) == ("INCONCLUSIVE", None, None)
    few = verdict([0.5, 0.5001, 0.4999, 0.5, 0.5])
    assert few.verdict == "INCONCLUSIVE" and few.reason == "5 of the 6 passes before the first look"
    assert judge({}, DESIGN) == {}


def test_nothing_but_finite_numbers_is_judged():
    with pytest.raises(ValueError, match="conv"):
        judge({"conv": [0.0, math.nan]}, DESIGN)


@each
def test_identical_values_are_believed_only_when_there_are_many(statistic):
    few = verdict([0.05] * 6, statistic=statistic)
    assert (few.verdict, few.more_passes) == ("INCONCLUSIVE", 3)
    assert verdict([0.05] * (6 + few.more_passes), statistic=statistic).verdict == "SLOWER"
    assert verdict([0.05] * 19, statistic=statistic).verdict == "SLOWER"
    assert verdict([0.0] * 19, statistic=statistic).verdict == "SAME"
    assert verdict([DESIGN.bound] * 19, statistic=statistic).verdict == "INCONCLUSIVE"


@each
def test_identical_pairs_are_hardly_ever_called_different(statistic, cells=300):
    alarms = 0
    for seed in range(3):
        noise = np.random.default_rng(seed).normal(0, 0.03, (cells, 40))
        found = judge(dict(enumerate(noise)), DESIGN, statistic)
        alarms += sum(one.verdict in ("SLOWER", "FASTER") for one in found.values())
    assert alarms <= binom.isf(1e-3, 3 * cells, 0.001)


def test_the_share_of_false_discoveries_stays_at_the_level_with_many_cells_at_the_bound():
    shares, design = [], Design(looks=(6, 13, 28))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        effects = [DESIGN.bound] * 70 + [math.log(1.05)] * 15 + [-math.log(1.05)] * 15
        cells = np.array(effects)[:, None] + rng.normal(0, 0.015, (100, 28))
        found = judge(dict(enumerate(cells)), design)
        wrong = sum(found[i].verdict in ("SLOWER", "FASTER") for i in range(70))
        wrong += sum(found[i].verdict == "FASTER" for i in range(70, 85))
        right = sum(found[i].verdict == "SLOWER" for i in range(70, 85)) + sum(
            found[i].verdict == "FASTER" for i in range(85, 100)
        )
        assert right >= 25
        shares.append(wrong / max(1, wrong + right))
    assert np.mean(shares) - 3 * np.std(shares) / math.sqrt(len(shares)) <= design.level


def test_a_cell_needs_more_evidence_among_many_that_did_not_change():
    slow = passes(1.017, spread=0.015, seed=1)
    alone = verdict(slow)
    among = judge({"slow": slow, **{i: passes(seed=i + 2) for i in range(300)}}, DESIGN)["slow"]
    assert alone.verdict == "SLOWER" and among.verdict == "INCONCLUSIVE"
    assert alone.p_slower == among.p_slower
    assert "clears ±1 %" in among.reason


def test_cells_without_passes_count_among_the_many():
    slow = passes(1.017, spread=0.015, seed=1)
    assert judge({"slow": slow, **{i: [] for i in range(300)}}, DESIGN)["slow"].verdict == "INCONCLUSIVE"


def test_more_passes_only_add_decisions():
    rng = np.random.default_rng(3)
    cells = np.log1p(rng.choice([0, 0.01, 0.03, 0.05, -0.03], (60, 1))) + rng.normal(0, 0.015, (60, 40))
    decided = {}
    for count in range(1, 41):
        got = {i: row[: decided.get(i, (count, ""))[0]] for i, row in enumerate(cells)}
        found = judge(got, DESIGN)
        assert all(found[i].verdict == was for i, (_, was) in decided.items())
        decided |= {i: (one.passes, one.verdict) for i, one in found.items() if one.verdict != "INCONCLUSIVE"}
    assert 30 < len(decided) < 60 and len({count for count, _ in decided.values()}) > 3


def test_the_end_of_a_run_is_a_look_of_its_own():
    sample = passes(1.0, spread=0.3, count=9) + passes(1.1, spread=0.001, count=9)
    running, ended = verdict(sample, Design(looks=(6, 30))), verdict(sample, Design(looks=(6, 30)), ended=True)
    assert ended.p_slower < running.p_slower
    plain = passes(1.03, count=27)
    assert verdict(plain, Design(looks=(3, 28))).verdict == "INCONCLUSIVE"
    assert verdict(plain, Design(looks=(3, 28)), ended=True).verdict == "SLOWER"


def test_contradicting_claims_go_to_the_stronger_one():
    sample = passes(1.05, spread=0.002, count=6) + passes(1.0, spread=0.002, count=600)
    found = verdict(sample, Design(looks=(6, 606)))
    assert found.p_slower < 0.01 and found.p_same < found.p_slower and found.verdict == "SAME"
    assert verdict(sample[:30], Design(looks=(6, 606))).verdict == "SLOWER"


def test_discoveries_are_benjamini_and_hochbergs():
    p = np.array([0.001, 0.019, 0.028, 0.6, 1.0])
    rejected, enough = control_discoveries(p, 0.05)
    assert rejected.tolist() == [True, True, True, False, False]
    assert enough == pytest.approx(0.05 * 4 / 5)
    assert control_discoveries(np.array([0.011, 0.04, 0.5, 0.5, 0.5]), 0.05)[0].sum() == 0


@pytest.mark.parametrize(
    ("ratio", "spread"),
    [
        (1.03, 0.03),
        pytest.param(1 / 1.04, 0.04, marks=pytest.mark.slow),
        pytest.param(1.0, 0.02, marks=pytest.mark.slow),
    ],
)
def test_the_forecast_of_passes_is_kept_in_four_of_five_cases(ratio, spread, tries=300):
    design = Design(looks=(6, 9, 13, 19, 28, 40, 60, 90, 130))
    rng = np.random.default_rng(5)
    pattern = rng.normal(0, 1, 13)
    shape = (pattern - pattern.mean()) / pattern.std(ddof=1)
    more = Forecast.of(list(math.log(ratio) + spread * shape), design, STUDENT, (0.025, 0.05)).count_needed()
    assert more is not None and more + 13 in design.looks
    cells = math.log(ratio) + rng.normal(0, spread, (tries, more + 13))
    done = sum(judge({0: row}, design, STUDENT)[0].verdict != "INCONCLUSIVE" for row in cells)
    assert done >= binom.ppf(1e-3, tries, 0.8)
    shorter = [row[: design.looks[design.looks.index(more + 13) - 2]] for row in cells]
    assert sum(judge({0: row}, design, STUDENT)[0].verdict != "INCONCLUSIVE" for row in shorter) < 0.8 * tries


def test_there_is_no_forecast_where_none_can_be_made():
    at_bound = [DESIGN.bound + 0.01 * x for x in (-1, 1) * 7]
    found = verdict(at_bound)
    assert (found.verdict, found.more_passes) == ("INCONCLUSIVE", None)
    assert "no number of passes" in found.reason
    beyond = verdict(passes(1.012, spread=0.02, seed=4))
    assert beyond.verdict == "INCONCLUSIVE" and "beyond the 40 of the design" in beyond.reason


def test_one_per_cent_in_every_cell_is_seen_together_though_in_none():
    rng = np.random.default_rng(6)
    cells = dict(enumerate(math.log(1.01) + rng.normal(0, 0.03, (50, 13))))
    assert not {one.verdict for one in judge(cells, DESIGN).values()} & {"SLOWER", "FASTER"}
    together = overall(cells)
    assert 1.0 < together.low < 1.01 < together.high < 1.02 and together.over == "processes"


def test_what_shifts_all_cells_of_a_pass_widens_the_interval_over_passes():
    rng = np.random.default_rng(7)
    own = rng.normal(0, 0.01, (100, 13))
    shared = own + rng.normal(0, 0.02, 13)
    calm, wide = overall(dict(enumerate(own))), overall(dict(enumerate(shared)))
    assert wide.high - wide.low > 5 * (calm.high - calm.low)


def test_cells_that_stopped_early_still_speak_for_the_whole():
    slow, even = passes(1.10, spread=0.001, count=6), passes(1.0, spread=0.001, count=40)
    assert overall({"slow": slow, "even": even}).value == pytest.approx(math.sqrt(1.1), rel=2e-3)
    assert overall({"slow": slow, "even": even}) == overall({"slow": slow, "even": even[:6]})


@pytest.mark.parametrize("ratios", [{}, {"a": [0.1]}, {"a": [0.1, 0.2], "b": []}])
def test_no_interval_without_two_common_passes(ratios):
    with pytest.raises(ValueError, match="wanted at least 2"):
        overall(ratios)


def test_the_interval_of_the_mean_is_students():
    sample = passes(1.2, count=9)
    wanted = ttest_1samp(sample, 0).confidence_interval(0.95)
    found = estimate_centre(sample, STUDENT)
    assert (found.low, found.high) == pytest.approx((math.exp(wanted.low), math.exp(wanted.high)))


@each
def test_the_interval_covers_as_often_as_it_says(statistic):
    rng, tries = np.random.default_rng(8), 300
    found = [estimate_centre(rng.normal(math.log(1.2), 0.03, 19), statistic) for _ in range(tries)]
    hits = sum(one.low <= 1.2 <= one.high for one in found)
    assert binom.ppf(1e-4, tries, 0.95) <= hits <= binom.isf(1e-4, tries, 0.95)


def test_the_default_is_the_trimmed_mean():
    sample = {0: passes(1.02, seed=9)}
    assert judge(sample, DESIGN) == judge(sample, DESIGN, TRIMMED) != judge(sample, DESIGN, STUDENT)
