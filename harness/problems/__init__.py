"""The specification: operators, windows and problems, their arrays, and the float64 reference.

Operators, problems and windows themselves are names of `harness`; other names of this room for plugins are here.
Arrays have the shape n c *s, with s the sizes of 1 to 3 spatial axes.

`Array`: a NumPy array of any dtype. `DeviceArray`: an array of a backend's own type; `DeviceArrays` hold them by name.
`Outputs`: the return value of a backend's operator: a DeviceArray, or a tuple of two for max_pool. `Call`: an operator
bound to its arrays. `Namespace`: an array library.
`Sizes`: a tuple of int, one size or step per axis. `Padding`: (begin, end) per axis, in elements.
`Dtype`, `Math`, `Layout`, `Regime`: the words that these fields of a problem may hold.
`DTYPES`: names of the dtypes that problems have. `FORMATS`: name of a dtype, or "tf32" -> `Format`.
`EVERY`: the index of all images and channels: `x[(*EVERY, *at)]` slices along spatial axes alone.
`reference`: module with a float64 function for each operator, with the signature of a backend's method, and
`reference.compute(problem, arrays)`, which returns the outputs of a problem by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.problems import reference as reference
    from harness.problems.accumulation import longest_sum
    from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Namespace, Outputs
    from harness.problems.calling import bind_operator, name_outputs, operator_arguments
    from harness.problems.data import (
        apply_layout,
        array_generator,
        draw_array,
        exact_amplitude,
        make_arrays,
    )
    from harness.problems.numerics import DTYPES, FORMATS, Dtype, Format, Math, dtype_of
    from harness.problems.problem import Layout, Regime
    from harness.problems.reference import rot180
    from harness.problems.taps import (
        EVERY,
        device_options,
        find_namespace,
        inner_slices,
        mean_divisors,
        pad_or_crop,
        tap_slices,
        view_windows,
        window_slices,
    )
    from harness.problems.validation import read_word
    from harness.problems.window import Padding, Sizes
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "accumulation": "longest_sum",
            "arrays": "Array Call DeviceArray DeviceArrays Namespace Outputs",
            "calling": "bind_operator name_outputs operator_arguments",
            "data": "apply_layout array_generator draw_array exact_amplitude make_arrays",
            "numerics": "DTYPES FORMATS Dtype Format Math dtype_of",
            "problem": "Layout Regime",
            "reference": "rot180",
            "taps": (
                "EVERY device_options find_namespace inner_slices mean_divisors pad_or_crop tap_slices view_windows "
                "window_slices"
            ),
            "validation": "read_word",
            "window": "Padding Sizes",
        },
        modules=("reference",),
    )

__all__ = [
    "DTYPES", "EVERY", "FORMATS", "Array", "Call", "DeviceArray", "DeviceArrays", "Dtype", "Format", "Layout", "Math",
    "Namespace", "Outputs", "Padding", "Regime", "Sizes", "apply_layout", "array_generator", "bind_operator",
    "device_options", "draw_array", "dtype_of", "exact_amplitude", "find_namespace", "inner_slices", "longest_sum",
    "make_arrays", "mean_divisors", "name_outputs", "operator_arguments", "pad_or_crop", "read_word", "reference",
    "rot180", "tap_slices", "view_windows", "window_slices",
]  # fmt: skip
