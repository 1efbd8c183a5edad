"""Contents that a process has never seen, made in place just before a call, untimed.

An exclusive or with a secret word exchanges bits in the fraction of every number of an array. No image, row or element
is what it was in any call before, so that nothing can be taken from an earlier answer. Signs and exponents stay, and
with them the regime of the data. It is one pass over the memory that the call is about to read; the caches stay hot.
When the words are used up, new contents are drawn.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from harness.networks.graph import INPUT

Array = NDArray[Any]
RENEWED = frozenset({"normal", "uniform", "wide"})  # regimes in which any fraction is as good as any other
NAMES = frozenset({"x", "dy", INPUT})  # where indices of maxima are given, the array that has them stays with them
FRACTION_BITS = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}
LARGE_BITS = 3  # one of these upper bits differs from the drawn contents: an answer to those would be seen to be wrong


@dataclass(slots=True, kw_only=True)
class Renewal:
    """The arrays of one call that can be renewed.

    words: whole numbers in the same memory, by name. word: what all of them have been combined with since they were
    filled; used: words that are spent.
    """

    words: dict[str, Any]
    bits: int
    word: int = 0
    used: set[int] = field(default_factory=set)

    @property
    def spent(self) -> bool:
        """Whether most of the words have been used."""
        return 2 * len(self.used) > 1 << self.bits

    def renew(self) -> None:
        """Exchange the contents for others that were never there."""
        small = self.bits - LARGE_BITS
        while (word := secrets.randbits(self.bits)) >> small == 0 or word in self.used:
            pass
        self.used.add(word)
        self._combine(self.word ^ word)
        self.word = word

    def repeat(self) -> None:
        """Write the same contents again, as `renew` writes."""
        self._combine(0)

    def _combine(self, word: int) -> None:
        for view in self.words.values():
            view ^= word

    def apply(self, host: Mapping[str, Array], word: int) -> dict[str, Array]:
        """What the arrays held when they had been combined with a word, from what they were filled with."""
        return dict(host) | {name: combine(host[name], word) for name in self.words if word}


def combine(a: Array, word: int) -> Array:
    """A copy with the bits of a word exchanged in every number."""
    words = a.view(f"int{8 * a.itemsize}") ^ word
    made: Array = words.view(a.dtype)
    return made


def make_renewal(arrays: Mapping[str, Any], dtype: str, regime: str) -> Renewal | None:
    """The renewal of device arrays; None in other regimes, and where no array lets its bits be seen."""
    if regime not in RENEWED or dtype not in FRACTION_BITS:
        return None
    names = {"dy"} if "indices" in arrays else NAMES
    found = {name: view_words(a, dtype) for name, a in arrays.items() if name in names}
    if not found or any(view is None for view in found.values()):
        return None
    return Renewal(words=found, bits=FRACTION_BITS[dtype])


def view_words(a: Any, dtype: str) -> Any:
    """An array of NumPy, PyTorch or CuPy as whole numbers in the same memory; None for any other."""
    if str(getattr(a, "dtype", "")).rpartition(".")[2] != dtype:
        return None
    whole, library = f"int{8 * a.dtype.itemsize}", type(a).__module__.partition(".")[0]
    if library == "torch":
        view = a.detach().view(getattr(sys.modules["torch"], whole))
        return view.numpy() if view.device.type == "cpu" else view
    if library == "numpy":
        return a.view(whole) if a.flags.writeable else None
    return a.view(whole) if library == "cupy" else None
