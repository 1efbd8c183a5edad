"""Causes of wrong results: what is one fault, what is not, and which problem stands for it."""

from dataclasses import replace

import pytest

from harness.analysis.causes import group_results, measure_line, simplify
from harness.analysis.failures import find_causes, group_failures
from tests.reports.made import fail, result

LINES = [f"conv x=1x2x{size} w=3x2x3" for size in (30, 9, 20)]


def _raise(reason, law="agrees-with-reference", line=LINES[0], outcome="error"):
    return result("mine", law, line, outcome, None, reason=reason)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("ValueError: got 3x4 and 12 (a.py:3)", "ValueError: got 5x6 and 30 (a.py:3)", True),
        ("ValueError: got 3x4 (a.py:3)", "ValueError: got 3x4 (a.py:4)", False),
        ("killed by signal 11", "killed by signal 6", False),
        ("OSError: [Errno 2] no file", "OSError: [Errno 13] no file", False),
        ("no float16 here", "no float32 here", False),
        ("ends after 1.5e-3 s", "ends after 20 s", True),
        ("TypeError: no (a.py:3)", "ValueError: no (a.py:3)", False),
    ],
)
def test_numbers_of_a_cell_do_not_tell_causes_apart_but_places_signals_and_types_do(one, other, alike):
    assert (simplify(one) == simplify(other)) == alike
    assert (len(group_results([_raise(one), _raise(other)])) == 1) == alike


def test_an_exception_is_one_cause_in_all_laws_with_its_smallest_problem_first():
    found = [_raise("OSError: no", law, line) for law in ("a", "b") for line in LINES]
    (cause,) = group_results(found)
    assert (cause.first.problem, len(cause.cells), cause.laws) == (LINES[1], 6, "2 laws")
    assert len(group_results([*found, _raise("OSError: no", outcome="crashed")])) == 2


def test_wrong_answers_are_one_cause_in_one_law_where_they_are_wrong_alike():
    border = [fail(line=line, note="wrong only on the border, 12 of 30") for line in LINES]
    channels = fail(note="wrong only in the last channels")
    other_law = replace(border[0], law="another")
    assert [len(cause.cells) for cause in group_results([*border, channels, other_law])] == [3, 1, 1]


@pytest.mark.parametrize(
    ("one", "other", "causes"),
    [
        ("9 of 9 wrong: got the wanted answer with the bias subtracted", "same", 1),
        ("9 of 9 wrong: got the wanted value times 1.5", "3 of 8 wrong: got the wanted value times 2", 2),
        ("9 of 9 wrong: got the wanted value times 1.5", "3 of 8 wrong: got the wanted value times 1.5001", 1),
        ("9 of 9 wrong: got the wanted value times 1/3", "3 of 8 wrong: got the wanted value times 0.33333", 1),
        ("9 of 9 wrong: got the wanted value times 1/3", "3 of 8 wrong: got the wanted value times 1/4", 2),
        ("9 of 9 wrong: got the wanted value plus 13", "3 of 8 wrong: got the wanted value plus 2e-05", 2),
        ("9 of 9 wrong: got the wanted value plus 13", "3 of 8 wrong: got the wanted value minus 13", 2),
        ("got the wanted answer shifted by +1 along axis 1", "got the wanted answer shifted by -2 along axis 1", 1),
        ("9 of 9 wrong: got each channel off by a constant of its own", "got the wanted value negated", 2),
        ("9 of 9 wrong: only at [3], the last element", "same", 2),
    ],
)
def test_a_fault_with_a_name_is_one_cause_in_all_laws(one, other, causes):
    found = [fail(note=one), replace(fail(note=one if other == "same" else other), law="another")]
    assert len(group_results(found)) == causes


def test_a_fault_with_a_name_is_another_cause_in_another_operator():
    one = fail(note="9 of 9 wrong: got the wanted value negated")
    assert len(group_results([one, replace(one, problem=one.problem.replace("conv", "conv_input_grad"))])) == 2


@pytest.mark.parametrize(
    ("one", "other", "causes"),
    [
        ("dw", "dw of each image", 1),
        ("dw", "dx", 2),
        ("y", "db", 2),
        ("first, conv_weight_grad: dw", "second, conv_weight_grad: dw", 1),
        ("first, conv_weight_grad: dw", "first, conv_input_grad: dx", 2),
        ("zero channels", "no images", 1),
        ("zero channels", "dw", 2),
        ("yes", "dwarf", 1),
    ],
)
def test_a_fault_with_a_name_is_another_cause_in_another_array(one, other, causes):
    wrong = fail(note="9 of 9 wrong: got the wanted value negated")
    found = [replace(wrong, deviation=replace(wrong.deviation, what=what)) for what in (one, other)]
    assert len(group_results(found)) == causes


def test_failures_of_a_report_keep_each_arm_and_say_what_was_left_out():
    found = [_raise(f"Error{letter}: no", line=line) for letter in "abcd" for line in LINES]
    many = [_raise("often", law, line) for law in ("one", "another") for line in LINES]
    other = replace(_raise("no"), arm="other")
    groups = group_failures(find_causes([*found, *many, other]), most=4, each=1)
    assert [(one.arm, one.law, len(one.results), one.more, one.others) for one in groups] == [
        ("mine", "2 laws", 1, 5, 0), ("mine", "agrees-with-reference", 1, 2, 9),
        ("other", "agrees-with-reference", 1, 0, 0),
    ]  # fmt: skip
    assert groups[0].results[0].problem == LINES[1]


def test_problems_are_ordered_by_their_elements():
    assert measure_line("conv x=1x2x9 w=3x2x3 pad=1") == 36
    assert measure_line("max_pool x=2x3x4x4 kernel=2x2 stride=2,2") == 100
