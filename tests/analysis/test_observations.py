import pytest

from harness.analysis.observations import describe_observed

CONV, POOL = "conv x=1x2x9 w=3x2x3", "max_pool x=1x2x9 kernel=3"
MEAN, TURNED = "avg_pool x=1x2x9 kernel=3", "conv_transpose x=1x2x9 w=2x3x3"


def _lines(line, *more):
    return [f"{line} {rest}".strip() for rest in ("", *more)]


def test_one_value_stands_alone():
    assert describe_observed([(CONV, "taken"), (POOL, "taken")]) == "taken"
    assert describe_observed([]) == ""


def test_the_most_frequent_value_comes_first():
    cases = [(CONV, "refused"), (POOL, "taken"), (MEAN, "taken")]
    assert describe_observed(cases) == "taken; refused (conv)"
    assert describe_observed(cases[::-1]) == "taken; refused (conv)"


@pytest.mark.parametrize(
    ("lines", "other", "where"),
    [
        ([CONV, f"{CONV} stride=2", f"{TURNED} stride=2"], [POOL, MEAN], "pools"),
        ([CONV, f"{CONV} stride=2", MEAN], [TURNED, POOL], "conv_transpose, max_pool"),
        (_lines(CONV, "stride=2"), [f"{CONV} dtype=float16"], "float16"),
        (_lines(CONV, "stride=2"), [f"{CONV} math=tf32"], "math=tf32"),
        (_lines(MEAN, "stride=2"), [f"{MEAN} exclude_pad"], "exclude_pad"),
        (_lines(CONV, "stride=2"), ["conv x=1x2x9x9 w=3x2x3x3"], "2-D"),
        (_lines(CONV, "stride=2"), [f"{CONV} layout=channels-last"], "channels-last"),
        (_lines(CONV, "stride=2"), [f"{CONV} data=wide"], "data=wide"),
        (_lines(CONV, "stride=2"), ["conv x=1x2x9 w=4x1x3 groups=2"], "groups"),
        (_lines(CONV, "stride=2"), [f"{CONV} pad=1"], "1 of 3"),
        (_lines(CONV, "stride=2", "pad=1"), [POOL, f"{CONV} dilation=2"], "2 of 5"),
        (_lines("network mine step", "n=2"), ["network other step N=2"], "other N=2"),
        (_lines("network mine step", "n=2"), ["network mine forward"], "forward"),
        (["network mine step", "network mine step n=2"], ["network mine step seed=1"], "seed=1"),
    ],
)
def test_another_value_says_where_it_holds(lines, other, where):
    cases = [(line, "taken") for line in lines] + [(line, "refused") for line in other]
    assert describe_observed(cases) == f"taken; refused ({where})"


def test_values_that_differ_in_numbers_alone_are_one():
    shapes = [(CONV, "gives shape (2, 0, 4)"), (f"{CONV} stride=2", "gives shape (2, 0, 4, 11)")]
    assert describe_observed(shapes) == "gives shape (…)"
    shares = [(CONV, f"first in {share}%, last in 40%") for share in (7, 53, 12)]
    assert describe_observed(shares) == "first in 7 to 53%, last in 40%"
    assert describe_observed(shares[:1]) == "first in 7%, last in 40%"


def test_numbers_in_names_tell_values_apart():
    cases = [
        (CONV, "sums in float32"),
        (f"{CONV} stride=2", "sums in float32"),
        (f"{CONV} dtype=float64", "sums in float64"),
    ]
    assert describe_observed(cases) == "sums in float32; sums in float64 (float64)"


def test_a_value_never_looks_like_two():
    assert describe_observed([(CONV, "taken; answers with channels first")]) == "taken, answers with channels first"
