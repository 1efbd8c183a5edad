"""Region of the wrong elements of an array, in words: conditions on the index of each axis, all or one of which hold.

A region is stated only if it contains every wrong element and is dense: all of its elements are wrong, or most of them
(a wrong sum of whole numbers is occasionally right by chance).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.problems.arrays import Array, Flags

DENSE = 0.9  # least share of wrong elements in a region that is stated
CORES = (0.9, 0.75, 0.6)  # least shares of wrong elements in a row that belongs to the border
PERIODS = 64  # longest period that is searched
LISTED = 4  # most indices that are listed one by one
OUTSIDE = 4  # fewest right elements outside of a region, except in a small array
MARGIN = 8.0  # bits that the more general kinds of rules must save compared with a list of the wrong elements
MULTIPLES = (32, 16, 8, 4)


@dataclass(frozen=True, slots=True)
class _Found:
    """A region in words, its number of elements, and the bits needed to choose it among the possible regions."""

    text: str
    size: int
    cost: float


def describe_region(wrong: Flags, names: Sequence[str], point: str = "position") -> str:
    """Describe where the wrong elements are; "" if no region fits.

    wrong: any shape.
    names: one for each axis, the first two of (image, channel) or (filter, channel).
    point: word for an index on all axes after the second, "position" or "tap".
    """
    count = int(np.count_nonzero(wrong))
    if not count or not _tells(wrong.size - count, wrong.size):
        return ""
    if count == 1:
        place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        last = ", the last element" if wrong.flat[-1] else ""
        return f"only at [{', '.join(str(int(i)) for i in place)}]{last}"
    most = None
    for found in _search(wrong, count, names, point):
        if found.size == count:
            return f"only {found.text}, all there"
        most = most or found
    return f"only {most.text}, most there" if most else ""


def _search(wrong: Flags, count: int, names: Sequence[str], point: str) -> list[_Found]:
    """Return dense regions that contain all wrong elements: by axes, by the flat place in a map, by the flat place."""
    views = [(wrong, tuple(names))]
    if wrong.ndim > 3:
        views.append((wrong.reshape(*wrong.shape[:2], -1), (*names[:2], f"flat {point}")))
    if wrong.ndim > 1:
        views.append((wrong.reshape(-1), ("flat index",)))
    found = []
    for flags, labels in views:
        shares = _count(flags)
        plain, border = _product(shares, labels, point), _union(flags, shares, labels)
        for rule, certain in ((plain, flags is wrong), (border, False)):
            if rule is None or count < DENSE * rule.size or not _tells(wrong.size - rule.size, wrong.size):
                continue
            if certain or _choices(wrong.size, count) >= rule.cost + MARGIN:
                found.append(rule)
                if rule.size == count:
                    return found
    return found


def _tells(outside: int, size: int) -> bool:
    """Return True if enough elements lie outside of a region: a few may be right by chance."""
    return outside >= OUTSIDE or 4 * outside >= size


def _choices(size: int, count: int) -> float:
    """Return the bits needed to list `count` of `size` elements: log2 of the binomial coefficient."""
    return (math.lgamma(size + 1) - math.lgamma(count + 1) - math.lgamma(size - count + 1)) / math.log(2)


def _cost(sizes: Iterable[int]) -> float:
    """Return the bits of one condition on each of some axes: about four kinds of rule at each index."""
    return sum(math.log2(4 * n) for n in sizes)


def _count(flags: Flags) -> list[Array]:
    """Return the number of wrong elements at each index of each axis."""
    if flags.ndim < 3:
        return [np.asarray(flags.sum(axis=tuple(b for b in range(flags.ndim) if b != a))) for a in range(flags.ndim)]
    dtype = np.float32 if flags.size < 2**24 else np.float64  # whole numbers that the significand holds
    rows: Array = flags.reshape(math.prod(flags.shape[:2]), -1).astype(dtype)
    maps = (rows @ np.ones(rows.shape[1], dtype)).reshape(flags.shape[:2])
    space = (rows.T @ np.ones(rows.shape[0], dtype)).reshape(flags.shape[2:])
    within = [space.sum(axis=tuple(b for b in range(space.ndim) if b != a)) for a in range(space.ndim)]
    return [maps.sum(axis=1), maps.sum(axis=0), *within]


def _product(shares: list[Array], names: Sequence[str], point: str) -> _Found | None:
    """Return the smallest product of index sets that contains all wrong elements."""
    hull = [share > 0 for share in shares]
    size = math.prod(int(np.count_nonzero(h)) for h in hull)
    texts, places = [], [h for h in hull[2:] if h.size > 1]
    single = len(places) > 1 and all(np.count_nonzero(h) == 1 for h in places)
    for h, name in zip(hull[:2] if single else hull, names, strict=False):
        text = describe_indices(h, name)
        if text is None:
            return None
        texts += [text] if text else []
    if single:
        texts.append(f"{point} = ({', '.join(str(int(np.argmax(h))) for h in hull[2:])})")
    return _Found(f"where {_both(texts)}", size, _cost(h.size for h in hull if not h.all())) if texts else None


def _both(texts: list[str]) -> str:
    """Join conditions that all hold."""
    return " and ".join(f"({text})" if " or " in text and len(texts) > 1 else text for text in texts)


def _union(flags: Flags, shares: list[Array], names: Sequence[str]) -> _Found | None:
    """Return everything except a product of index sets without wrong elements, such as a border."""
    hull = [share > 0 for share in shares]
    within = [int(np.count_nonzero(h)) for h in hull]
    common = [describe_indices(h, name) for h, name in zip(hull, names, strict=True)]
    if None in common:
        return None
    for least in CORES:
        core = [h & (share < least * math.prod(within) / n) for h, share, n in zip(hull, shares, within, strict=True)]
        inside = [int(np.count_nonzero(c)) for c in core]
        touched = [axis for axis, (i, n) in enumerate(zip(inside, within, strict=True)) if i < n]
        if len(touched) < 2 or not all(inside) or any(common[axis] for axis in touched):
            continue
        if flags[np.ix_(*core)].any():
            continue
        texts = [describe_indices(~core[axis], names[axis]) for axis in touched]
        if None not in texts:
            either = " or ".join(str(text) for text in texts)
            rest = [str(text) for text in common if text]
            cost = _cost(h.size for axis, h in enumerate(hull) if axis in touched or not h.all())
            border = min(touched) >= 2 and all(np.ptp(np.flatnonzero(core[a])) < inside[a] for a in touched)
            text = f"{'on the border, ' * border}where {_both([*rest, either])}"
            return _Found(text, math.prod(within) - math.prod(inside), cost)
    return None


def describe_indices(chosen: Flags, name: str) -> str | None:
    """Describe which indices of one axis are chosen: "" for all of them, None if no short rule fits.

    A few are listed individually, unless the axis is flat: a list would then only name some elements.
    """
    n, places = chosen.size, np.flatnonzero(chosen)
    k = places.size
    if k == n:
        return ""
    if k == 0:
        return None
    first, last = int(places[0]), int(places[-1])
    if k == 1:
        return f"{name} = {first}{_remark(first, n, end=last == n - 1)}"
    if first == n - k:
        return f"{name} >= {first}{_remark(first, n, end=True)}"
    if last == k - 1:
        return f"{name} < {k}"
    periodic = _describe_period(chosen, name)
    if periodic:
        return periodic
    if last - first == k - 1:
        return f"{first} <= {name} <= {last}"
    return _describe_gaps(chosen, places, name)


def _remark(first: int, n: int, end: bool) -> str:
    """Return remarks on a tail: its length, and whether it begins at a multiple of a vector length."""
    remarks = []
    if first == 0:
        remarks.append("the first")
    elif end:
        remarks.append("the last" if n - first == 1 else f"the last {n - first}")
        remarks += [f"a multiple of {m}" for m in MULTIPLES if first % m == 0][:1]
    return f" ({', '.join(remarks)})" if remarks else ""


def _describe_period(chosen: Flags, name: str) -> str | None:
    """Describe a choice that repeats, with at least one full repetition."""
    n = chosen.size
    for m in range(2, min(PERIODS, n // 2) + 1):
        head = chosen[: 16 * m]
        if not np.array_equal(head[m:], head[:-m]) or not np.array_equal(chosen[m:], chosen[:-m]):
            continue
        places = np.flatnonzero(chosen[:m])
        k, first, last = places.size, int(places[0]), int(places[-1])
        if k == 1:
            return f"{name} % {m} == {first}"
        if k == m - 1:
            return f"{name} % {m} != {int(np.argmin(chosen[:m]))}"
        if first == m - k:
            return f"{name} % {m} >= {first}"
        if last == k - 1:
            return f"{name} % {m} < {k}"
        return None  # it has this period and every longer one is a multiple of it
    return None


def _describe_gaps(chosen: Flags, places: Array, name: str) -> str | None:
    """Describe the indices that are left out, or list the few that are chosen."""
    left = np.flatnonzero(~chosen)
    begin, end = int(left[0]), int(left[-1])
    if left.size == 1:
        return f"{name} != {begin}"
    if end - begin == left.size - 1:
        return f"{name} < {begin} or {name} > {end}"
    if places.size <= LISTED and not name.startswith("flat"):
        return f"{name} in {{{', '.join(str(int(i)) for i in places)}}}"
    return None
