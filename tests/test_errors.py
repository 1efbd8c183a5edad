import pytest

from harness.errors import suggest

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("got", "most", "wanted"),
    [
        ("trch", 1, "did you mean 'torch'?"),
        ("trch", 3, "did you mean 'torch' or 'torchy'?"),
        ("fft", 3, ""),
        ("torch" + LETTERS * 100_000, 3, ""),  # compared whole, it would take minutes
    ],
)
def test_the_nearest_names_are_suggested(got, most, wanted):
    assert suggest(got, iter(["torch", "im2col", "torchy"]), most=most) == wanted


def test_texts_around_a_question_come_with_it_alone():
    assert suggest("trch", ["torch"], before="; ", after=" ") == "; did you mean 'torch'? "
    assert suggest("fft", ["torch"], before="; ", after=" ") == ""
