"""The laws of learning hold for right backends and are broken by faulty ones, each by what it is there for."""

import ml_dtypes
import numpy as np
import pytest

from harness.laws.networks.subject import NetworkUnderTest
from harness.networks.problem import parse_network
from suites.architectures.lenet import LENET5
from suites.laws import learning
from suites.laws.learning import LAWS, WANTED, digits_are_learnt, loss_curve_is_the_reference_curve
from tests.faulty.right import Right

pytest.importorskip("sklearn")
NETWORKS = {"lenet5": LENET5}
LINE = "network lenet5 step n=32"
SHORT = {digits_are_learnt: {"epochs": 1}, loss_curve_is_the_reference_curve: {"steps": 8}}


class Uphill(Right):
    """Kernel gradients have the wrong sign."""

    def conv_weight_grad(self, dy, x, w_shape, window):
        return -super().conv_weight_grad(dy, x, w_shape, window)


class ShortGradients(Right):
    """Kernel gradients keep 8 bits: enough to learn with, but not what float32 promises."""

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        return dw.astype(ml_dtypes.bfloat16).astype(dw.dtype)


def _apply(law, backend):
    problem = parse_network(LINE, NETWORKS)
    return law.check(NetworkUnderTest(backend, problem), problem, **SHORT[law])


@pytest.mark.parametrize(
    ("fields", "applies"),
    [("", True), (" seed=3", True), (" dtype=float64", True), (" size=32", True), (" dtype=float16", False),
     (" mixed=fft", False), (" size=36", False)],
)  # fmt: skip
def test_laws_apply_to_the_training_alone(fields, applies):
    assert all(law.applies(parse_network(LINE + fields, NETWORKS)) == applies for law in LAWS)
    assert not any(law.applies(parse_network("network lenet5 step n=2", NETWORKS)) for law in LAWS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["im2col", "torch"])
def test_the_curve_is_that_of_the_reference(name, registry):
    found = _apply(loss_curve_is_the_reference_curve, registry.backends[name])
    assert 0 < found.worst < 1
    assert found.compared == 8
    curves = found.attachments.curves
    assert np.allclose(curves["got"], curves["wanted"], rtol=1e-4)
    assert curves["got"][-1] < curves["got"][0]


@pytest.mark.slow
def test_short_gradients_learn_but_leave_the_curve(registry):
    found = _apply(loss_curve_is_the_reference_curve, ShortGradients())
    assert not found.passed
    assert "beyond its bound from step 1 of 8 on" in found.describe()
    assert _apply(digits_are_learnt, ShortGradients()).attachments.figures["accuracy"] > 0.8


def test_a_gradient_of_the_wrong_sign_learns_nothing():
    found = _apply(digits_are_learnt, Uphill())
    assert not found.passed
    assert f"wanted {100 * WANTED:g} %" in found.what


@pytest.mark.slow
def test_what_is_shown_is_what_was_learnt(registry, monkeypatch):
    monkeypatch.setattr(learning, "WANTED", 0.5)  # one epoch is not enough for the share that is wanted of ten
    found = _apply(digits_are_learnt, registry.backends["im2col"])
    figures, curves = found.attachments.figures, found.attachments.curves
    assert figures["accuracy"] == curves["accuracy"][-1] > 0.8
    assert figures["steps"] == 44
    assert len(curves["loss"]) == 11
    assert found.passed
