"""Random generators: one for each array, from the seed of a problem and the name of the array."""

from __future__ import annotations

import zlib

import numpy as np


def seeded_generator(seed: int, name: str) -> np.random.Generator:
    """Random generator of one array: it depends on the seed and the name, not on the order of calls."""
    return np.random.default_rng((seed + 1) << 32 | zlib.crc32(name.encode()))  # a pair would take three times as long
