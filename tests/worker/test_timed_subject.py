"""Whole networks are timed as operators are: verified, with inputs that move on and parameters that stay."""

from dataclasses import replace

import numpy as np
import pytest

from harness.networks.problem import parse_network
from harness.problems.line import parse_line
from harness.worker.host.timed_problem import sample
from harness.worker.outcome import WrongAnswerError
from harness.worker.protocol import Sample, Sampled
from tests.asking import make_ready
from tests.faulty.backward import InputGradFlipped
from tests.faulty.right import Right
from tests.networks.small import NETWORKS

LINES = ("network branched forward", "network branched step n=2", "network smooth step K=2")


@pytest.fixture
def networks_registry(registry):
    return replace(registry, networks=NETWORKS)


@pytest.mark.parametrize("line", LINES)
def test_a_pass_is_timed_and_verified_before_and_after(line, networks_registry):
    session, reply = make_ready(Right(), line, networks_registry)
    assert reply.outcome == "passed", reply.reason
    attachments = reply.deviation.attachments
    problem = parse_network(line, NETWORKS)
    assert attachments.figures["parameters"] == problem.network.count()
    assert {parse_line(one): count for one, count in attachments.parts.items()} == problem.network.layers(problem.work)
    done = sample(session, Sample(budget_ns=1_000_000, warm_ns=0, least=2))
    assert isinstance(done, Sampled)
    assert len(done.samples_ns) >= 2


def test_inputs_move_on_and_parameters_stay(networks_registry):
    session, _ = make_ready(Right(), LINES[1], networks_registry)
    before, kernel = session.devices[0]["input"].copy(), session.devices[0]["stem.w"].copy()
    session.rotate()
    assert not np.array_equal(session.devices[0]["input"], before)
    assert np.array_equal(session.devices[0]["stem.w"], kernel)


def test_a_wrong_layer_is_named_instead_of_a_time(networks_registry):
    session, reply = make_ready(InputGradFlipped(), LINES[1], networks_registry)
    assert session is None
    assert reply.outcome == "failed"
    assert "conv_input_grad" in reply.reason


def test_a_pass_that_goes_wrong_while_it_is_timed_is_no_time(networks_registry):
    backend = Right()
    session, _ = make_ready(backend, LINES[1], networks_registry)
    backend.conv_weight_grad = lambda dy, x, w_shape, window: (
        1.01 * Right.conv_weight_grad(backend, dy, x, w_shape, window)
    )
    with pytest.raises(WrongAnswerError, match="in a timed call"):
        sample(session, Sample(budget_ns=1_000_000, warm_ns=0, least=2))


def test_another_order_of_sums_is_no_wrong_answer(networks_registry):
    backend = Right()
    session, _ = make_ready(backend, LINES[1], networks_registry)

    def backwards(dy, x, w_shape, window):
        return Right.conv_weight_grad(backend, dy[::-1], x[::-1], w_shape, window)

    backend.conv_weight_grad = backwards
    assert sample(session, Sample(budget_ns=1_000_000, warm_ns=0, least=2)).samples_ns
