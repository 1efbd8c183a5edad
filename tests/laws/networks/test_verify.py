"""A right backend stays far within the bounds of a whole network; small faults in one layer do not, and are named."""

import sys

import ml_dtypes
import numpy as np
import pytest

from harness.laws.networks.error_bounds import allowed, response, take_elements
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.networks.verify import compare_norms, find_truth, verify_network, verify_network_layers
from harness.networks.problem import parse_network
from harness.problems.numerics import FORMATS
from tests.faulty.right import Right
from tests.networks.small import NETWORKS

LINES = ("network smooth step n=2 K=2", "network branched step n=2")


class LossyKernelGradient(Right):
    """One plane of the kernel's gradient keeps 8 bits of each element."""

    def conv_weight_grad(self, dy, x, w_shape, window):
        dw = super().conv_weight_grad(dy, x, w_shape, window)
        dw[-1, -1] = dw[-1, -1].astype(ml_dtypes.bfloat16)
        return dw


class WrongInOneLayer(Right):
    """The input gradient of strided convolutions leaves one tap of sixteen channels out."""

    def conv_input_grad(self, dy, w, x_shape, window):
        if max(window.stride) > 1:
            w = w.copy()
            w[..., 0, 0] = 0
        return super().conv_input_grad(dy, w, x_shape, window)


class TakesTheSecond(Right):
    """The neighbour of the maximum is taken for it, consistently."""

    def max_pool(self, x, window):
        _, indices = super().max_pool(x, window)
        second = np.maximum(indices - 1, 0)
        return take_elements(x, second), second


def _whole(backend, line):
    subject = NetworkUnderTest(backend, parse_network(line, NETWORKS))
    values, ends = subject.draw()
    return verify_network(subject, subject.evaluate(values, ends), values, ends)


def _layers(backend, line):
    subject = NetworkUnderTest(backend, parse_network(line, NETWORKS))
    values, ends = subject.draw()
    return verify_network_layers(subject, values, ends)[0]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_right_backend_is_well_within_its_bounds(line, seed):
    found = _whole(Right(), f"{line} seed={seed}")
    assert 0 < found.worst < 0.5
    assert found.compared > 1000
    assert _layers(Right(), f"{line} seed={seed}").passed


@pytest.mark.parametrize("line", LINES)
def test_short_numbers_in_a_corner_of_one_gradient_are_seen(line):
    found = _whole(LossyKernelGradient(), f"{line} seed=1")  # in the branched one near its bound: two seeds of six pass
    assert not found.passed
    assert ".dw" in found.what
    assert "conv_weight_grad" in _layers(LossyKernelGradient(), line).what


def test_the_wrong_layer_is_named_and_no_other_is_blamed():
    found = _layers(WrongInOneLayer(), LINES[1])
    assert not found.passed
    assert found.what.startswith("strided, conv_input_grad")
    assert not _whole(WrongInOneLayer(), LINES[1]).passed


def test_a_choice_that_rounding_does_not_explain_is_wrong():
    found = _whole(TakesTheSecond(), LINES[1])
    assert not found.passed
    assert "what max chose" in found.what


def test_the_bound_grows_with_depth():
    subject = NetworkUnderTest(Right(), parse_network("network smooth step n=2 K=4", NETWORKS))
    values, ends = subject.draw()
    tape = subject.evaluate(values, ends)
    truth = find_truth(subject, values, ends, tape.decisions)
    moved = response(subject.network, subject.numerics_for, values, ends, truth, tape.decisions, 0)
    names = [node.name for node in subject.network.nodes]
    relative = [moved[f"y of {name}"] / np.linalg.norm(truth.outputs[name]) for name in names]
    assert relative[0] < relative[len(relative) // 2] < relative[-1] < 1e-4


def test_the_reference_stands_in_for_torch(monkeypatch):
    pytest.importorskip("torch")
    subject = NetworkUnderTest(Right(), parse_network(LINES[1], NETWORKS))
    values, ends = subject.draw()
    tape = subject.evaluate(values, ends)
    by_torch = find_truth(subject, values, ends, tape.decisions)
    monkeypatch.setitem(sys.modules, "torch", None)
    by_reference = find_truth(subject, values, ends, tape.decisions)
    assert by_torch.gradients["dx"] is not by_reference.gradients["dx"]
    assert np.allclose(by_torch.gradients["dx"], by_reference.gradients["dx"], rtol=1e-10, atol=1e-14)
    assert verify_network(subject, tape, values, ends).passed


def test_norms_are_compared_with_a_share_of_what_is_wanted():
    wanted = np.array([3.0, 4.0])
    assert compare_norms("a", wanted, wanted, 0.0).worst == 0
    assert compare_norms("a", wanted + np.array([0.5, 0]), wanted, 0.2).worst == pytest.approx(0.5)
    assert not compare_norms("a", wanted * np.nan, wanted, 0.2).passed
    assert not compare_norms("a", wanted[:1], wanted, 0.2).passed
    assert allowed(wanted, 0.25, FORMATS["float32"].u) == pytest.approx(2.0, rel=1e-5)
