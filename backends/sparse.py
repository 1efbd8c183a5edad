"""Convolution as a sparse matrix: y = C x, transposed convolution and the input gradient by C^T, for small problems.

C has a row for each (o, *i) and a column for each (c, *place) of one image, and holds the taps that fall into the
input: three taps over five numbers make a 3x5 matrix. Images are the columns of the dense factor. The kernel gradient
is the product with the matrix of dy, whose rows are (o, *tap); mean pooling is a matrix of one over the divisors.
Entries that are zero are stored all the same, so that a NaN in their place of the input is not lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from backends.guards import check_gradient, conv_shape, is_empty, pool_shape, sum_of_nothing, transposed_shape
from backends.reductions import widen
from harness import Backend, Numerics, Operator, Problem, Window, hookimpl
from harness.problems import (
    Call,
    DeviceArray,
    DeviceArrays,
    Sizes,
    mean_divisors,
    operator_arguments,
    pad_or_crop,
    tap_slices,
)

if TYPE_CHECKING:
    import numpy as np
    from scipy.sparse import sparray

MOST_ENTRIES = 1 << 22  # of a matrix: 32 MiB in float32, about what a cache holds
INDEX_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """Positions of the entries of a matrix, row by row.

    taps: for each entry of the rows of one filter, the index of the filter's number; the same for every filter.
    columns, starts: `indices` and `indptr` of the CSR format.
    """

    shape: tuple[int, int]
    taps: DeviceArray
    columns: DeviceArray
    starts: DeviceArray

    def fill(self, filters: DeviceArray) -> sparray:
        """The matrix of filters o ...; zeros among them are entries like others."""
        values = widen(filters).reshape(filters.shape[0], -1)[:, self.taps].reshape(-1)
        return self.hold(values)

    def hold(self, values: DeviceArray) -> sparray:
        """The matrix with these entries, row by row."""
        from scipy.sparse import csr_array

        return csr_array((values, self.columns, self.starts), shape=self.shape)


class Sparse(Backend):
    """The linear operators as products with a SciPy CSR matrix; float16 and bfloat16 are summed in float32."""

    name = "sparse"
    instruction_sets = ("numpy",)
    dtypes = ("float64", "float32", "float16", "bfloat16")
    rate = 1e9
    numerics = Numerics(algorithm="direct")
    takes_complex = True

    def probe(self) -> str | None:
        """Multiply a matrix of one number."""
        try:
            from scipy.sparse import csr_array
        except ImportError as error:
            return f"scipy.sparse cannot be imported: {error}"
        product = csr_array([[3.0]]) @ [2.0]
        return None if product.item() == 6.0 else "the product of a scipy.sparse matrix of 3 with 2 is not 6"

    def versions(self) -> dict[str, str]:
        """Versions of NumPy and SciPy."""
        import numpy as np
        import scipy

        return {"numpy": np.__version__, "scipy": scipy.__version__}

    def supports(self, problem: Problem) -> str | None:
        """Refuse what would need a large matrix."""
        entries = count_entries(problem)
        if entries <= MOST_ENTRIES:
            return None
        return f"sparse is for small problems: the matrix would have {entries} entries, wanted at most {MOST_ENTRIES}"

    def work(self, problem: Problem) -> float:
        """Products with the entries; only the matrix of dy is made anew in every call."""
        made = count_entries(problem) if problem.operator is Operator.conv_weight_grad else 0
        return float(problem.flops + made)

    def workspace(self, problem: Problem) -> int:
        """The matrix, and the dense factor and the product with their images last."""
        item = 8 if problem.dtype == "float64" else 4
        moved = max(math.prod(shape) for shape in problem.shapes.values())
        return (item + INDEX_BYTES) * count_entries(problem) + 2 * item * moved

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Make the matrix, or for the kernel's gradient its pattern; the call multiplies."""
        return _PREPARED[problem.operator](*operator_arguments(problem, arrays))

    def conv(self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> DeviceArray:
        """y = C x + b."""
        return _prepare_conv(x, w, b, window)()

    def conv_input_grad(self, dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """dx = C^T dy."""
        return _prepare_input_grad(dy, w, x_shape, window)()

    def conv_transpose(
        self, x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window, output_padding: Sizes
    ) -> DeviceArray:
        """y = C^T x + b, with C the matrix of `conv` from y's shape to x's."""
        return _prepare_transpose(x, w, b, window, output_padding)()

    def conv_weight_grad(self, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> DeviceArray:
        """dw = D x, with D[(o, t), (n, s i + d t - begin)] = dy[n,o,i]."""
        return _prepare_weight_grad(dy, x, w_shape, window)()

    def conv_bias_grad(self, dy: DeviceArray) -> DeviceArray:
        """db = S dy, with S[o, (n,o,i)] = 1."""
        return _prepare_bias_grad(dy)()

    def avg_pool(self, x: DeviceArray, window: Window) -> DeviceArray:
        """y = M x for each map, with M[i, s i + d t - begin] = 1 / divisor of i."""
        return _prepare_avg_pool(x, window)()

    def avg_pool_grad(self, dy: DeviceArray, x_shape: Sizes, window: Window) -> DeviceArray:
        """dx = M^T dy."""
        return _prepare_avg_pool_grad(dy, x_shape, window)()


def count_entries(problem: Problem) -> int:
    """Entries of a problem's matrix, with those left out that would fall on padding counted too."""
    operator, y = problem.operator, problem.y
    if operator is Operator.conv_bias_grad:
        return math.prod(y)
    places = problem.x[2:] if operator is Operator.conv_transpose else y[2:]
    taps = math.prod(places) * math.prod(problem.kernel)
    if problem.w is None:
        return taps
    return taps * problem.w[0] * (problem.x[0] if operator is Operator.conv_weight_grad else problem.w[1])


def make_pattern(places: DeviceArray, area: int, filters: int, channels: int, groups: int) -> Pattern:
    """Return the pattern of a matrix with a row for each filter and row of `places`, and columns g c *s.

    places: for each row and tap the place in a feature map of `area` elements, or -1 for padding.
    filters: number of output channels. channels: of one group; each filter holds the numbers c t. groups: of channels.
    """
    import numpy as np

    rows, taps = places.shape
    inside = np.broadcast_to((places >= 0)[:, None], (rows, channels, taps))
    columns = (places[:, None] + area * np.arange(channels)[:, None])[inside]
    by_group = columns + channels * area * np.arange(groups)[:, None]
    numbers = np.broadcast_to(np.arange(channels * taps).reshape(channels, taps), inside.shape)[inside]
    counts = np.tile(inside.sum(axis=(1, 2)), filters)
    return Pattern(
        shape=(filters * rows, groups * channels * area),
        taps=numbers,
        columns=np.repeat(by_group.astype(np.int32), filters // groups, axis=0).reshape(-1),
        starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
    )


def find_places(spatial: Sizes, kernel: Sizes, window: Window) -> DeviceArray:
    """Return the flat place in the input that each window and tap reads, p t; -1 for padding.

    spatial: sizes of the input. kernel: sizes of the kernel. window: stride, padding, dilation.
    """
    import numpy as np

    numbers = np.arange(math.prod(spatial)).reshape(1, 1, *spatial)
    covered = pad_or_crop(numbers, window.cover(spatial, kernel), -1, np)[0, 0]
    out = window.output_shape(spatial, kernel)
    return np.stack([covered[at].reshape(-1) for _, at in tap_slices(out, kernel, window)], axis=1)


def make_matrix(w: DeviceArray, spatial: Sizes, window: Window) -> sparray:
    """Return the matrix C of `conv` with kernel w (O, C/groups, *K) over an image.

    spatial: sizes of the image. window: stride, padding, dilation, groups.
    """
    places = find_places(spatial, w.shape[2:], window)
    return make_pattern(places, math.prod(spatial), w.shape[0], w.shape[1], window.groups).fill(w)


def make_means(spatial: Sizes, window: Window, dtype: np.dtype[Any]) -> sparray:
    """Return the matrix M of mean pooling over one feature map; padding and overhang add nothing.

    spatial: sizes of the feature map. window: of the pooling, with its rule for the divisor. dtype: of the entries.
    """
    import numpy as np

    assert window.kernel is not None
    pattern = make_pattern(find_places(spatial, window.kernel, window), math.prod(spatial), 1, 1, 1)
    shares = np.ones(1)
    for row in mean_divisors(spatial, window):
        shares = np.multiply.outer(shares, 1 / np.asarray(row))
    return pattern.hold(np.repeat(shares.reshape(-1).astype(dtype), np.diff(pattern.starts)))


def _multiply(matrix: sparray, a: DeviceArray, shape: Sizes, b: DeviceArray | None = None) -> DeviceArray:
    """Product with each of the vectors that lie one after another in `a`, plus b, in the dtype of `a`."""
    product = (matrix @ widen(a).reshape(-1, matrix.shape[1]).T).T.reshape(shape)
    if b is not None:
        product = product + widen(b).reshape(1, -1, *(1,) * (len(shape) - 2))
    return product.astype(a.dtype, order="C", copy=True)


def _prepare_conv(x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window) -> Callable[[], DeviceArray]:
    shape = conv_shape(x.shape, w.shape, window)
    if is_empty(x.shape, w.shape):
        return partial(sum_of_nothing, x, shape, b)
    return partial(_multiply, make_matrix(w, x.shape[2:], window), x, shape, b)


def _prepare_input_grad(dy: DeviceArray, w: DeviceArray, x_shape: Sizes, window: Window) -> Callable[[], DeviceArray]:
    check_gradient(dy.shape, conv_shape(x_shape, w.shape, window))
    if is_empty(dy.shape, w.shape):
        return partial(sum_of_nothing, dy, x_shape)
    return partial(_multiply, make_matrix(w, x_shape[2:], window).T, dy, x_shape)


def _prepare_transpose(
    x: DeviceArray, w: DeviceArray, b: DeviceArray | None, window: Window, output_padding: Sizes
) -> Callable[[], DeviceArray]:
    shape = transposed_shape(x.shape, w.shape, window, output_padding)
    if is_empty(x.shape, w.shape):
        return partial(sum_of_nothing, x, shape, b)
    return partial(_multiply, make_matrix(w, shape[2:], window).T, x, shape, b)


def _prepare_weight_grad(dy: DeviceArray, x: DeviceArray, w_shape: Sizes, window: Window) -> Callable[[], DeviceArray]:
    check_gradient(dy.shape, conv_shape(x.shape, w_shape, window))
    if is_empty(dy.shape, x.shape):
        return partial(sum_of_nothing, dy, w_shape)
    places = find_places(x.shape[2:], w_shape[2:], window).T
    pattern = make_pattern(places, math.prod(x.shape[2:]), w_shape[0], x.shape[0], window.groups)
    return partial(_correlate, pattern, dy, x, w_shape, window.groups)


def _correlate(pattern: Pattern, dy: DeviceArray, x: DeviceArray, w_shape: Sizes, groups: int) -> DeviceArray:
    """The matrix of dy, (o t) by (g n *s), times x with the channels of a group last."""
    import numpy as np

    n, c = x.shape[0], w_shape[1]
    columns = widen(x).reshape(n, groups, c, -1).transpose(1, 0, 3, 2).reshape(-1, c)
    dw = pattern.fill(dy.swapaxes(0, 1)) @ columns
    by_filter = dw.reshape(w_shape[0], math.prod(w_shape[2:]), c)
    return np.ascontiguousarray(by_filter.swapaxes(1, 2)).reshape(w_shape).astype(dy.dtype)


def _prepare_bias_grad(dy: DeviceArray) -> Callable[[], DeviceArray]:
    import numpy as np

    n, o = dy.shape[:2]
    if is_empty(dy.shape):
        return partial(sum_of_nothing, dy, (o,))
    places = np.arange(dy.size).reshape(n, o, -1).swapaxes(0, 1).reshape(o, -1)
    counted = make_pattern(places, dy.size, 1, 1, 1).hold(np.ones(dy.size, dtype=widen(dy[:0]).dtype))
    return partial(_multiply, counted, dy, (o,))


def _prepare_avg_pool(x: DeviceArray, window: Window) -> Callable[[], DeviceArray]:
    shape = pool_shape(x.shape, window)
    if is_empty(shape):
        return partial(sum_of_nothing, x, shape)
    return partial(_multiply, make_means(x.shape[2:], window, widen(x[:0]).dtype), x, shape)


def _prepare_avg_pool_grad(dy: DeviceArray, x_shape: Sizes, window: Window) -> Callable[[], DeviceArray]:
    check_gradient(dy.shape, pool_shape(x_shape, window))
    if is_empty(dy.shape):
        return partial(sum_of_nothing, dy, x_shape)
    return partial(_multiply, make_means(x_shape[2:], window, widen(dy[:0]).dtype).T, dy, x_shape)


_PREPARED: dict[Operator, Callable[..., Callable[[], DeviceArray]]] = {
    Operator.conv: _prepare_conv,
    Operator.conv_input_grad: _prepare_input_grad,
    Operator.conv_weight_grad: _prepare_weight_grad,
    Operator.conv_bias_grad: _prepare_bias_grad,
    Operator.conv_transpose: _prepare_transpose,
    Operator.avg_pool: _prepare_avg_pool,
    Operator.avg_pool_grad: _prepare_avg_pool_grad,
}


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register the backend."""
    register(Sparse())
