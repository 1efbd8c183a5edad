"""Types of arrays: those of the harness are NumPy's, those of a backend are its own.

Every alias of an array type stands here, and nowhere else (tests/problems/test_arrays.py). An alias names what an
argument means; the type checker knows more of NumPy arrays than of device arrays, whose library is the backend's
choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
"""A NumPy array in host memory, of any dtype."""

Reals: TypeAlias = NDArray[np.float64]
"""A NumPy array of float64."""

Flags: TypeAlias = NDArray[np.bool_]
"""A NumPy array of truth values."""

Counts: TypeAlias = NDArray[np.int64]
"""A NumPy array of int64."""

Places: TypeAlias = NDArray[np.intp]
"""A NumPy array of indices into another array."""

DeviceArray: TypeAlias = Any
"""An array of a backend's own type, on its device: what `Backend.to_device` returns and `Backend.to_host` accepts.

It is opaque to checkers, since a backend may use any library. Of an array that is written in place, a derived operator
also needs the functions of the Python array API, from `array_api_compat`.
"""

DeviceArrays: TypeAlias = Mapping[str, DeviceArray]
"""Arrays of a backend by name: x, w, b, dy, y, indices."""

Outputs: TypeAlias = Any
"""What an operator of a backend returns: one DeviceArray, or a tuple of two for max_pool."""

Call: TypeAlias = Callable[[], Outputs]
"""An operator that is bound to its arrays."""

Namespace: TypeAlias = Any
"""An array library: a module with the functions of the Python array API, or NumPy, CuPy or torch itself."""
