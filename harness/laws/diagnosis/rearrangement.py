"""Detect a wrong answer that holds the wanted numbers at other places: transposed, flipped, shifted or reordered.

Each rule is first tried on a few wrong elements, so that an array of a million takes milliseconds, then on all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.problems.arrays import Array, Flags, Places, Reals

LEAST = 4  # fewest wrong elements that a rule about values must explain
SHIFTS = 3  # largest shift along an axis
CHANNELS = 256  # most images or channels among which a reordering is searched
BLOCK = 1 << 15  # elements compared at once, so that intermediate arrays stay in the cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A comparison that failed, with a sample of its wrong elements.

    g, t, limit, wrong: got, wanted, allowed error and flags, all of one shape.
    count: number of wrong elements.
    names: of the axes.
    flat, at: places of the sample, flat and as an index.
    bits: significand bits of the answer.
    """

    g: Reals
    t: Reals
    limit: Reals
    wrong: Flags
    count: int
    names: tuple[str, ...]
    flat: Places
    at: tuple[Places, ...]
    bits: int

    @property
    def space(self) -> tuple[int, ...]:
        """Axes after the second that are longer than one."""
        return tuple(axis for axis in range(2, self.g.ndim) if self.g.shape[axis] > 1)

    def fits(self, t: Reals, limit: Reals) -> bool:
        """Return True if an array explains the answer: first on the sample, then on every element."""
        values = self.g[self.at]
        return (
            _varied(values)
            and bool(agree(values, t[self.at], limit[self.at]).all())
            and bool(agree(self.g, t, limit).all())
        )

    def every_wrong(self, rule: Callable[[Reals, Reals, Reals], Flags]) -> bool:
        """Return True if a rule (got, wanted, limit) holds for all wrong elements; stop at the first failing block."""
        flat = [a.reshape(-1) for a in (self.g, self.t, self.limit)]
        right = ~self.wrong.reshape(-1)
        return all(
            bool((rule(*(a[i : i + BLOCK] for a in flat)) | right[i : i + BLOCK]).all())
            for i in range(0, right.size, BLOCK)
        )


def agree(g: Array, t: Array | float, limit: Array | float) -> Flags:
    """Return flags of elements that are within their bound, equal, or NaN on both sides.

    g, t, limit: got, wanted and allowed error, of one shape or broadcast.
    """
    same = np.abs(g - t) <= limit
    if not same.all():
        same |= (g == t) | ((g != g) & (t != t))
    return np.asarray(same)


def _varied(values: Reals) -> bool:
    """Return True if values are numerous and different enough for a rule that explains them to be meaningful."""
    return values.size >= LEAST and bool((values != values.flat[0]).any())


def describe_rearrangement(case: Case) -> str:
    """Describe how the wanted numbers are rearranged in the answer; "" if they are not."""
    return _orientation(case) or _selection(case) or _shift(case) or _layout(case)


def _orientation(case: Case) -> str:
    """Describe spatial axes that are exchanged, flipped, or both."""
    space = case.space
    for order in itertools.permutations(space):
        axes = list(range(case.g.ndim))
        for axis, source in zip(space, order, strict=True):
            axes[axis] = source
        t, limit = case.t.transpose(axes), case.limit.transpose(axes)
        if t.shape != case.g.shape:
            continue
        for flips in _subsets(space):
            if (flips or order != space) and case.fits(np.flip(t, flips), np.flip(limit, flips)):
                words = [_describe_order(space, order, case.names)] if order != space else []
                words += [f"flipped along {_enumerate([case.names[axis] for axis in flips])}"] if flips else []
                turned = " (turned by 180 degrees)" if order == space and flips == space and len(space) > 1 else ""
                return f"got the wanted answer {' and '.join(words)}{turned}"
    return ""


def _subsets(axes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return itertools.chain.from_iterable(itertools.combinations(axes, k) for k in range(len(axes) + 1))


def _describe_order(axes: tuple[int, ...], order: tuple[int, ...], names: tuple[str, ...]) -> str:
    moved = [axis for axis, source in zip(axes, order, strict=True) if axis != source]
    if len(moved) == 2:
        return f"with {names[moved[0]]} and {names[moved[1]]} exchanged"
    return f"with its axes in the order {', '.join(names[axis] for axis in order)}"


def _layout(case: Case) -> str:
    """Describe wanted numbers written to memory in another order of the axes."""
    axes = tuple(axis for axis, n in enumerate(case.g.shape) if n > 1)
    sizes = [case.g.shape[axis] for axis in axes]
    t, limit, g = case.t.reshape(sizes), np.squeeze(case.limit), case.g.reshape(-1)
    if not _varied(g[case.flat]):
        return ""
    for order in itertools.permutations(range(len(axes))):
        turned, allowed = t.transpose(order), limit.transpose(order)
        at = np.unravel_index(case.flat, turned.shape)
        if not agree(g[case.flat], turned[at], allowed[at]).all():
            continue
        if agree(g, turned.reshape(-1), allowed.reshape(-1)).all():
            named = tuple(axes[i] for i in order)
            words = _describe_order(axes, named, case.names)
            return f"got the wanted answer {words}{'' if turned.shape == t.shape else ' in memory'}"
    return ""


def _selection(case: Case) -> str:
    """Describe images, channels or filters in another order, or one of them in place of all."""
    for axis in range(min(2, case.g.ndim)):
        n = case.g.shape[axis]
        if not 2 <= n <= CHANNELS:
            continue
        few = slice(None, None, max(1, case.flat.size // 16))
        at: tuple[Any, ...] = (slice(None), *(index[few] for i, index in enumerate(case.at) if i != axis))
        g, t, limit = (np.moveaxis(a, axis, 0)[at].reshape(n, -1) for a in (case.g, case.t, case.limit))
        match = np.asarray(agree(g[:, None], t[None], limit[None]).all(axis=2))
        for source, words in _selections(match, case.names[axis]):
            if case.fits(case.t.take(source, axis), case.limit.take(source, axis)):
                return f"got {words}"
    return ""


def _selections(match: Flags, name: str) -> Iterator[tuple[Places, str]]:
    """Yield the orders that are possible for a sample, with their names; match[i, j]: got i agrees with wanted j."""
    n = match.shape[0]
    every = np.arange(n)
    named = [(np.full(n, i), f"the answer of {name} {i} for every {name}") for i in np.flatnonzero(match.all(axis=0))]
    named.append((every[::-1], f"the {name}s in reverse order"))
    for k in [g for g in range(2, n) if n % g == 0]:
        blocks = every.reshape(k, -1)
        named.append((blocks.T.reshape(-1), f"the {name}s interleaved from {k} groups"))
        named.append((blocks[::-1].reshape(-1), f"the {k} groups of {name}s in reverse order"))
        named.append((blocks[:, ::-1].reshape(-1), f"the {name}s in reverse order within each of {k} groups"))
    named += [(np.roll(every, k), f"the {name}s rolled by {k if k <= n // 2 else k - n}") for k in range(1, n)]
    yield from ((source, words) for source, words in named if match[every, source].all())
    source = np.argmax(match, axis=1)
    moved = np.flatnonzero(source != every)
    if match[every, source].all() and np.unique(source).size == n and moved.size:
        if moved.size == 2:
            yield source, f"{name}s {moved[0]} and {moved[1]} exchanged"
        elif n <= 12:
            yield source, f"the {name}s in the order {', '.join(map(str, source))}"
        else:
            yield source, f"the {name}s permuted, {moved.size} of {n} moved"


def _shift(case: Case) -> str:
    """Describe a shift of the wanted answer by a few positions; elements without a counterpart are not compared."""
    space, shape = case.space, case.g.shape
    if not space:
        return ""
    steps = [range(-min(SHIFTS, shape[axis] - 1), min(SHIFTS, shape[axis] - 1) + 1) for axis in space]
    tried = np.array(list(itertools.product(*steps)), dtype=np.intp).reshape(-1, len(space))
    values, moved, inside = case.g[case.at], list(case.at), np.ones((len(tried), case.flat.size), dtype=bool)
    for axis, d in zip(space, tried.T, strict=True):
        index = case.at[axis] - d[:, None]  # each shift, each element of the sample
        inside &= (index >= 0) & (index < shape[axis])
        moved[axis] = index.clip(0, shape[axis] - 1)
    source = tuple(moved)
    fitting = (agree(values, case.t[source], case.limit[source]) | ~inside).all(axis=1)
    overlap = np.prod([shape[a] for a in space] - np.abs(tried), axis=1)
    fitting &= 4 * overlap >= math.prod(shape[a] for a in space)
    for number in sorted(np.flatnonzero(fitting).tolist(), key=lambda i: (np.abs(tried[i]).sum(), *tried[i])):
        step = tuple(int(d) for d in tried[number])
        if not any(step) or not _varied(values[inside[number]]):
            continue
        to, come = [slice(None)] * len(shape), [slice(None)] * len(shape)
        for axis, by in zip(space, step, strict=True):
            to[axis] = slice(max(by, 0), shape[axis] + min(by, 0))
            come[axis] = slice(max(-by, 0), shape[axis] + min(-by, 0))
        if agree(case.g[tuple(to)], case.t[tuple(come)], case.limit[tuple(come)]).all():
            parts = [f"{by:+d} along {case.names[axis]}" for axis, by in zip(space, step, strict=True) if by]
            round_ = case.fits(np.roll(case.t, step, space), np.roll(case.limit, step, space))
            return f"got the wanted answer shifted by {_enumerate(parts)}{', cyclically' if round_ else ''}"
    return ""


def _enumerate(words: list[str]) -> str:
    return " and ".join([*([", ".join(words[:-1])] if len(words) > 1 else []), words[-1]])
