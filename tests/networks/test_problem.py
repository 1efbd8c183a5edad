"""The line of a network's problem round-trips, and its faults are reported in one line."""

import pytest

from harness.errors import GeometryError, LineError
from harness.networks.problem import NetworkProblem, is_network_line, parse_network
from tests.networks.small import BRANCHED, NETWORKS, SMOOTH

LINES = (
    "network smooth forward",
    "network smooth step K=3 n=4 size=10 dtype=float64 seed=7 mixed=fft",
    "network branched step n=2",
)


@pytest.mark.parametrize("line", LINES)
def test_a_canonical_line_reads_back(line):
    assert is_network_line(line)
    assert parse_network(line, NETWORKS).line == line


def test_fields_come_in_any_order_and_defaults_are_left_out():
    assert (
        parse_network("network  smooth step seed=0 size=10 K=1 n=2", NETWORKS).line == "network smooth step n=2 size=10"
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("network smooth", "wanted 'network NAME forward' or 'network NAME step'"),
        ("network smooth back", "wanted 'network NAME forward' or 'network NAME step'"),
        ("network smoth step", "did you mean 'smooth'?"),
        ("network smooth step x=1", "wanted each of n=, size=, dtype=, seed=, mixed=, K= at most once"),
        ("network smooth step n=2 n=3", "at most once"),
        ("network smooth step n", "at most once"),
        ("network branched step K=2", "got 'K=2'"),
        ("network smooth step n=two", "n: got 'two', wanted a whole number"),
    ],
)
def test_a_wrong_line_says_where(line, words):
    with pytest.raises(LineError) as raised:
        parse_network(line, NETWORKS)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("n=0", "n of at least 1"),
        ("size=2", "network smooth step size=2"),
        ("dtype=float8", "unknown dtype: got 'float8'"),
    ],
)
def test_an_impossible_problem_is_refused_before_anything_is_computed(fields, words):
    with pytest.raises(GeometryError) as raised:
        parse_network(f"network smooth step {fields}", NETWORKS)
    assert words in str(raised.value)


def test_a_step_costs_the_gradients_too():
    forward, step = (NetworkProblem(architecture=BRANCHED, work=work) for work in ("forward", "step"))
    assert 2.5 * forward.flops < step.flops < 3.5 * forward.flops
    assert step.bytes > forward.bytes


def test_an_option_changes_the_graph():
    one, two = (parse_network(f"network smooth forward K={k}", NETWORKS) for k in (1, 2))
    assert two.network.count() == one.network.count() + 5 * 5 + 5
    assert one == NetworkProblem(architecture=SMOOTH, work="forward", options=(("K", 1),))
