"""Rows of networks: nothing unverified, nothing without its reason, each network and backend once."""

from dataclasses import replace

import pytest

from harness.analysis.networks import network_rows
from harness.laws.deviation import Deviation
from tests.reports.made import PLAIN, check_network, make_run, result, time_cell, time_network

FORWARD, STEP = "network made forward", "network made step"


def _one(*results):
    (row,) = network_rows(make_run(*results))
    return row


def test_a_row_has_times_errors_and_memory():
    row = _one(
        time_network(0, "a", FORWARD, [1e6] * 3), time_network(1, "a", STEP, [3e6] * 3), check_network("a", 0.25),
        check_network("a", 0.75, law="error-terms-layer-by-layer"),
    )  # fmt: skip
    assert (row.network, row.given, row.arm) == ("made", "", "a")
    assert (row.time("forward").value, row.time("step").value) == (pytest.approx(1e6), pytest.approx(3e6))
    assert row.gflops("step") == pytest.approx(5e5 / 3e6)
    assert (row.figure("parameters"), row.figure("activation bytes", "step")) == (1234.0, 2.0 * 2**20)
    assert (row.memory("memory_bytes"), row.memory("workspace_bytes")) == (3 * 4096, 64)
    assert row.worst == 0.25
    assert (row.ran, row.passed, row.broken, row.idle, row.wrong) == (2, 2, (), (), False)
    assert (row.why("forward"), row.why("step")) == (None, None)


@pytest.mark.parametrize(
    ("changed", "why", "wrong"),
    [
        ({"outcome": "failed", "reason": "first: y is wrong"}, "failed: first: y is wrong", True),
        ({"outcome": "unsupported", "reason": "no pools"}, "unsupported: no pools", False),
        ({"deviation": Deviation(kind="bound", worst=0.0, compared=0)}, "its check proves nothing", False),
    ],
)
def test_what_is_not_verified_has_a_reason_instead_of_a_time(changed, why, wrong):
    row = _one(time_network(0, "a", FORWARD, [1e6] * 3), replace(time_network(1, "a", STEP, [3e6] * 3), **changed))
    assert (row.time("step"), row.gflops("step"), row.memory("memory_bytes")) == (None, None, None)
    assert (row.why("step"), row.wrong) == (why, wrong)
    assert row.time("forward") is not None


def test_broken_idle_and_empty_laws_are_told_apart():
    idle = [result("a", law, STEP, "unsupported", None, reason="no pools") for law in ("one", "two")]
    other = result("a", "three", STEP, "skipped", None, reason="too large")
    empty = result("a", "four", STEP, "passed", Deviation(kind="norm", worst=0.0, compared=0))
    row = _one(check_network("a", 3.0), *idle, other, empty)
    assert (row.ran, row.passed, row.broken, row.wrong) == (2, 0, ("network-equals-autograd",), True)
    assert row.idle == ("2 laws unsupported: no pools", "three skipped: too large", "four proves nothing")


def test_rows_are_networks_as_planned_inputs_and_backends_as_named():
    run = make_run(
        time_network(8, "a", "network second step N=3", [1e6]),
        check_network("a", 0.5, line="network first step"), check_network("b", 0.5, line="network first step"),
        time_network(5, "b", "network second step", [1e6]), time_network(7, "a", "network second step n=8", [1e6]),
        time_network(6, "a", "network second step", [1e6]),
        time_cell(9, "a", [10.0], PLAIN),
    )  # fmt: skip
    assert [(row.network, row.given, row.arm) for row in network_rows(run)] == [
        ("first", "", "a"), ("first", "", "b"), ("second", "", "a"), ("second", "", "b"), ("second", "n=8", "a"),
        ("second N=3", "", "a"),
    ]  # fmt: skip


def test_laws_on_other_inputs_belong_to_every_row_of_the_network():
    first, second = network_rows(make_run(
        time_network(1, "a", STEP, [1e6]), time_network(2, "a", f"{STEP} n=8", [1e6]), check_network("a", 0.5)
    ))  # fmt: skip
    assert (first.given, second.given) == ("", "n=8")
    assert first.worst == second.worst == 0.5


def test_a_network_that_only_learns_is_no_row():
    assert network_rows(make_run(check_network("a", 0.5, law="digits-are-learnt"))) == ()
