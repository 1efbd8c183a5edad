"""Tests for harness.generate.dispatch.dealing: which counts the rows of an array get."""

from __future__ import annotations

import itertools

import pytest

from harness.generate.dispatch import values
from harness.generate.dispatch.dealing import deal_counts
from harness.generate.dispatch.problems import _cover

BATCHES, KERNELS = (1, 2, 3, 5, 8), ("a", "b", "c", "d")
ROWS = [
    {"kernel": kernel, "batch": batch, "c": values.OFF, "o": "few"}
    for kernel, batch, _ in itertools.product(KERNELS, BATCHES, range(4))
]


def _never(row, number):
    return False


def test_every_count_of_a_class_meets_every_value_of_another_column():
    dealt = deal_counts(ROWS, _never)
    met = {(row["kernel"], row["c"]) for row in dealt}
    assert met == set(itertools.product(KERNELS, values.CHANNELS[values.OFF]))
    assert {(row["c"], row["o"]) for row in dealt} >= set(
        itertools.product(values.CHANNELS[values.OFF], values.CHANNELS["few"])
    )


def test_the_same_rows_get_the_same_counts():
    assert deal_counts(ROWS, _never) == deal_counts(ROWS, _never)


def test_a_dear_row_gets_a_cheaper_count_of_its_class_and_the_cheapest_where_all_are_dear():
    dealt = deal_counts(ROWS, lambda row, number: row["c"] > 20)
    assert max(row["c"] for row in dealt) == 17
    dealt = deal_counts(ROWS, lambda row, number: True)
    assert {row["c"] for row in dealt} == {min(values.CHANNELS[values.OFF])}


def test_pairs_of_classes_become_two_counts():
    (row,) = deal_counts([{"batch": 1, "channels": "8:8"}], _never)
    assert row == {"batch": 1, "c": 8, "o": 8}


@pytest.mark.parametrize("name", ["layers", "maxima-paths", "means-paths"])
def test_arrays_keep_their_other_columns(name):
    for row in _cover(name):
        assert isinstance(row["c"], int)
        assert "channels" not in row
