"""Problems of the suite `speed`, and the problem sets from which they are chosen."""

import itertools

import pytest

from harness import Operator
from harness.plugins.manager import load_plugins
from suites.layers import forward_layers, network_names, network_problems
from suites.signals_and_volumes import NETWORKS
from suites.speed import speed_problems, varied_problems
from suites.sweeps import SWEEPS, sweep_problems

PROBLEMS = [named.problem for named in speed_problems()]
BEFORE = 126  # problems of the suite when it had two axes, float32 and channels first only


def test_the_suite_has_every_kind_of_layer_that_networks_have():
    assert {problem.axes for problem in PROBLEMS} == {1, 2, 3}
    assert {problem.dtype for problem in PROBLEMS} == {"float32", "float16", "bfloat16"}
    assert {problem.layout for problem in PROBLEMS} == {"channels-first", "channels-last"}
    assert any(max(problem.window.dilation) > 1 for problem in PROBLEMS)
    groups = {(problem.window.groups, problem.x[1]) for problem in PROBLEMS}
    assert any(1 < g < channels for g, channels in groups)
    assert any(g == channels > 1 for g, channels in groups)
    assert {problem.operator for problem in PROBLEMS} >= {
        Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.max_pool
    }  # fmt: skip


def test_it_costs_about_what_it_did():
    assert len(PROBLEMS) == len(set(PROBLEMS))
    assert len(PROBLEMS) <= 1.1 * BEFORE


def test_formats_and_operators_are_chosen_in_both_layouts():
    chosen = [(named.name.partition("/")[0], named.problem) for named in varied_problems()]
    assert {name for name, _ in chosen} >= {"mobilenet_v1", "deeplabv3_resnet50", "c3d", "m5", "conv_tasnet"}
    for dtype in ("float32", "float16", "bfloat16"):
        assert {p.layout for _, p in chosen if p.dtype == dtype} == {"channels-first", "channels-last"}
    for operator in (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad):
        assert {p.layout for _, p in chosen if p.operator is operator} == {"channels-first", "channels-last"}


def test_short_formats_are_timed_on_small_layers():
    assert all(problem.flops < 1e8 for problem in PROBLEMS if problem.dtype != "float32")


@pytest.mark.parametrize("quantity", SWEEPS)
def test_a_sweep_grows_one_quantity_and_its_timed_points_are_among_its_values(quantity):
    sweep, problems = SWEEPS[quantity], sweep_problems(quantity)
    assert set(sweep.timed) <= set(sweep.values)
    assert len(sweep.timed) >= 2
    assert [named.name for named in problems] == [f"sweep-{quantity}/{value}" for value in sweep.values]
    assert len({named.problem for named in problems}) == len(problems)
    assert all(named.problem.y[2:] == named.problem.x[2:] for named in problems)  # equal width


def test_no_point_stands_in_two_sweeps():
    every = [named.problem for quantity in SWEEPS for named in sweep_problems(quantity)]
    assert len(set(every)) == len(every)


def test_every_network_and_sweep_is_a_problem_set_in_full():
    sets = load_plugins().problems
    assert {*network_names(), *(f"sweep-{quantity}" for quantity in SWEEPS)} <= set(sets)
    for name in NETWORKS:
        operators = {named.problem.operator for named in sets[name].problems()}
        assert operators >= {Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad}
        assert NETWORKS[name].source in sets[name].description


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_one_network_fit_each_other(name):
    layers = [problem for _, problem, _, _ in forward_layers(name, 1)]
    assert sum(first for _, _, _, first in forward_layers(name, 1)) == 1
    if name != "conv_tasnet":  # whose blocks stand side by side
        channels = [(a.y[1], b.x[1]) for a, b in itertools.pairwise(layers) if b.x[1] != 768]
        assert all(given == taken for given, taken in channels)


def test_a_batch_multiplies_images_and_keeps_what_a_network_needs_twice():
    one, four = ({name: p for name, p, _, _ in forward_layers("conv_tasnet", n)} for n in (1, 4))
    assert one["decoder"].x[0] == 2
    assert four["decoder"].x == (8, *one["decoder"].x[1:])
    times = {named.name: named.multiplicity for named in network_problems("conv_tasnet", 1, gradients=False)}
    assert times["conv_tasnet/depthwise-d8"] == 3
    assert times["conv_tasnet/bottleneck"] == 1 + 48  # the blocks have layers of its shape, which go by the first name
