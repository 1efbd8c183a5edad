import pytest

from harness.cli.options import read_cell
from harness.errors import HarnessError


def test_a_cell_is_a_backend_and_a_line_that_is_made_canonical():
    assert read_cell(" im2col  conv w=3x2x3  x=1x2x9 stride=1 ") == ("im2col", "conv x=1x2x9 w=3x2x3")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cell: got '', wanted a backend and a problem line"),
        ("im2col", "cell: got 'im2col', wanted a backend"),
        ("conv x=1x2x9 w=3x2x3", "cell: got 'conv x=1x2x9"),
        ("im2col konv x=1x2x9", "unknown operator: got 'konv'"),
        ("im2col conv x=1x2x9 w=3x2x3 strid=1", "unknown field: got 'strid'"),
    ],
)
def test_a_cell_that_is_none_is_said(text, message):
    with pytest.raises(HarnessError, match=message):
        read_cell(text)
