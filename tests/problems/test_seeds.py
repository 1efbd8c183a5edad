"""Generators of arrays: the numbers of NumPy's own seeding, at a part of its cost."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from harness.problems.seeds import seeded_generator


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_numbers_are_those_of_the_hashed_seed(seed: int) -> None:
    """Data of a problem line must never change, however a generator is made."""
    for name in ("x", "w", "weights of o in round 3"):
        own = np.random.default_rng((seed + 1) << 32 | zlib.crc32(name.encode()))
        found = seeded_generator(seed, name)
        assert found.bit_generator.state == own.bit_generator.state
        assert np.array_equal(found.integers(-8, 8, size=50), own.integers(-8, 8, size=50))


def test_generators_of_one_name_are_independent() -> None:
    """A draw from one generator neither advances another nor changes the draws of later ones."""
    first, second = seeded_generator(3, "x"), seeded_generator(3, "x")
    numbers = first.random(20)
    assert np.array_equal(second.random(20), numbers)
    assert np.array_equal(seeded_generator(3, "x").random(20), numbers)
    assert not np.array_equal(seeded_generator(3, "w").random(20), numbers)
    assert not np.array_equal(seeded_generator(4, "x").random(20), numbers)


def test_the_state_serves_no_other_generator() -> None:
    """A generator that wants another state than PCG64 gets none."""
    hashed = seeded_generator(0, "x").bit_generator.seed_seq
    with pytest.raises(ValueError, match="wanted 4 of uint64"):
        np.random.MT19937(hashed)
