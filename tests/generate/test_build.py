import random
from dataclasses import replace

import numpy as np
import pytest

from harness import Operator, Problem
from harness.generate.build import Choices, build_problem, differ, fitting_regimes, spread_choices
from harness.generate.domains import QUANTITIES, TAILS, TINY, VOLUME
from harness.problems import reference
from harness.problems.numerics import DTYPES
from harness.problems.problem import LAYOUTS, REGIMES

PLAIN = Choices(
    operator=Operator.conv, out=(3, 2), kernel=(2, 3), stride=(1, 2), dilation=(1, 1), begin=(0, 1), end=(2, 0),
    remainder=(0, 0),
)  # fmt: skip


def _random_choices(rng):
    axes = rng.randint(1, 3)
    tier = VOLUME if axes == 3 else TINY

    def each(domain):
        return tuple(rng.choice(domain) for _ in range(axes))

    operator = rng.choice(list(Operator))
    dtype = rng.choice(DTYPES)
    return Choices(
        operator=operator, out=(*each(tier.size)[1:], rng.choice((*tier.width, *TAILS))), kernel=each(tier.kernel),
        stride=each(tier.stride), dilation=each(tier.dilation), begin=each(tier.padding), end=each(tier.padding),
        remainder=each(range(4)), batch=rng.choice(tier.batch), channels=rng.choice(tier.channels),
        groups=rng.choice(tier.groups), outputs=rng.choice(tier.outputs), bias=rng.random() < 0.5,
        flip=rng.random() < 0.5, ceil=rng.random() < 0.5, exclude_pad=rng.random() < 0.5, dtype=dtype,
        layout=rng.choice(LAYOUTS), data=rng.choice(fitting_regimes(operator, dtype)), seed=rng.randint(0, 9),
        hollow=rng.random() < 0.5,
    ), tier  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_every_choice_is_a_valid_problem_whose_output_is_the_chosen_one(seed):
    rng = random.Random(seed)
    for _ in range(200):
        choices, tier = _random_choices(rng)
        for chosen in (choices, spread_choices(choices, tier)):
            problem = build_problem(chosen)  # raises where it is not valid
            sizes, windows = zip(*chosen.sizes, strict=True)
            assert problem.forward_spatial == sizes
            assert min(sizes) >= 1
            moved = problem.x[2:] if problem.operator is Operator.conv_transpose else problem.y[2:]
            assert problem.window.ceil_mode or moved == windows
            assert all(n >= o for n, o in zip(windows, chosen.out, strict=True))


def test_the_input_follows_from_the_output():
    problem = build_problem(replace(PLAIN, remainder=(0, 1)))
    # (o-1)s + d(k-1)+1 + r - b - e
    assert problem.x[2:] == (2 + 1 + 1 + 0 - 0 - 2, 1 * 2 + 2 + 1 + 1 - 1 - 0)
    assert problem.y[2:] == (3, 2)
    assert build_problem(replace(PLAIN, remainder=(5, 3))) == problem  # taken modulo the stride


def test_an_input_that_padding_would_use_up_grows_by_whole_strides():
    problem = build_problem(replace(PLAIN, out=(1, 1), kernel=(1, 1), begin=(5, 5), end=(4, 5), stride=(3, 4)))
    assert problem.x[2:] == (1, 3)
    assert problem.y[2:] == (4, 4)


def test_the_remainder_is_the_output_padding_of_a_transposed_convolution():
    problem = build_problem(
        replace(PLAIN, operator=Operator.conv_transpose, remainder=(7, 1), channels=3, outputs=5, groups=2)
    )
    assert problem.output_padding == (0, 1)
    assert problem.x == (1, 10, 3, 2)
    assert problem.y[1] == 6


def test_what_an_operator_lacks_is_left_out():
    flags = {"bias": True, "flip": True, "ceil": True, "exclude_pad": True}
    choices = replace(PLAIN, groups=2, channels=3, outputs=2, begin=(0, 0), end=(0, 0), **flags)
    made = {operator: build_problem(replace(choices, operator=operator)) for operator in Operator}
    assert {o for o, p in made.items() if p.bias} == {Operator.conv, Operator.conv_transpose}
    assert {o for o, p in made.items() if p.flip} == {o for o in Operator if not o.pools}
    assert {o for o, p in made.items() if p.window.ceil_mode} == {o for o in Operator if o.pools}
    assert {o for o, p in made.items() if not p.window.count_include_pad} == {"avg_pool", "avg_pool_grad"}
    assert {p.window.groups for o, p in made.items() if o.pools} == {1}


def _indices(choices):
    problem = build_problem(choices)
    return reference.max_pool(np.zeros(problem.x), problem.window)[1]


def test_windows_of_padding_only_are_made_for_a_maximum_only_where_they_are_asked_for():
    rng, seen = random.Random(1), 0
    for _ in range(300):
        choices = replace(_random_choices(rng)[0], operator=Operator.max_pool, data="integer", hollow=False)
        assert _indices(choices).min() >= 0, choices
        seen += _indices(replace(choices, hollow=True)).min() < 0
    assert seen > 50


@pytest.mark.parametrize(
    ("values", "domain", "wanted"),
    [
        ((1, 1, 1), (1, 2, 3), (1, 2, 3)),
        ((2, 1), (1, 2, 3), (2, 1)),
        ((3, 3), (1, 2, 3), (3, 1)),  # nothing larger is free
        ((1, 1, 1), (1, 2), (1, 2, 1)),  # nothing is free
        ((7, 7), (1, 2), (7, 1)),
    ],
)
def test_repeated_values_are_replaced_by_free_ones(values, domain, wanted):
    assert differ(values, domain) == wanted


def test_spread_makes_every_quantity_differ():
    same = Choices(
        operator=Operator.conv, out=(1, 1), kernel=(2, 2), stride=(1, 1), dilation=(1, 1), begin=(0, 0), end=(0, 0),
        remainder=(0, 0),
    )  # fmt: skip
    apart = spread_choices(same, TINY)
    for values in (
        apart.kernel, apart.stride, apart.dilation, (*apart.begin, *apart.end), apart.out,
        (apart.batch, apart.channels, apart.outputs), [n for n, _ in apart.sizes],
    ):  # fmt: skip
        assert len(set(values)) == len(values), values
    assert spread_choices(same, TINY, ()) == same
    for name in QUANTITIES:
        assert spread_choices(same, TINY, (name,)) != same


def test_regimes_that_an_operator_cannot_have_are_known():
    for operator in Operator:
        for data in REGIMES:
            fits = data in fitting_regimes(operator, "float32")
            means = operator in (Operator.avg_pool, Operator.avg_pool_grad)
            assert fits == (data not in ({"subnormal"} if means else set() if operator.pools else {"distinct"})), (
                operator, data,
            )  # fmt: skip
    assert isinstance(build_problem(PLAIN), Problem)
