"""Digits, batches and the descent; what is learnt is learnt by the backend's operators."""

import sys
from itertools import islice

import numpy as np
import pytest

from harness.backend.routing import UnsupportedError
from harness.laws.networks.subject import NetworkUnderTest
from harness.networks.initialise import make_values
from harness.networks.problem import NetworkProblem
from suites.architectures.lenet import LENET5
from suites.training import HELD_OUT, RATE, draw_batches, expect_losses, load_digits, trace_losses, train
from tests.faulty.right import Right

sklearn = pytest.importorskip("sklearn")
PROBLEM = NetworkProblem(architecture=LENET5, work="step", n=32)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def subject(registry):
    return NetworkUnderTest(registry.backends["im2col"], PROBLEM)


def test_digits_are_whole_standardised_and_held_out_ones_are_apart(digits):
    assert digits.x.shape[1:] == digits.held_x.shape[1:] == (1, 32, 32)
    assert len(digits.x) + len(digits.held_x) == 1797
    assert len(digits.held_x) == -(-1797 // HELD_OUT)
    assert abs(float(digits.x.mean(dtype=np.float64))) < 1e-4
    assert digits.x.dtype == np.float32
    assert set(digits.labels) == set(digits.held_labels) == set(range(10))
    training = {a.tobytes() for a in digits.x}
    assert not any(a.tobytes() in training for a in digits.held_x)


def test_every_epoch_shows_other_batches_in_an_order_of_its_seed(digits):
    steps = len(digits.x) // PROBLEM.n
    first = [x for x, _ in islice(draw_batches(digits, PROBLEM), 2 * steps)]
    again = [x for x, _ in islice(draw_batches(digits, PROBLEM), 2 * steps)]
    other = [x for x, _ in islice(draw_batches(digits, PROBLEM.with_(seed=1)), 1)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[steps])
    assert not np.array_equal(first[0], other[0])
    epoch = {a.tobytes() for x in first[:steps] for a in x}
    assert len(epoch) == len({a.tobytes() for a in np.concatenate(first[:steps])}) > 0.95 * steps * PROBLEM.n


def test_a_step_goes_down_the_gradient(digits, subject):
    """The first step changes the parameters by -RATE dL/dtheta, seen in the loss of the same batch."""
    (x, target), *_ = islice(draw_batches(digits, PROBLEM), 1)
    values = make_values(PROBLEM)
    tape = subject.run(values, {"input": x, "target": target})
    moved = {name: values[name] - RATE * tape.gradients[f"{name.rpartition('.')[0]}.d{name.rpartition('.')[2]}"]
             for name in subject.network.parameters}  # fmt: skip
    after = subject.run(values | moved, {"input": x, "target": target})
    assert float(after.loss) < float(tape.loss)
    assert float(tape.loss) == pytest.approx(trace_losses(subject, digits, 1)[0], rel=1e-6)


@pytest.mark.slow
def test_one_epoch_learns_most_digits(digits, subject):
    found = train(subject, digits, epochs=1)
    assert found.accuracies[-1] > 0.8
    assert len(found.losses) == len(digits.x) // PROBLEM.n
    assert found.losses[-1] < 0.5 * found.losses[0]
    assert found.seconds > 0


def test_the_bound_on_the_curve_grows_from_rounding(digits):
    wanted, moved = expect_losses(NetworkUnderTest(Right(), PROBLEM), digits, 6)
    assert np.all(np.diff(moved) >= 0)
    assert 1e-9 < moved[0] / wanted[0] < 1e-5
    assert moved[-1] < 1e-3


def test_without_scikit_learn_there_is_one_clear_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'conv-harness\[learn\]'"):
        load_digits()
