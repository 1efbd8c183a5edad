"""Deviation of an answer from the right one, element by element, in units of its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from harness.laws.attachments import Attachments
from harness.laws.diagnosis.pattern import describe_pattern
from harness.problems.arrays import Array
from harness.problems.validation import check_one_of
from harness.problems.whole import Whole

Kind = Literal["exact", "bound", "norm", "structure", "declared"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """Result of one comparison; a law returns it and never asserts.

    worst: largest |got - wanted| / bound (0 if equal, inf if the bound is 0); passed if at most 1.
    vacuous: number of compared elements that prove nothing, as their bound is as large as the value.
    effective_bits: -log2 of the error relative to sqrt(K)(|w| * |x|); None if nothing was rounded.
    ulps: worst error in units in the last place of the wanted value, if the comparison failed.
    note: position of the wrong elements, in words.
    observed: behaviour of the backend, in a word or two, if a law checks a declaration.
    attachments: figures and pictures for the report.
    idle: why the law had nothing to check in this backend, so that it proves nothing; None otherwise.
    """

    kind: Kind
    worst: float
    compared: Whole
    vacuous: Whole = 0
    what: str = ""
    index: tuple[Whole, ...] = ()
    got: float | None = None
    wanted: float | None = None
    bound: float | None = None
    effective_bits: float | None = None
    ulps: float | None = None
    note: str = ""
    observed: str = ""
    attachments: Attachments | None = None
    idle: str | None = None

    def __post_init__(self) -> None:
        """Reject a kind of comparison that no reader knows. Raises UsageError."""
        if self.kind not in KINDS:
            check_one_of("kind of Deviation", self.kind, KINDS)

    @property
    def passed(self) -> bool:
        """True if every element lies within its bound (NaN does not)."""
        return self.worst <= 1.0

    @property
    def proves_nothing(self) -> bool:
        """True if nothing was compared, or only with bounds as large as the values."""
        return self.compared == 0 or self.vacuous == self.compared

    def describe(self) -> str:
        """Return the worst element in words."""
        if self.kind in ("structure", "declared"):
            return self.what
        if self.passed:
            return f"{self.compared} elements of {self.what} agree, worst at {self.worst:.3g} of its bound"
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        allowed = "exactly" if not self.bound else f"within {self.bound:.3g}"
        return (
            f"{self.what}{place}: got {self.got:.9g}, wanted {self.wanted:.9g} {allowed}{self.note and '; '}{self.note}"
        )


def compare_arrays(
    got: Array, wanted: Array, bound: Array | float = 0.0, *, what: str, kind: Kind = "exact"
) -> Deviation:
    """Compare two arrays of one shape element by element; equal infinities and NaN at the same place agree.

    got, wanted: any dtype.
    bound: allowed |got - wanted|, of the same shape or a scalar.
    what: name of the array, for messages.
    kind: of the bound.
    For different shapes, the deviation is a failed statement.
    """
    if got.shape != wanted.shape:
        return statement(False, f"{what}: got shape {tuple(got.shape)}, wanted {tuple(wanted.shape)}")
    if got.size == 0:
        return Deviation(kind=kind, worst=0.0, compared=0, what=what)
    if kind == "exact" and np.array_equal(got, wanted):  # the usual case, at a tenth of the time
        first = (0,) * got.ndim
        return Deviation(
            kind=kind, worst=0.0, compared=got.size, what=what, index=first, got=float(got[first]),
            wanted=float(wanted[first]),
        )  # fmt: skip
    g, t = got.astype(np.float64), wanted.astype(np.float64)
    limit = np.broadcast_to(np.asarray(bound, dtype=np.float64), t.shape)
    ratio = _ratios(g, t, limit)
    at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    note = "" if ratio[at] <= 1.0 else describe_pattern(got, wanted, bound, kernel=what.startswith("dw"))
    proves_little = np.isfinite(t) & (limit >= np.maximum(np.abs(t), 1e-300))
    vacuous = int(np.count_nonzero(proves_little)) if kind in ("bound", "norm") else 0
    return Deviation(
        kind=kind,
        worst=float(ratio[at]),
        compared=got.size,
        vacuous=vacuous,
        what=what,
        index=tuple(int(i) for i in at),
        got=float(g[at]),
        wanted=float(t[at]),
        bound=float(limit[at]),
        note=note,
    )


def _ratios(got: Array, wanted: Array, limit: Array) -> Array:
    """Return |got - wanted| / limit: 0 if equal, else inf if the limit is 0 or the error is NaN."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(got - wanted)
        if np.isfinite(error).all() and (limit > 0).all():  # the usual case, at a third of the time
            return np.asarray(error / limit)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        ratio = np.where(same, 0.0, np.where(limit > 0, error / limit, math.inf))
    return np.where(np.isnan(ratio), math.inf, ratio)


def statement(holds: bool, what: str) -> Deviation:
    """Return the deviation for a statement that is true or false, about shapes, indices or positions."""
    return Deviation(kind="structure", worst=0.0 if holds else math.inf, compared=1, what=what)


def nothing_to_show(why: str) -> Deviation:
    """Return the deviation of a law that had nothing to check in a backend: it proves nothing, and says why."""
    return Deviation(kind="structure", worst=0.0, compared=0, what=why, idle=why)


def declaration(holds: bool, promise: str, observed: str) -> Deviation:
    """Return the deviation of a backend's behaviour from its declaration; both appear in the message if they differ.

    holds: whether they agree.
    promise: the declaration.
    observed: the behaviour, in a word or two.
    """
    what = f"declared {promise}, observed {observed}"
    return Deviation(kind="declared", worst=0.0 if holds else math.inf, compared=1, what=what, observed=observed)


def worst_of(*deviations: Deviation) -> Deviation:
    """Return the worst of several comparisons, with their counts added and the smallest number of effective bits.

    One that had nothing to check is returned only if none of them had.
    """
    if len(deviations) == 1:
        return deviations[0]
    worst = max(deviations, key=lambda d: (math.inf if math.isnan(d.worst) else d.worst, d.idle is None))
    bits = [d.effective_bits for d in deviations if d.effective_bits is not None]
    return replace(
        worst,
        compared=sum(d.compared for d in deviations),
        vacuous=sum(d.vacuous for d in deviations),
        effective_bits=min(bits) if bits else None,
    )
