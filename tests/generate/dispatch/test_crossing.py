"""Tests for harness.generate.dispatch.crossing and for the problems selected from its rows."""

from __future__ import annotations

import itertools
from collections import defaultdict

import pytest

from harness.generate.dispatch import problems, values
from harness.generate.dispatch.conditions import conditions_of
from harness.generate.dispatch.crossing import FORMS_EACH, TURNS, count_classes, cross
from harness.generate.dispatch.problems import DEAR, costly_dispatch_problems, dispatch_problems, estimate_cost

WINDOWS = {"kernel": ("a", "b", "c"), "stride": (1, 2), "space": ("one", "odd"), "padding": ("none", "same")}
FORMS = {"batch": (1, 2, 5), "dtype": ("float32", "float16")}
FORBIDDEN = ((("kernel", "a"), ("stride", 2)),)
ARRAYS = ("layers", "sums", "maxima", "means")


def _threes(columns, rows):
    """Yield, for each three columns, the values that co-occur, and the values that can."""
    for names in itertools.combinations(columns, 3):
        possible = itertools.product(*([(name, value) for value in columns[name]] for name in names))
        yield (
            {tuple((name, row[name]) for name in names) for row in rows},
            {one for one in possible if not set(FORBIDDEN[0]) <= set(one)},
        )


def test_every_three_values_of_a_window_meet_without_forbidden_pairs_and_every_form_is_drawn():
    rows = list(cross(WINDOWS, FORMS, ("c",), FORBIDDEN))
    assert all(met == wanted for met, wanted in _threes(WINDOWS, rows))
    assert len(rows) == FORMS_EACH * len({tuple(row[name] for name in WINDOWS) for row in rows})
    for name, some in {**FORMS, "turn": range(TURNS)}.items():
        assert {row[name] for row in rows} == set(some)
    assert {row["c"] for row in rows} <= set(itertools.chain(*values.SINGLE))
    assert sum(row["c"] in (63, 65, 127, 129) for row in rows) < len(rows) / 6  # a class is as likely as one count


def test_a_class_of_counts_becomes_one_of_them():
    columns = {**WINDOWS, "c": ("few", 8, values.OFF)}
    rows = list(count_classes(columns, FORBIDDEN))
    assert all(met == wanted for met, wanted in _threes(WINDOWS, rows))
    assert {row["c"] for row in rows} > {1, 3, 8}
    assert {row["c"] for row in rows} <= {1, 3, 8, *values.CHANNELS[values.OFF]}


def test_the_same_rows_come_again():
    assert list(cross(WINDOWS, FORMS, ("c", "o"), ())) == list(cross(WINDOWS, FORMS, ("c", "o"), ()))


def test_problems_that_are_asked_by_default_are_cheap_and_the_others_are_not():
    assert (
        max(estimate_cost(one.problem) for one in dispatch_problems()) <= 2 * DEAR
    )  # gradients are weighed as forward
    dear = [one.problem for one in costly_dispatch_problems()]
    assert min(estimate_cost(problem) for problem in dear) > DEAR / 2
    assert not {problem.line for problem in dear} & {one.problem.line for one in dispatch_problems()}
    assert len({one.name for one in (*dispatch_problems(), *costly_dispatch_problems())}) == len(dear) + len(
        dispatch_problems()
    )


@pytest.mark.parametrize(
    "array", [pytest.param(name, marks=[] if name == "sums" else pytest.mark.slow) for name in ARRAYS]
)
def test_what_a_candidate_can_meet_is_met_but_for_a_triple_or_two(array):
    """The same selection covers all candidates: a sample of them is counted again here."""
    narrow = problems.narrow_conditions(array)
    rows = [{n for n in narrow if one.flags[n]} for one in problems.choose_candidates(array)]
    cheap = [one.flags for one in problems.list_candidates(array) if not one.is_dear]
    least = problems.LEAST_OF_SUM if array == "sums" else problems.LEAST_NEW
    for flags in cheap[:: len(cheap) // 6]:
        threes = list(itertools.combinations([n for n in narrow if flags[n]], 3))
        assert len(threes) >= 10
        assert sum(not any(row.issuperset(three) for row in rows) for three in threes) < least


@pytest.mark.parametrize("array", ["layers", "maxima", "means"])
def test_every_layer_of_a_network_meets_nearly_every_count_and_form(array):
    counts, forms = defaultdict(set), defaultdict(set)
    for row in (one.row for one in problems.choose_candidates(array)):
        if "window" in row:
            counts[row["window"]].add(next(one for one in values.SINGLE if row["c"] in one))
            forms[row["window"]].add((row["dtype"], row["layout"]))
    assert set(counts) == set(problems.ARRAYS[array][1]["window"])
    assert min(map(len, counts.values())) >= len(values.SINGLE) - 2
    assert min(map(len, forms.values())) >= 6  # of 8


def test_temporal_layers_are_asked_with_each_of_their_dilations():
    wanted = {"kernel 1-D 3", "padding causal", "stride 1"}
    for operator in ("conv", "conv_input_grad", "conv_weight_grad", "conv_transpose"):
        asked = [one.problem for one in dispatch_problems() if one.problem.operator == operator]
        temporal = [p for p in asked if len(p.kernel) == 1 and wanted <= {c.name for c in conditions_of(p)}]
        assert {p.window.dilation[0] for p in temporal} >= set(values.WINDOWS["1-D 3 causal"].dilations)
        assert {p.layout for p in temporal} == {"channels-first", "channels-last"}
        assert {p.x[0] for p in temporal} >= set(values.BATCHES)
