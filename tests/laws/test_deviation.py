import math

import numpy as np
import pytest

from harness import compare_arrays, statement, worst_of
from harness.laws import nothing_to_show

INF, NAN = math.inf, math.nan


@pytest.mark.parametrize(
    ("got", "wanted", "bound", "worst"),
    [
        (1.0, 1.0, 0.0, 0.0),
        (1.5, 1.0, 1.0, 0.5),
        (1.5, 1.0, 0.25, 2.0),
        (1.5, 1.0, 0.0, INF),
        (NAN, 1.0, 9.0, INF),
        (1.0, NAN, 9.0, INF),
        (NAN, NAN, 0.0, 0.0),
        (INF, INF, 0.0, 0.0),
        (INF, -INF, 9.0, INF),
        (INF, 1.0, 9.0, INF),
    ],
)
def test_the_error_is_counted_in_units_of_its_bound(got, wanted, bound, worst):
    found = compare_arrays(np.array([1.0, got]), np.array([1.0, wanted]), bound, what="y", kind="bound")
    assert found.worst == worst
    assert found.passed == (worst <= 1)
    if worst:
        assert found.index == (1,)


def test_another_shape_fails_and_names_both():
    found = compare_arrays(np.zeros((2, 3)), np.zeros((3, 2)), what="y")
    assert not found.passed
    assert found.describe() == "y: got shape (2, 3), wanted (3, 2)"


def test_what_proves_nothing_is_counted():
    found = compare_arrays(np.ones(3), np.ones(3), 2.0, what="y", kind="bound")
    assert found.passed
    assert found.vacuous == 3
    assert found.proves_nothing
    assert compare_arrays(np.zeros(0), np.zeros(0), what="y").proves_nothing
    assert not compare_arrays(np.ones(3), np.ones(3), 1e-6, what="y", kind="bound").proves_nothing


def test_one_that_had_nothing_to_check_stands_for_no_other():
    idle, right = nothing_to_show("nothing"), statement(True, "a")
    assert worst_of(idle, right).idle is None and worst_of(right, idle).idle is None
    assert worst_of(idle, idle).idle == "nothing"


def test_the_worst_of_several_stands_for_all():
    good, bad = compare_arrays(np.ones(3), np.ones(3), what="a"), compare_arrays(np.ones(2), np.zeros(2), what="b")
    found = worst_of(good, statement(True, "c"), bad)
    assert (found.what, found.compared, found.passed) == ("b", 6, False)
