"""Renew the contents of input arrays in place, untimed, right before a call, so that the process has never seen them.

The contents are combined by exclusive or with a secret word, which changes bits in the fraction of every number. No
image, row or element equals that of an earlier call, so that nothing can be reused from an earlier answer. Signs and
exponents stay the same, and so does the data regime. Renewal is one pass over memory that the call is about to read;
the caches stay hot. When the words are used up, new contents are drawn.
"""

from __future__ import annotations

import secrets
import sys
from dataclasses import dataclass, field

from harness.networks.graph import INPUT
from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.numerics import Dtype
from harness.problems.problem import Regime

RENEWED = frozenset({"normal", "uniform", "wide"})  # regimes in which every fraction is allowed
NAMES = frozenset({"x", "dy", INPUT})  # but only dy if indices are given: they are those of the maxima of x
FRACTION_BITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
LARGE_BITS = 3  # one of these upper bits differs from the drawn contents, so that an answer to those is seen as wrong


@dataclass(slots=True, kw_only=True)
class Renewal:
    """Renewable arrays of one call.

    words: by name, integer views of the same memory.
    bits: of a fraction.
    word: exclusive-or of all words applied since the arrays were filled.
    used: words that are spent.
    """

    words: dict[str, DeviceArray]
    bits: int
    word: int = 0
    used: set[int] = field(default_factory=set)

    @property
    def spent(self) -> bool:
        """True if more than half of the words have been used."""
        return 2 * len(self.used) > 1 << self.bits

    def renew(self) -> None:
        """Replace the contents by new ones that were never used."""
        small = self.bits - LARGE_BITS
        while (word := secrets.randbits(self.bits)) >> small == 0 or word in self.used:
            pass
        self.used.add(word)
        self._combine(self.word ^ word)
        self.word = word

    def repeat(self) -> None:
        """Write the same contents again, in the same way as `renew` writes new ones."""
        self._combine(0)

    def _combine(self, word: int) -> None:
        for view in self.words.values():
            view ^= word


def combine(a: Array, word: int) -> Array:
    """Return a copy in which every number is combined with a word by exclusive or."""
    words = a.view(f"int{8 * a.itemsize}") ^ word
    made: Array = words.view(a.dtype)
    return made


def make_renewal(arrays: DeviceArrays, dtype: Dtype, regime: Regime) -> Renewal | None:
    """Return the renewal of device arrays; None for other regimes or dtypes, or if an array has no integer view.

    arrays: by name.
    dtype: format name of the problem.
    regime: data regime of the inputs.
    """
    if regime not in RENEWED or dtype not in FRACTION_BITS:
        return None
    names = {"dy"} if "indices" in arrays else NAMES
    found = {name: view_words(a, dtype) for name, a in arrays.items() if name in names}
    if not found or any(view is None for view in found.values()):
        return None
    return Renewal(words=found, bits=FRACTION_BITS[dtype])


def view_words(a: DeviceArray, dtype: Dtype) -> DeviceArray:
    """Return an integer view of the memory of a NumPy, PyTorch or CuPy array; None for any other array."""
    if str(getattr(a, "dtype", "")).rpartition(".")[2] != dtype:
        return None
    whole, library = f"int{8 * a.dtype.itemsize}", type(a).__module__.partition(".")[0]
    if library == "torch":
        view = a.detach().view(getattr(sys.modules["torch"], whole))
        return view.numpy() if view.device.type == "cpu" else view
    if library == "numpy":
        return a.view(whole) if a.flags.writeable else None
    return a.view(whole) if library == "cupy" else None
