"""The table of known bugs, and what the suite says of backends that have them."""

from collections import Counter

import pytest

import harness
from harness.errors import UsageError
from harness.generate.dispatch.reach import measure_reach
from harness.plugins.manager import load_plugins
from harness.record.run import WRONG
from suites.correctness import asked_problems
from suites.known_bugs import find_gaps, known_bugs, read_bugs
from suites.laws import all_laws
from tests.asking import ask
from tests.faulty.public_reports import REPORTS
from tests.faulty.right import Right

LAWS = {law.name: law for law in all_laws()}
BUGS = {bug.id: bug for bug in known_bugs()}
ROW = """
[[bug]]
project = "owner/name"
number = 7
title = "t"
backends = ["right"]
lines = ["conv x=1x2x9 w=3x2x3 data=integer"]
laws = ["agrees-with-reference"]
see = "s"
unseen = "u"
"""
HEAVY = 10**6  # elements; whether a right backend passes them is what the planted faults show


def test_the_table_is_long_enough_and_every_row_is_named_once():
    assert len(known_bugs()) >= 25
    assert sum(bool(bug.seen) for bug in known_bugs()) >= 8
    assert not [name for name, number in Counter(bug.id for bug in known_bugs()).items() if number > 1]


def test_no_cell_stands_in_two_rows():
    cells = [
        (bug.arm(name), law, problem.line)
        for bug in known_bugs() for name in bug.backends for law in bug.laws for problem in bug.problems
    ]  # fmt: skip
    assert not [cell for cell, number in Counter(cells).items() if number > 1 and cell[0] in load_plugins().backends]


@pytest.mark.parametrize("name", BUGS)
def test_every_law_of_a_row_applies_to_a_line_and_every_line_has_a_law(name):
    bug = BUGS[name]
    for law in bug.laws:
        assert any(LAWS[law].applies(problem) for problem in bug.problems), law
    for problem in bug.problems:
        assert any(LAWS[law].applies(problem) for law in bug.laws), problem.line


@pytest.mark.parametrize("name", BUGS)
def test_a_right_backend_passes_the_row_with_proof(name):
    for problem in BUGS[name].problems:
        if sum(map(_size, problem.shapes.values())) > HEAVY or problem.flops > 3e7:
            continue
        for law in BUGS[name].laws:
            if LAWS[law].applies(problem):
                found = ask(Right(), LAWS[law], problem.line)
                assert (found.outcome, found.reason) == ("passed", None)
                assert not found.deviation.proves_nothing


def _size(shape):
    size = 1
    for n in shape:
        size *= n
    return size


@pytest.mark.parametrize("name", REPORTS)
def test_a_planted_imitation_is_killed_by_its_row(name):
    bug, fault = BUGS[name], REPORTS[name]()
    outcomes = {
        ask(fault, LAWS[law], problem.line).outcome
        for law in bug.laws for problem in bug.problems if LAWS[law].applies(problem)
    }  # fmt: skip
    assert outcomes & WRONG
    assert outcomes & {*bug.shows}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("number = 7", "numbre = 7", "got the field 'numbre'"),
        ("number = 7", "", "wanted one of them"),
        ("number = 7", 'number = "7"', "Expected `int`"),
        ('see = "s"', "", "missing required"),
        ('unseen = "u"', "", "`seen` or `unseen`"),
        ('unseen = "u"', 'unseen = "u"\nseen = "s"', "`seen` or `unseen`"),
        ('laws = ["agrees-with-reference"]', "laws = []", "at least one"),
        ('title = "t"', 'title = "t', "wanted TOML"),
    ],
)
def test_a_row_that_says_too_little_or_too_much_is_refused(old, new, words):
    assert len(read_bugs(ROW, "table")) == 1
    with pytest.raises(UsageError, match="table") as error:
        read_bugs(ROW.replace(old, new), "table")
    assert words in str(error.value)


def test_gaps_between_the_table_and_a_generator_are_named():
    reasons = [bug.id for bug in known_bugs() if bug.domain]
    assert len(reasons) >= 2
    everything = find_gaps(lambda problem: True)
    assert [gap.partition(": ")[0] for gap in everything] == reasons
    nothing = find_gaps(lambda problem: False)
    assert [gap.partition(": ")[0] for gap in nothing] == [bug.id for bug in known_bugs() if not bug.domain]


@pytest.mark.slow  # makes all problems
def test_every_report_is_within_reach_of_the_suite_correctness_or_says_why_not():
    reach = measure_reach(one.problem for one in asked_problems())
    assert find_gaps(lambda problem: not reach.list_misses(problem)) == []


def test_a_backend_that_is_asked_only_where_it_is_named():
    registry = load_plugins()
    assert "torch-as-released" in registry.backends
    assert "torch-as-released" not in registry.listed
    assert harness.Backend.listed
