"""Each element-wise operation has the gradient of automatic differentiation, and a wrong one is detected."""

import pytest

from harness.networks.elementwise import GLUE
from tests.networks.gradients import step, worst


def _around(add):
    """A network with one operation between convolutions, away from every discontinuity."""

    def build(net):
        add(net, net.conv("before", "input", 4, 3))
        last = list(net.nodes)[-1]
        net.dense("after", last, 5)

    return build


KINDS = {
    "relu": lambda net, x: net.relu(x),
    "sigmoid": lambda net, x: net.sigmoid(x),
    "tanh": lambda net, x: net.tanh(x),
    "lrn": lambda net, x: net.lrn("lrn", x, size=3, alpha=0.5, beta=0.75, k=2.0),
    "norm": lambda net, x: net.norm("norm", x, gain=0.5),
    "scale": lambda net, x: net.scale("scale", x, 0.3),
    "add": lambda net, x: net.add("sum", x, net.conv("beside", "input", 4, 3), x),
    "concat": lambda net, x: net.concat("joined", net.conv("beside", "input", 2, 3), x),
    "crop": lambda net, x: net.crop("crop", x, (3, 2)),
    "expand": lambda net, x: net.expand("spread", net.global_pool("mean", x), (3, 2)),
}


def test_every_kind_is_asked():
    assert set(KINDS) == set(GLUE)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_automatic_differentiation(kind):
    assert worst(step(_around(KINDS[kind])))[0] < 1e-12


def test_normalisation_may_have_no_gamma():
    assert worst(step(_around(lambda net, x: net.norm("norm", x, scale=False))))[0] < 1e-12


def test_a_window_of_channels_may_be_wider_than_all_of_them():
    assert worst(step(_around(lambda net, x: net.lrn("lrn", x, size=9, alpha=0.5))))[0] < 1e-12


def test_the_other_loss_has_its_gradient():
    assert worst(step(_around(KINDS["tanh"]), loss="projection"))[0] < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_gradient_is_seen(kind, monkeypatch):
    forward, backward = GLUE[kind]

    def wrong(*given):
        parts, learnt = backward(*given)
        return [1.001 * part for part in parts], learnt

    monkeypatch.setitem(GLUE, kind, (forward, wrong))
    assert worst(step(_around(KINDS[kind])))[0] > 1e-6


def test_a_wrong_gradient_of_a_parameter_is_seen(monkeypatch):
    forward, backward = GLUE["norm"]

    def wrong(*given):
        parts, learnt = backward(*given)
        return parts, learnt | {"dgamma": learnt["dbeta"]}

    monkeypatch.setitem(GLUE, "norm", (forward, wrong))
    assert worst(step(_around(KINDS["norm"])))[1] == "norm.dgamma"
