import pytest

from harness import GeometryError, Window


@pytest.mark.parametrize(
    ("n", "m", "options", "size"),
    [
        (5, 3, {}, 3),  # narrow: n - m + 1
        (5, 3, {"padding": 2}, 7),  # wide: n + m - 1
        (5, 4, {"padding": ((1, 2),)}, 5),  # equal width of an even kernel: the extra one at the end
        (7, 3, {"stride": 2}, 3),
        (8, 3, {"stride": 2}, 3),  # does not divide: the floor
        (9, 3, {"dilation": 3}, 3),
        (6, 3, {"stride": 2, "ceil_mode": True}, 3),
        (5, 2, {"stride": 3, "padding": ((0, 1),), "ceil_mode": True}, 2),
        (3, 2, {"stride": 3, "padding": ((0, 1),), "ceil_mode": True}, 1),  # a window that starts in the end padding
    ],
)
def test_output_size(n, m, options, size):
    assert Window.of(1, **options).output_shape((n,), (m,)) == (size,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stride": 0}, "got stride 0, wanted at least 1"),
        ({"dilation": 0}, "got dilation 0, wanted at least 1"),
        ({"padding": ((-1, 2),)}, "got padding -1, wanted at least 0"),
        ({"dilation": 4}, "effective kernel 9 (kernel 3, dilation 4) is larger than the padded input 5"),
        ({"groups": 0}, "got groups 0, wanted at least 1"),
    ],
)
def test_impossible_geometry_is_one_clear_line(options, words):
    with pytest.raises(GeometryError) as caught:
        Window.of(1, **options).output_shape((5,), (3,))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n", range(3, 9))
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", [(0, 0), (1, 0), (4, 3)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_cover_is_exactly_as_long_as_the_windows(n, stride, padding, ceil_mode):
    window = Window.of(1, stride=stride, padding=(padding,), ceil_mode=ceil_mode)
    ((begin, end),) = window.cover((n,), (3,))
    (count,) = window.output_shape((n,), (3,))
    assert begin == padding[0]
    assert n + begin + end == (count - 1) * stride + 3
