"""Layers drawn by fuzz: valid, on specialised code paths, cheap, and shrinking to the smallest."""

from itertools import islice, pairwise

import pytest

from harness import Operator, parse_line
from harness.generate.dispatch.conditions import conditions_of
from harness.generate.dispatch.drawing import DEAR, DEAR_BEYOND, domain, draw_layers, mix_problems
from harness.generate.dispatch.problems import estimate_cost
from harness.generate.reduction import reduce
from harness.problems.numerics import DTYPES
from harness.problems.problem import LAYOUTS


def test_what_is_asked_for_is_what_is_drawn():
    drawn = list(islice(draw_layers((Operator.conv_transpose, Operator.max_pool), ("float16", "float64")), 200))
    assert {p.operator for p in drawn} == {Operator.conv_transpose, Operator.max_pool}
    assert {p.dtype for p in drawn} == {"float16", "float64"}
    assert {p.layout for p in drawn} == set(LAYOUTS)
    assert {p.axes for p in drawn} == {1, 2, 3}
    assert {p.data for p in drawn} == {"integer", "normal"}


def test_drawn_layers_are_not_dear():
    costs = [estimate_cost(p) for p in islice(draw_layers(), 300)]
    assert max(costs) <= DEAR_BEYOND
    assert sum(cost > DEAR for cost in costs) < len(costs) / 10
    assert sum(cost > DEAR / 4 for cost in costs) > 20


def test_convolutions_meet_the_conditions_that_libraries_choose_by():
    drawn = list(islice(draw_layers((Operator.conv,)), 1000))
    met = [{one.name for one in conditions_of(p)} for p in drawn]
    for conditions in (
        {"kernel 3x3", "stride 1", "C a multiple of 16", "O a multiple of 16", "one group"},
        {"kernel 1x1", "stride 1", "C a multiple of 8", "O a multiple of 8", "channels-last"},
        {"depthwise", "kernel 3x3", "stride 2"}, {"C >= 64", "O >= 64"}, {"batch 33"}, {"dilation 12 or more"},
    ):  # fmt: skip
        assert any(conditions <= one for one in met), conditions
    assert any(p.y[-1] > 255 for p in drawn)
    assert any(p.w[0] > 65536 for p in drawn)
    assert any(p.x[0] > 65536 for p in drawn)


def test_every_operator_has_the_same_keys():
    keys = {tuple(domain(operator, axes)) for operator in Operator for axes in (1, 2, 3)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("operator", "condition", "line"),
    [
        (Operator.conv, lambda p: True, "conv x=1x1x1 w=1x1x1 data=integer"),
        (Operator.conv, lambda p: p.w[1] % 16 == 0, "conv x=1x16x1 w=1x16x1 data=integer"),
        (Operator.max_pool, lambda p: p.x[1] % 8 == 0 and p.window.stride == (2, 2),
         "max_pool x=1x8x1x1 kernel=1x1 stride=2 data=integer"),
        (Operator.conv, lambda p: p.x[0] > 16 and p.layout == "channels-last",
         "conv x=17x1x1 w=1x1x1 layout=channels-last data=integer"),
        (Operator.conv, lambda p: p.x[-1] > 255, "conv x=1x1x256 w=1x1x1 data=integer"),
    ],
)  # fmt: skip
def test_layers_are_reduced_to_the_smallest(operator, condition, line):
    first = next(filter(condition, islice(draw_layers((operator,)), 1000)))
    assert reduce(first, condition) == parse_line(line)


def test_a_seed_draws_the_same_layers_and_another_one_others():
    first, again, other = (list(islice(draw_layers(seed=seed), 40)) for seed in (1, 1, 2))
    assert first == again
    assert len(set(first) & set(other)) < 3


def test_very_many_of_something_come_with_every_dtype_and_number_of_axes():
    drawn = list(islice(draw_layers((Operator.conv,)), 6000))
    for many in ([p for p in drawn if p.x[0] > 4096], [p for p in drawn if p.x[1] > 4096]):
        assert {(p.dtype, p.axes) for p in many} == {(dtype, axes) for dtype in DTYPES for axes in (1, 2, 3)}


def test_each_chosen_problem_is_mixed_in_once_as_one_in_three_in_the_order_of_its_operator():
    chosen = [
        parse_line(f"{operator} x=1x1x{n} {shape}")
        for operator, shape, count in (("conv", "w=1x1x1", 200), ("avg_pool", "kernel=1", 20))
        for n in range(1000, 1000 + count)
    ]
    marks = set(chosen)
    mixed = list(islice(mix_problems(draw_layers(seed=1), lambda: chosen, seed=1), 1000))
    assert [one for one in mixed if one not in marks] == list(islice(draw_layers(seed=1), 1000 - len(chosen)))
    places = [place for place, one in enumerate(mixed) if one in marks]
    assert len(places) == len(chosen) and {b - a for a, b in pairwise(places)} == {3}
    for operator in ("conv", "avg_pool"):
        assert [one for one in mixed if one in marks and one.operator == operator] == [
            one for one in chosen if one.operator == operator
        ]
    halfway = [one for one in mixed[: places[110]] if one in marks and one.operator == "avg_pool"]
    assert 8 <= len(halfway) <= 12


def test_problems_are_chosen_when_they_are_needed():
    called = []
    mixed = mix_problems(draw_layers(), lambda: called.append(1) or ())
    next(mixed)
    assert not called
    assert len(list(islice(mixed, 200))) == 200 and called == [1]
