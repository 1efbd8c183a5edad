"""Own gradients equal autograd's, and mixed or given decisions are followed."""

import numpy as np
import pytest

from harness.laws.networks.error_bounds import arrays_of, compute_reference, evaluate
from harness.networks.autograd import differentiate
from harness.networks.evaluate import backward, forward
from harness.networks.graph import INPUT
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import parse_network
from tests.networks.small import NETWORKS

LINES = ("network smooth step n=3 K=2", "network branched step n=2", "network branched step size=12 seed=3")


def _drawn(line):
    problem = parse_network(line, NETWORKS)
    return problem.network, make_values(problem), make_ends(problem)


@pytest.mark.parametrize("line", LINES)
def test_every_array_of_a_pass_is_autograds(line):
    network, values, ends = _drawn(line)
    own = evaluate(network, compute_reference, values, ends)
    truth = arrays_of(differentiate(network, values, ends[INPUT], ends[TARGET]))
    assert set(arrays_of(own)) == set(truth)
    assert {f"{node.name}.d{name}" for node in network.nodes for name in node.parameters} | {"dx"} <= set(truth)
    for name, a in arrays_of(own).items():
        assert np.allclose(a, truth[name], rtol=1e-10, atol=1e-13), name


def test_decisions_of_another_pass_are_followed_by_both():
    network, values, ends = _drawn("network branched step n=2")
    moved = ends | {INPUT: ends[INPUT] + 0.3}
    chosen = evaluate(network, compute_reference, values, moved).decisions
    own = evaluate(network, compute_reference, values, ends, chosen)
    truth = arrays_of(differentiate(network, values, ends[INPUT], ends[TARGET], chosen))
    free = arrays_of(evaluate(network, compute_reference, values, ends))
    assert all(np.allclose(a, truth[name], rtol=1e-10, atol=1e-13) for name, a in arrays_of(own).items())
    assert not np.allclose(own.gradients["dx"], free["dx"])


@pytest.mark.parametrize("line", LINES)
def test_nothing_is_held_that_is_not_needed_any_more(line):
    network, values, ends = _drawn(line)
    slim = forward(network, compute_reference, values, ends[INPUT], keep=False)
    whole = forward(network, compute_reference, values, ends[INPUT])
    assert list(slim.outputs) == [network.output.name]
    assert np.array_equal(slim.outputs[network.output.name], whole.outputs[network.output.name])
    kept = backward(network, compute_reference, values, whole, ends[TARGET])
    again = forward(network, compute_reference, values, ends[INPUT])
    slim = backward(network, compute_reference, values, again, ends[TARGET], keep=False)
    assert not slim.errors
    assert all(np.array_equal(a, slim.gradients[name]) for name, a in kept.gradients.items())
