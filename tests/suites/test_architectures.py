"""The architectures have the stored layers, and the published numbers of parameters."""

from collections import Counter

import pytest

from harness.networks.graph import INPUT
from harness.networks.problem import NetworkProblem
from harness.problems.operator import Operator
from suites.architectures import ARCHITECTURES
from suites.layers import layer_problem, read_layers
from tests.networks.gradients import worst

BY_NAME = {one.name: one for one in ARCHITECTURES}
STORED = [name for name in BY_NAME if name in read_layers()]
JOINS = {"add": "add", "cat": "concat", "cropcat": "concat", "upsample_to": "expand"}
QUICK = ("lenet5", "block", "dcgan_generator")


def _native(name):
    return NetworkProblem(architecture=BY_NAME[name], work="forward").network


@pytest.mark.parametrize("name", BY_NAME)
def test_parameters_are_those_published(name):
    one, network = BY_NAME[name], _native(name)
    counted = network.count(statistics=one.counts == "all")
    assert one.published is None or counted == one.published


def test_most_have_a_published_number():
    assert {name for name, one in BY_NAME.items() if one.published is None} == {"block", "deeplabv3_resnet50"}


def test_deeplab_is_what_torchvision_publishes_without_the_auxiliary_head():
    head = 1024 * 256 * 9 + 2 * 256 + 256 * 21 + 21  # 3x3 without bias, gamma and beta, 1x1 with bias
    assert _native("deeplabv3_resnet50").count() == 42_004_074 - head


def _shape_of(problem):
    return problem.with_(bias=False) if problem.operator in (Operator.conv, Operator.conv_transpose) else problem


@pytest.mark.parametrize("name", STORED)
def test_layers_are_the_stored_ones(name):
    nodes = {node.name: node for node in _native(name).nodes if node.problem is not None}
    stored = {layer["layer"]: layer for layer in read_layers()[name]["layers"]}
    assert set(stored) <= set(nodes)
    for rest in set(nodes) - set(stored):  # the lists leave out fully connected layers
        assert nodes[rest].kind == Operator.conv and nodes[rest].problem.kernel == nodes[rest].problem.x[2:], rest
    for layer_name, layer in stored.items():
        assert _shape_of(nodes[layer_name].problem) == layer_problem(layer, 1), layer_name
        assert nodes[layer_name].shape[2:] == (layer["oh"], layer["ow"]), layer_name


def _read(network, node, names):
    return [source for one in node.inputs for source in _sources(network, one, names)]


def _sources(network, name, names):
    """The named layers and joins that a node reads, through glue that has no name in the list."""
    if name == INPUT or name in names:
        return [name]
    node = next(node for node in network.nodes if node.name == name)
    return _read(network, node, names)


@pytest.mark.parametrize("name", STORED)
def test_layers_read_what_the_stored_ones_read(name):
    network, found = _native(name), read_layers()[name]
    joins = {join: parts for join, parts in found["joins"].items() if join != INPUT}
    names = {layer["layer"] for layer in found["layers"]} | set(joins)
    nodes = {node.name: node for node in network.nodes}
    for layer in found["layers"]:
        assert _read(network, nodes[layer["layer"]], names) == [layer["in"]], layer["layer"]
    for join, (kind, *parts) in joins.items():
        assert nodes[join].kind == JOINS[kind], join
        parts = parts[:1] if kind == "upsample_to" else parts  # the other one only lends its size
        assert _read(network, nodes[join], names) == parts, join
        cropped = [nodes[one].kind == "crop" for one in nodes[join].inputs]
        assert cropped == ([True, False] if kind == "cropcat" else [False] * len(parts)), join


@pytest.mark.parametrize("name", BY_NAME)
def test_the_small_size_reaches_every_layer(name):
    small, native = (
        NetworkProblem(architecture=BY_NAME[name], work="step", size=size).network for size in (BY_NAME[name].small, 0)
    )
    assert [node.name for node in small.nodes] == [node.name for node in native.nodes]
    assert [node.inputs for node in small.nodes] == [node.inputs for node in native.nodes]


@pytest.mark.parametrize("name", QUICK)
def test_gradients_are_those_of_automatic_differentiation(name):
    one = BY_NAME[name]
    problem = NetworkProblem(architecture=one, work="step", size=one.small, dtype="float64")
    assert worst(problem)[0] < 1e-10


def test_the_general_block_counts_as_its_options_say():
    def kinds(**options):
        problem = NetworkProblem(architecture=BY_NAME["block"], work="forward", options=tuple(options.items()))
        return Counter(node.kind for node in problem.network.nodes)

    assert kinds(N=3, M=2, b=1, K=2) == {"conv": 3 * 2 + 2, "relu": 3 * 2 + 1, "max_pool": 3}
    assert kinds(N=1, M=4, b=2, K=3) == {"conv": 4 + 3, "relu": 4 + 2, "max_pool": 2}
    assert kinds(N=2, M=1, b=0, K=1)["max_pool"] == 0
