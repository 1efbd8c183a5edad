"""Excess of a new version over the limits of a gate: more memory than its base, or fewer effective bits."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.plan.limits import VALUES, Limit
from harness.record.passes import Pass
from harness.record.run import Result

Word = Literal["MORE MEMORY", "LESS PRECISE", "INCONCLUSIVE"]
NOISE_BYTES = 2**20  # growth of resident memory that an allocator's arenas and pages make by themselves
LEAST_PASSES = 3  # for the median of a peak
FORMATTED = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Excess of a cell over its limits, in words; INCONCLUSIVE where its limit could not be checked."""

    word: Word
    reason: str


def find_excess(base: Result | None, new: Result, limit: Limit) -> Excess | None:
    """Compare what both versions of a cell need; None if its limits hold, or it has none.

    base, new: results of the cell, which count only if both passed. limit: what counts for the cell.
    """
    if base is None or base.outcome != "passed" or new.outcome != "passed":
        return None
    if limit.bits is not None and new.kind == "correctness":
        return _lose_bits(base, new, limit.bits)
    if limit.memory is None or base.measurement is None or new.measurement is None:
        return None
    return _grow(base.measurement.passes, new.measurement.passes, limit.memory)


def find_idle_limits(
    limits: Iterable[Limit], pairs: Sequence[tuple[Result | None, Result]], applied: Collection[str] = VALUES,
    why: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """Return the rows of limits, in words, of which a value held for no cell of the new version, with the reason.

    limits: all rows. pairs: results of the base and of the new version.
    applied: values of rows that the comparison judges at all. why: it does not judge the others.
    """
    said = []
    for number, limit in enumerate(limits, 1):
        if lost := [name for name in VALUES if name not in applied and getattr(limit, name) is not None]:
            said.append(f"{number}. {limit.describe()}: {' and '.join(lost)} not applied, as {why}")
        elif not any(
            limit.covers(new.suite, new.backend, new.arm, new.problem) and is_checked(base, new, limit)
            for base, new in pairs
        ):
            said.append(f"{number}. {limit.describe()}: held for no cell; it may be misspelt")
    return tuple(said)


def is_checked(base: Result | None, new: Result, limit: Limit) -> bool:
    """Return True if a row of limits, which covers the cell, has a value that decides on it.

    base, new: results of the cell. limit: the row.
    """
    if new.kind == "speed":
        return limit.delta is not None or limit.memory is not None
    return (new.kind == "correctness" and limit.bits is not None) and any(
        one is not None and one.deviation is not None and one.deviation.effective_bits is not None
        for one in (base, new)
    )


def _lose_bits(base: Result, new: Result, most: float) -> Excess | None:
    """Compare effective bits; a version in which nothing was rounded has none, and cannot be more precise."""
    was, now = (None if one.deviation is None else one.deviation.effective_bits for one in (base, new))
    if now is None or (was is not None and was - now <= most):
        return None
    before = "in the base nothing was rounded" if was is None else f"the base has {was:.1f}"
    return Excess(word="LESS PRECISE", reason=f"{now:.1f} effective bits, {before}; {most:g} may be lost")


def _grow(base: Sequence[Pass], new: Sequence[Pass], most: float) -> Excess | None:
    """Compare the peak of memory, measured in every process, and the workspace that backends declare."""
    if (workspace := _compare("workspace", base, new, most, lambda one: one.workspace_bytes, 0)) is not None:
        return workspace
    if not any(one.memory_bytes for one in (*base, *new)):
        return Excess(word="INCONCLUSIVE", reason="its limit of memory: no peak of memory could be read here")
    if min(len(base), len(new)) < LEAST_PASSES:
        passes = min(len(base), len(new))
        return Excess(word="INCONCLUSIVE", reason=f"its limit of memory: {passes} of at least {LEAST_PASSES} passes")
    return _compare("peak memory", base, new, most, lambda one: one.memory_bytes, NOISE_BYTES)


def _compare(
    what: str, base: Sequence[Pass], new: Sequence[Pass], most: float, read: Callable[[Pass], int], noise: int
) -> Excess | None:
    """Compare the medians of a size over passes; growth counts beyond the share `most`, and beyond `noise` bytes."""
    was, now = (statistics.median(map(read, passes)) for passes in (base, new))
    if now <= was * (1 + most) + noise:
        return None
    ratio = f", {now / was:.3f} times as much" if was else ""
    return Excess(
        word="MORE MEMORY",
        reason=f"{what} {_format(now)} instead of {_format(was)}{ratio}; growth of {100 * most:.3g} % is allowed",
    )


def _format(size: float) -> str:
    name, unit = next(((name, unit) for name, unit in FORMATTED if size >= unit), ("B", 1))
    return f"{size / unit:.3g} {name}"
