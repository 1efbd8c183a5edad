"""Layers of networks on their smallest space: what they keep, and that the default leaves no layer out."""

import math
from collections import Counter

import pytest

from harness import Operator
from suites.layers import network_names, network_problems
from suites.shrunk_layers import (
    FORMS,
    MOST_ELEMENTS,
    all_shrunk_problems,
    count_elements,
    distinct_layers,
    shrink,
    shrunk_problems,
)

WEIGHED = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad)


def _strip(problem):
    """Return a problem without what the suite varies: dtype, layout and data."""
    return problem.with_(dtype="float32", layout="channels-first", data="integer", seed=0)


@pytest.fixture(scope="module")
def default():
    return [named.problem for named in shrunk_problems()]


def test_a_small_space_is_like_the_layers_own():
    for network in network_names():
        for named in network_problems(network, 2, gradients=False):
            whole = named.problem
            small = shrink(whole)
            assert (small.x[:2], small.w, small.window) == (whole.x[:2], whole.w, whole.window)
            if whole.operator is not Operator.conv_transpose:
                assert [n % 2 for n in small.output[2:]] == [n % 2 for n in whole.output[2:]], named.name
            assert [n % 2 for n in small.x[2:]] == [n % 2 for n in whole.x[2:]], named.name
            assert math.prod(small.x) <= math.prod(whole.x)


def test_the_default_asks_every_layer_and_small_ones_in_full(default):
    asked = set(map(_strip, default))
    for layer in distinct_layers():
        wanted = {_strip(problem) for problem in layer.problems if count_elements(problem) <= MOST_ELEMENTS}
        assert wanted <= asked, layer.name
        assert asked.intersection(map(_strip, layer.problems)), layer.name


def test_the_operators_of_large_layers_are_asked_in_turn(default):
    large = [problem for problem in default if count_elements(problem) > MOST_ELEMENTS and problem.operator in WEIGHED]
    counts = Counter(problem.operator for problem in large)
    assert max(counts.values()) - min(counts[one] for one in WEIGHED) <= len(large) / 10, counts
    for operator in WEIGHED:  # a path for many channels on both sides and the usual kernel, in each of them
        assert any(p.operator is operator and min(p.w[:2]) >= 512 and p.kernel == (3, 3) for p in large), operator
        assert len({p.dtype for p in large if p.operator is operator}) == 3, operator


def test_default_and_the_rest_are_every_layer_in_every_form(default):
    deep = [named.problem for named in all_shrunk_problems()]
    assert not set(default) & set(deep)
    forms = Counter((_strip(problem), problem.dtype, problem.layout) for problem in {*default, *deep})
    layers = {_strip(problem) for layer in distinct_layers() for problem in layer.problems}
    assert {key[0] for key in forms} == layers
    assert len(forms) == len(layers) * len(FORMS)
