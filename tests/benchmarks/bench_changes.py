"""Change points of simulated series of 100 points: false alarms, power, places, and what slow drift is taken for.

`python -m pytest tests/benchmarks/bench_changes.py -s`; about a minute on one core.
"""

import math
import time

import numpy as np
import pytest

from harness.analysis.binomial import clopper_pearson
from harness.analysis.history.changes import find_changes

SERIES, POINTS, SPREAD, NEAR = 2000, 100, 0.01, 5
MOST_FLAGGED = {"gauss": 0.02, "spikes": 0.05, "t3 tails": 0.05, "AR(1) 0.7": 0.05, "AR(1) 0.7, innovations": 0.05}


def draw(kind, seed, count=SERIES, points=POINTS, spread=SPREAD):
    """Noise of log times, shape (count, points)."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, spread, (count, points))
    if kind == "spikes":  # 3 % of the points take 5 to 50 % longer
        noise += (rng.random(noise.shape) < 0.03) * np.log1p(rng.uniform(0.05, 0.5, noise.shape))
    if kind == "t3 tails":
        noise = spread * rng.standard_t(3, noise.shape)
    if kind == "rising":
        noise[:, points // 2 :] *= 4
    if kind.startswith("AR(1)"):
        rho = float(kind.split()[1].rstrip(","))
        noise[:, 0] /= math.sqrt(1 - rho**2)
        for i in range(1, points):
            noise[:, i] += rho * noise[:, i - 1]
        if not kind.endswith("innovations"):  # the spread is that of the points
            noise *= math.sqrt(1 - rho**2)
    return noise


def find_alone(noise):
    return [find_changes({0: points})[0] for points in noise]


def shown(hits, trials):
    low, high = clopper_pearson(hits, trials)
    return f"{hits} of {trials}, {hits / trials:6.1%} ({low:.1%} to {high:.1%})"


@pytest.mark.parametrize(
    ("kind", "points", "spread"),
    [
        *((kind, POINTS, spread) for kind in MOST_FLAGGED for spread in (SPREAD, 3 * SPREAD)),
        ("AR(1) 0.9", POINTS, SPREAD), ("AR(1) 0.9", POINTS, 3 * SPREAD), ("rising", POINTS, SPREAD),
        *((kind, points, SPREAD) for points in (10, 30, 300) for kind in ("gauss", "spikes", "AR(1) 0.7")),
        ("AR(1) 0.7", 30, 3 * SPREAD),
    ],
)  # fmt: skip
def test_series_without_a_change(kind, points, spread, benchmark):
    noise = draw(kind, 1, points=points, spread=spread)
    found = benchmark.pedantic(find_alone, (noise,), rounds=1)
    flagged = sum(map(bool, found))
    print(f"\n{kind:22} {points:3} points, spread {spread:.0%}: flagged {shown(flagged, SERIES)}")
    if (points, spread) == (POINTS, SPREAD) and kind in MOST_FLAGGED:
        assert clopper_pearson(flagged, SERIES)[1] <= MOST_FLAGGED[kind]


def test_families_without_a_change(benchmark, families=60, members=100):
    """Families of series judged together: how many have any change."""
    alarms = benchmark.pedantic(
        lambda: [
            sum(map(bool, find_changes(dict(enumerate(draw("gauss", seed, members)))).values()))
            for seed in range(families)
        ],
        rounds=1,
    )
    wrong = sum(map(bool, alarms))
    print(f"\ngauss, families of {members}: with a false alarm {shown(wrong, families)}, {sum(alarms)} series")
    assert clopper_pearson(wrong, families)[0] <= 0.05


@pytest.mark.parametrize("kind", ("gauss", "spikes"))
def test_families_of_which_some_changed(kind, benchmark, families=30, members=100, changed=10):
    """A tenth of the series of a family steps by +3 % at point 60."""
    noise = [draw(kind, seed, members) for seed in range(families)]
    for family in noise:
        family[:changed, 60:] += math.log1p(0.03)
    found = benchmark.pedantic(lambda: [find_changes(dict(enumerate(family))) for family in noise], rounds=1)
    hits = sum(any(abs(one.at - 60) <= NEAR for one in family[i]) for family in found for i in range(changed))
    wrong = [sum(bool(family[i]) for i in range(changed, members)) for family in found]
    share = np.mean([bad / max(1, sum(map(bool, one.values()))) for bad, one in zip(wrong, found, strict=True)])
    print(f"\n{kind}, +3 % in {changed} of {members}: found {shown(hits, families * changed)}, false share {share:.2%}")
    assert share <= 0.05


STEPS = {
    **{f"+3 % at {at}": ("gauss", {at: 0.03}) for at in (20, 40, 60, 90, 95, 97)},
    "-3 % at 60": ("gauss", {60: -0.03}),
    "+2.5 % at 60": ("gauss", {60: 0.025}),
    "+2 % at 60": ("gauss", {60: 0.02}),
    "+1.5 % at 60": ("gauss", {60: 0.015}),
    "+5 % at 60": ("gauss", {60: 0.05}),
    "+10 % at 97": ("gauss", {97: 0.1}),
    "+3 % at 60, spikes": ("spikes", {60: 0.03}),
    "+3 % at 90, spikes": ("spikes", {90: 0.03}),
    "+3 % at 60, t3 tails": ("t3 tails", {60: 0.03}),
    "+3 % at 60, AR(1) 0.7": ("AR(1) 0.7", {60: 0.03}),
    "+5 % at 60, AR(1) 0.7": ("AR(1) 0.7", {60: 0.05}),
    "+3 % at 30, +3 % at 60": ("gauss", {30: 0.03, 60: 0.03}),
    "+3 % at 30, -3 % at 60": ("gauss", {30: 0.03, 60: -0.03}),
    "+5 % at 50, -5 % at 56": ("gauss", {50: 0.05, 56: -0.05}),
}
FOUND = [f"+3 % at {at}" for at in (20, 40, 60, 90)] + ["-3 % at 60", "+3 % at 60, spikes", "+3 % at 30, +3 % at 60"]


@pytest.mark.parametrize("name", STEPS)
def test_steps(name, benchmark):
    """Each step is found within five points, or not; of those found, how well, and what else is called a change."""
    kind, steps = STEPS[name]
    noise = draw(kind, 2)
    for at, size in steps.items():
        noise[:, at:] += math.log1p(size)
    found = benchmark.pedantic(find_alone, (noise,), rounds=1)
    pairs = [
        (at, 1 + size, min(changes, key=lambda one, at=at: abs(one.at - at)))
        for changes in found if changes for at, size in steps.items()
    ]  # fmt: skip
    pairs = [(at, ratio, one) for at, ratio, one in pairs if abs(one.at - at) <= NEAR]
    sought, more = SERIES * len(steps), sum(map(len, found)) - len(pairs)
    print(f"\n{name:24} found {shown(len(pairs), sought)}; others {more / SERIES:.2%} a series")
    errors = np.array([abs(one.at - at) for at, _, one in pairs])
    inside = np.mean([one.earliest < at <= one.latest for at, _, one in pairs])
    widths = np.array([one.latest - one.earliest for _, _, one in pairs])
    covered = np.mean([one.ratio.low <= ratio <= one.ratio.high for _, ratio, one in pairs])
    print(
        f"{'':24} place exact {np.mean(errors == 0):.0%}, error mean {errors.mean():.2f} worst {errors.max()}; range "
        f"covers {inside:.1%}, mean {widths.mean():.1f} points; ratio's interval covers {covered:.1%}"
    )
    if name in FOUND:
        assert clopper_pearson(len(pairs), sought)[0] >= 0.9 and inside >= 0.93 and more <= 0.02 * SERIES


@pytest.mark.parametrize("total", (0.03, 0.05, 0.1, 0.2))
def test_slow_drift(total, benchmark):
    noise = draw("gauss", 3) + np.linspace(0, math.log1p(total), POINTS)
    counts = np.array([len(one) for one in benchmark.pedantic(find_alone, (noise,), rounds=1)])
    print(
        f"\ndrift of {total:+.0%}: called changed {shown(int((counts > 0).sum()), SERIES)}, most steps {counts.max()}"
    )
    assert counts.mean() <= 0.1


def test_step_on_a_drift(benchmark):
    noise = draw("gauss", 4) + np.linspace(0, 0.05, POINTS)
    noise[:, 60:] += math.log1p(0.03)
    found = benchmark.pedantic(find_alone, (noise,), rounds=1)
    hits = sum(any(abs(one.at - 60) <= NEAR for one in changes) for changes in found)
    print(f"\n+3 % at 60 on a drift of +5 %: found {shown(hits, SERIES)}, steps {sum(map(len, found)) / SERIES:.2f}")


@pytest.mark.parametrize(
    ("count", "points", "levels"), [(1000, 100, 1), (1000, 100, 3), (1, 2000, 1), (1, 2000, 40), (1, 10000, 100)]
)
def test_time_it_takes(count, points, levels, benchmark):
    noise = draw("gauss", 5, count, points)
    noise += np.repeat(np.random.default_rng(6).normal(0, 0.05, (count, levels)), -(-points // levels), 1)[:, :points]
    start = time.perf_counter()
    found = benchmark.pedantic(find_changes, (dict(enumerate(noise)),), rounds=1)
    took, steps = time.perf_counter() - start, sum(map(len, found.values()))
    print(f"\n{count} series of {points} points with {levels} levels: {took:.2f} s, {steps} changes")
    assert steps >= 0.5 * count * (levels - 1)
