"""Every region is found from its own mask, and no region is claimed that does not hold all wrong elements."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.laws.diagnosis.region import describe_indices, describe_region

NAMES = ("image", "channel", "axis 0", "axis 1")
N, C, H, W = np.ix_(range(3), range(32), range(9), range(14))
CONDITIONS = [
    (W >= 12, "where axis 1 >= 12 (the last 2, a multiple of 4)"),
    (H == 8, "where axis 0 = 8 (the last, a multiple of 8)"),
    (W < 2, "where axis 1 < 2"),
    (C >= 16, "where channel >= 16 (the last 16, a multiple of 16)"),
    (C % 16 >= 13, "where channel % 16 >= 13"),
    (C % 8 == 3, "where channel % 8 == 3"),
    (C % 4 != 1, "where channel % 4 != 1"),
    (C % 8 < 3, "where channel % 8 < 3"),
    (W % 3 == 1, "where axis 1 % 3 == 1"),
    ((W >= 12) & (C % 16 >= 13), "where channel % 16 >= 13 and axis 1 >= 12 (the last 2, a multiple of 4)"),
    (N >= 1, "where image >= 1 (the last 2)"),
    (N == 0, "where image = 0 (the first)"),
    (N == 2, "where image = 2 (the last)"),
    (C == 31, "where channel = 31 (the last)"),
    (C == 7, "where channel = 7"),
    ((W >= 3) & (W <= 6), "where 3 <= axis 1 <= 6"),
    (W != 5, "where axis 1 != 5"),
    ((W < 1) | (W > 11), "where axis 1 < 1 or axis 1 > 11"),
    (((W < 1) | (W > 11)) & (N == 1), "where image = 1 and (axis 1 < 1 or axis 1 > 11)"),
    ((C == 1) | (C == 5) | (C == 7), "where channel in {1, 5, 7}"),
    ((H == 3) & (W == 4), "where position = (3, 4)"),
    ((C == 2) & (H == 3) & (W == 4), "where channel = 2 and position = (3, 4)"),
    (
        (H < 1) | (H > 7) | (W >= 12),
        "on the border, where axis 0 < 1 or axis 0 > 7 or axis 1 >= 12 (the last 2, a multiple of 4)",
    ),
    (((H == 0) | (W == 0)) & (C % 2 == 1), "on the border, where channel % 2 == 1 and (axis 0 = 0 (the first) or ax"),
    ((H % 2 == 1) | (W % 2 == 1), "where axis 0 % 2 == 1 or axis 1 % 2 == 1"),
    (H * 14 + W >= 64, "where flat position >= 64 (the last 62, a multiple of 32)"),
    (((N * 32 + C) * 9 + H) * 14 + W >= 10240, "where flat index >= 10240 (the last 1856, a multiple of 32)"),
]


def _mask(condition):
    return np.broadcast_to(condition, (3, 32, 9, 14)).copy()


@pytest.mark.parametrize(("condition", "words"), CONDITIONS, ids=[words for _, words in CONDITIONS])
def test_a_region_is_named(condition, words):
    found = describe_region(_mask(condition), NAMES)
    assert found.startswith(f"only {words}")
    assert found.endswith(", all there")


@pytest.mark.parametrize(("condition", "words"), CONDITIONS, ids=[words for _, words in CONDITIONS])
def test_a_wrong_element_outside_refutes_the_region(condition, words):
    wrong = _mask(condition)
    wrong.reshape(-1)[np.flatnonzero(~wrong)[37]] = True
    assert not describe_region(wrong, NAMES).startswith(f"only {words}")


def test_most_means_nine_tenths():
    wrong = _mask(C >= 16)
    inside = np.random.default_rng(0).permutation(np.flatnonzero(wrong))
    wrong.reshape(-1)[inside[: inside.size // 11]] = False
    assert describe_region(wrong, NAMES) == "only where channel >= 16 (the last 16, a multiple of 16), most there"
    wrong.reshape(-1)[inside[: inside.size // 7]] = False
    assert describe_region(wrong, NAMES) == ""


def test_kernels_have_taps():
    wrong = np.zeros((6, 4, 3, 3), dtype=bool)
    wrong[:, :, 2, 1] = True
    names = ("filter", "channel", "tap axis 0", "tap axis 1")
    assert describe_region(wrong, names, "tap") == "only where tap = (2, 1), all there"


def test_one_element_is_named_by_its_index():
    wrong = np.zeros((2, 3, 4), dtype=bool)
    wrong[1, 2, 3] = True
    assert describe_region(wrong, ("image", "channel", "axis 0")) == "only at [1, 2, 3], the last element"
    wrong[...] = False
    wrong[1, 0, 2] = True
    assert describe_region(wrong, ("image", "channel", "axis 0")) == "only at [1, 0, 2]"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_scattered_elements_are_no_region(seed, share):
    wrong = np.random.default_rng(seed).random((3, 8, 9, 14)) < share
    assert describe_region(wrong, NAMES) == ""


@pytest.mark.parametrize(
    "flat", [[3, 14], [17, 18], [2, 3], [0, 1, 2, 3, 7, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 23]]
)
def test_a_few_elements_of_a_small_array_make_no_rule(flat):
    """A rule about unlike axes at once, or about flat places, must be shorter than the list of its elements."""
    wrong = np.zeros((2, 2, 2, 3), dtype=bool)
    wrong.reshape(-1)[flat] = True
    assert "flat" not in describe_region(wrong, NAMES)
    assert " or " not in describe_region(wrong, NAMES)


@pytest.mark.parametrize("flags", [np.zeros((2, 3), bool), np.ones((2, 3), bool), np.zeros((0, 3), bool)])
def test_nothing_and_everything_are_no_region(flags):
    assert describe_region(flags, ("image", "channel")) == ""


@given(st.lists(st.booleans(), min_size=1, max_size=80))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_rule_about_indices_is_true(flags):
    chosen = np.array(flags)
    words = describe_indices(chosen, "i")
    if words is None:
        return
    rule = words.partition(" (the")[0].replace("i = ", "i == ") or "True"
    assert [bool(eval(rule, {"i": i})) for i in range(chosen.size)] == flags
