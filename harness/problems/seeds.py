"""Random generators: one for each array, from the seed of a problem and the name of the array."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

REMEMBERED = 4096  # states; most problems have the seed 0 or 1


def seeded_generator(seed: int, name: str) -> np.random.Generator:
    """Random generator of one array: it depends on the seed and the name, not on the order of calls.

    The numbers are those of `numpy.random.default_rng`, which hashes its seed in every call: ten times the cost.
    """
    return np.random.Generator(np.random.PCG64(_hash_seed(seed, name)))  # type: ignore[arg-type]  # as NumPy documents


class _HashedSeed(ISeedSequence):
    """State of a PCG64 from a `SeedSequence`, computed once."""

    def __init__(self, entropy: int) -> None:
        self.state = np.random.SeedSequence(entropy).generate_state(4, np.uint64)
        self.state.flags.writeable = False

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
        """Return the state. Raises ValueError if anything other than PCG64 asks for it."""
        if n_words != len(self.state) or np.dtype(dtype) != self.state.dtype:
            raise ValueError(f"got {n_words} words of {np.dtype(dtype)}, wanted 4 of uint64")
        return self.state


@lru_cache(maxsize=REMEMBERED)
def _hash_seed(seed: int, name: str) -> _HashedSeed:
    return _HashedSeed((seed + 1) << 32 | zlib.crc32(name.encode()))  # a pair would take three times as long
