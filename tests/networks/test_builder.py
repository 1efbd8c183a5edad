"""Layers that do not fit are reported when they are drawn."""

import pytest

from harness.errors import GeometryError
from harness.networks.builder import NetworkBuilder


@pytest.fixture
def net():
    builder = NetworkBuilder((2, 3, 8, 9))
    builder.conv("first", "input", 4, 3)
    return builder


def test_shapes_follow_from_the_operators(net):
    assert net.shape("first") == (2, 4, 6, 7)
    assert net.shape(net.conv("second", "first", 8, (3, 1), stride=2, pad=((0, 1), (1, 1)), groups=2)) == (2, 8, 3, 5)
    assert net.nodes["second"].parameters == {"w": (8, 2, 3, 1), "b": (8,)}
    assert net.shape(net.max_pool("max", "first", 3, stride=2, ceil=True)) == (2, 4, 3, 3)
    assert net.shape(net.avg_pool("mean", "first", 2)) == (2, 4, 3, 3)
    assert net.shape(net.conv_transpose("up", "first", 6, 2, stride=2, output_padding=1, bias=False)) == (2, 6, 13, 15)
    assert net.shape(net.dense("dense", "first", 10)) == (2, 10, 1, 1)
    assert net.nodes["dense"].parameters["w"] == (10, 4, 6, 7)
    assert net.shape(net.concat("both", "max", "mean")) == (2, 8, 3, 3)
    assert net.shape(net.crop("middle", "first", (4, 5))) == (2, 4, 4, 5)


def test_three_axes_and_one_are_drawn_as_well():
    assert NetworkBuilder((1, 2, 9)).conv("line", "input", 4, 3) == "line"
    cube = NetworkBuilder((1, 2, 5, 6, 7))
    assert cube.shape(cube.conv("cube", "input", 4, 3, pad=(0, 1, 0))) == (1, 4, 3, 6, 5)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (lambda net: net.relu("frist"), "unknown node: got 'frist', wanted one drawn before: first"),
        (lambda net: net.conv("first", "input", 4, 3), "the name 'first' is taken"),
        (lambda net: net.conv("input", "first", 4, 3), "the name 'input' is taken"),
        (lambda net: net.add("sum", "first", "input"), "wanted equal ones to be added"),
        (lambda net: net.concat("both", "first", "input"), "wanted equal ones but for channels"),
        (lambda net: net.crop("crop", "first", (7, 7)), "wanted a smaller size"),
        (lambda net: net.expand("wide", "first", (7, 7)), "wanted a single number a channel"),
        (lambda net: net.conv("large", "first", 4, 9), "impossible geometry"),
        (lambda net: net.conv("none", "first", 0, 3), "wanted no size of 0"),
    ],
)
def test_what_does_not_chain_is_one_clear_error(net, draw, words):
    with pytest.raises(GeometryError) as raised:
        draw(net)
    assert words in str(raised.value)


def test_a_network_has_one_end(net):
    net.check_ends()
    net.conv("second", "input", 4, 3)
    with pytest.raises(GeometryError, match="loose ends: first"):
        net.check_ends()
    with pytest.raises(GeometryError, match="no node"):
        NetworkBuilder((1, 1, 4)).check_ends()
