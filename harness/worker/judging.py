"""Judgement of timed calls: whether outputs are right for the contents that the input arrays held.

Contents are named, not sent: by the seed that they were drawn from, and what was done to them since. The process that
judges draws them again, so that inputs that were made up for an answer do not count.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.laws.deviation import Deviation
from harness.problems.arrays import Array, DeviceArray
from harness.problems.problem import Regime
from harness.worker.timed_subject import TimedSubject, equal_outputs

SEED_BITS = 30
POOL = 2  # contents of a session, for each of which its call must be right before it is timed
KEPT = 3  # contents, and outputs that were verified, of the pool of a session and of what was drawn last


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Contents of the input arrays of a call.

    seed: from which the arrays that change were drawn; None for the problem's own. Those of a plan are always its own.
    renewed, word: names of the arrays whose numbers were combined with a word by exclusive or, and the word.
    stirred: number by which one element was changed; None if none was.
    """

    seed: int | None = None
    renewed: tuple[str, ...] = ()
    word: int = 0
    stirred: int | None = None

    @property
    def drawn(self) -> bool:
        """True if the arrays hold what was drawn."""
        return not self.word and self.stirred is None


class Judge(Protocol):
    """A judge of timed calls, in this process or another."""

    def draw_seed(self) -> int:
        """Return a secret seed for contents that the backend has never seen."""

    def judge(self, contents: Contents, outputs: Mapping[str, Array]) -> Deviation:
        """Return the deviation of outputs from the right answer for the contents of the inputs."""


@dataclass(slots=True)
class OwnJudge:
    """Judges in this process.

    arrays: by seed, drawn last.
    known: by seed, verified outputs with their deviation. Equal bits need no second verification.
    """

    timed: TimedSubject
    arrays: dict[int | None, dict[str, Array]] = field(default_factory=dict)
    known: dict[int | None, tuple[dict[str, Array], Deviation]] = field(default_factory=dict)

    def draw_seed(self) -> int:
        """Return a secret seed."""
        return secrets.randbits(SEED_BITS)

    def judge(self, contents: Contents, outputs: Mapping[str, Array]) -> Deviation:
        """Compare with known outputs for the same contents bit for bit; if there are none, verify."""
        known = self.known.get(contents.seed) if contents.drawn else None
        if known is not None and equal_outputs(outputs, known[0]):
            return known[1]
        found = self.timed.judge(self.make_arrays(contents), outputs, secrets.randbits(SEED_BITS))
        if contents.drawn and found.passed and len(self.known) < KEPT:
            self.known[contents.seed] = dict(outputs), found
        return found

    def make_arrays(self, contents: Contents) -> dict[str, Array]:
        """Return all input arrays with these contents."""
        from harness.worker.host.renewal import combine

        arrays = dict(self._draw(contents.seed))
        for name in contents.renewed if contents.word else ():
            arrays[name] = combine(arrays[name], contents.word)
        if contents.stirred is not None:
            name = next(iter(arrays))
            arrays[name] = arrays[name].copy(order="K")
            stir(arrays[name], self.timed.regime, contents.stirred)
        return arrays

    def _draw(self, seed: int | None) -> dict[str, Array]:
        if seed not in self.arrays:
            drawn = self.timed.draw(seed)
            if seed is not None:
                own = self._draw(None)
                drawn = {name: a if self.timed.keeps(name) else drawn[name] for name, a in own.items()}
            for old in [one for one in self.arrays if one is not None][: len(self.arrays) - KEPT + 1]:
                del self.arrays[old]
            self.arrays[seed] = drawn
        return self.arrays[seed]


def stir(a: DeviceArray, regime: Regime, number: int) -> None:
    """Change one element in place: negate a whole number (0 becomes 1), replace a real number by an exact one.

    a: first input of a problem, n c *s.
    regime: of its data.
    number: decides which element, and its value.
    """
    if all(a.shape):
        at = choose_element(a.shape, number)
        if regime == "integer":
            a[at] = -a[at] if a[at] != 0 else 1
        else:
            a[at] = 0.25 + number % 4


def choose_element(shape: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the index of the element that a number stands for."""
    return tuple((number * 7 + axis) % n for axis, n in enumerate(shape))
