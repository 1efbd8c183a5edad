"""Excess of a new version over the limits of a gate: more memory than its base, or fewer effective bits."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.analysis.seen import Amount
from harness.plan.limits import VALUES, Limit
from harness.record.passes import Pass
from harness.record.run import Result

Word = Literal["MORE MEMORY", "LESS PRECISE", "INCONCLUSIVE"]
PEAK, WORKSPACE, BITS = "peak memory", "workspace", "effective bits"  # amounts
# Change that does not count: an allocator's arenas and pages make resident memory grow by themselves.
NOISE = {PEAK: 2**20, WORKSPACE: 0, BITS: 0.1}
LEAST_PASSES = 3  # for the median of a peak
FORMATTED = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """Excess of a cell over its limits, in words; INCONCLUSIVE where its limit could not be checked.

    amounts: that are beyond the limit. unknown: why a part of the limit could not be checked; None if all was.
    """

    word: Word
    reason: str
    amounts: tuple[Amount, ...] = ()
    unknown: str | None = None


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
    return Excess(
        word="LESS PRECISE", reason=f"{now:.1f} effective bits, {before}; {most:g} may be lost",
        amounts=(Amount(what=BITS, base=was, new=now),),
    )  # fmt: skip


def _grow(base: Sequence[Pass], new: Sequence[Pass], most: float) -> Excess | None:
    """Compare the workspace that backends declare, and the peak of memory, measured in every process."""
    found, unknown = [_compare(WORKSPACE, base, new, most, lambda one: one.workspace_bytes)], None
    if not any(one.memory_bytes for one in (*base, *new)):
        unknown = "its limit of memory: no peak of memory could be read here"
    elif (passes := min(len(base), len(new))) < LEAST_PASSES:
        unknown = f"its limit of memory: {passes} of at least {LEAST_PASSES} passes"
    else:
        found.append(_compare(PEAK, base, new, most, lambda one: one.memory_bytes))
    grown = tuple(amount for amount in found if amount is not None)
    if not grown:
        return Excess(word="INCONCLUSIVE", reason=unknown, unknown=unknown) if unknown else None
    said = "; ".join(map(describe_amount, grown))
    reason = f"{said}; growth of {100 * most:.3g} % is allowed"
    return Excess(word="MORE MEMORY", reason=reason, amounts=grown, unknown=unknown)


def _compare(
    what: str, base: Sequence[Pass], new: Sequence[Pass], most: float, read: Callable[[Pass], int]
) -> Amount | None:
    """Compare the medians of a size over passes; growth counts beyond the share `most`, and beyond noise."""
    was, now = (float(statistics.median(map(read, passes))) for passes in (base, new))
    return None if now <= was * (1 + most) + NOISE[what] else Amount(what=what, base=was, new=now)


def describe_amount(amount: Amount) -> str:
    """Return an amount on both sides in words, such as `peak memory 200 MiB instead of 100 MiB`."""
    was, now = amount.base, amount.new
    if amount.what == BITS:
        return f"{now:.1f} {BITS}{'' if was is None else f' instead of {was:.1f}'}"
    ratio = f", {now / was:.3f} times as much" if was else ""
    return f"{amount.what} {_format(now)} instead of {_format(was or 0.0)}{ratio}"


def _format(size: float) -> str:
    name, unit = next(((name, unit) for name, unit in FORMATTED if size >= unit), ("B", 1))
    return f"{size / unit:.3g} {name}"
