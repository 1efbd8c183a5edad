"""Every law holds for a right implementation and is broken by a faulty one; no planted fault survives."""

import pytest

from harness.record.run import WRONG
from suites.correctness import asked_problems
from suites.laws import all_laws
from tests.asking import ask
from tests.faulty import (
    algebra,
    backward,
    cheating,
    forward,
    geometry,
    gradients,
    memory,
    numerics,
    pooling,
    pooling_more,
    public_paths,
    state,
    threads,
)
from tests.faulty.right import Right
from tests.suites.asked import ASKED, list_asked
from tests.suites.killers import FOUND_BY, KILLERS, SOON

LAWS = {law.name: law for law in all_laws()}
MODULES = (
    algebra,
    backward,
    cheating,
    forward,
    geometry,
    gradients,
    memory,
    numerics,
    pooling,
    pooling_more,
    public_paths,
    state,
    threads,
)
FAULTS = {fault.name: fault for module in MODULES for fault in module.FAULTS}

EVERY = 4  # of the problems of a law for a right backend; the others are slow
HELD = {"passed", "skipped"}  # skipped: sums that are not exact in the dtype


def _outcome(backend, law, problem):
    return ask(backend, law, problem.line).outcome


@pytest.mark.slow  # makes all problems
def test_all_other_problems_are_asked_one_law():
    assert [one.problem for one in asked_problems() if not one.laws] == ASKED


@pytest.mark.parametrize("name", LAWS)
def test_law_holds_for_a_right_backend(name):
    outcomes = {_outcome(Right(), LAWS[name], problem) for problem in list_asked(LAWS[name])[::EVERY]}
    assert "passed" in outcomes
    assert outcomes <= HELD


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_law_holds_for_a_right_backend_on_all_other_problems(name):
    others = [problem for number, problem in enumerate(list_asked(LAWS[name])) if number % EVERY]
    assert {_outcome(Right(), LAWS[name], problem) for problem in others} <= HELD


@pytest.mark.parametrize("name", LAWS)
def test_law_is_broken_by_its_fault(name):
    fault = FAULTS[KILLERS[name]]()
    assert any(_outcome(fault, LAWS[name], problem) in WRONG for problem in list_asked(LAWS[name]))


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_survives(name):
    first = [law for law, killer in KILLERS.items() if killer == name]  # the quickest way to it
    first += [found[name] for found in (FOUND_BY, SOON) if name in found]
    laws = [LAWS[law] for law in dict.fromkeys([*first, "agrees-with-reference", *LAWS])]
    assert any(_outcome(FAULTS[name](), law, problem) in WRONG for law in laws for problem in list_asked(law))
