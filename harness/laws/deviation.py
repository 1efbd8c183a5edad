"""How far an answer is from what it must be, element by element, in units of its bound."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.laws.diagnosis.pattern import describe_pattern
from harness.laws.exhibit import Exhibit

Array = NDArray[Any]
Kind = Literal["exact", "bound", "norm", "structure", "declared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """The outcome of one comparison; a law returns it and never asserts.

    worst: largest |got - wanted| / bound (0 where equal, inf where the bound is 0); passed if at most 1.
    vacuous: how many of the compared elements prove nothing (the bound is as large as the value).
    effective_bits: -log2 of the error relative to sqrt(K)(|w| * |x|), None where nothing was rounded.
    ulps: the worst error in units in the last place of the wanted value, where something was rounded wrongly.
    note: where the wrong elements lie, in words.
    observed: what the backend does, in a word or two, where a law looks at a declaration.
    exhibit: what there is to be shown beside the verdict.
    idle: why the law had nothing to look at in this backend; it proves nothing then, through no comparison of its own.
    """

    kind: Kind
    worst: float
    compared: int
    vacuous: int = 0
    what: str = ""
    index: tuple[int, ...] = ()
    got: float | None = None
    wanted: float | None = None
    bound: float | None = None
    effective_bits: float | None = None
    ulps: float | None = None
    note: str = ""
    observed: str = ""
    exhibit: Exhibit | None = None
    idle: str = ""

    @property
    def passed(self) -> bool:
        """Whether every element lies within its bound (NaN does not)."""
        return self.worst <= 1.0

    @property
    def proves_nothing(self) -> bool:
        """Whether nothing was compared, or only against bounds as large as the values."""
        return self.compared == 0 or self.vacuous == self.compared

    def describe(self) -> str:
        """The worst element in words."""
        if self.kind in ("structure", "declared"):
            return self.what
        if self.passed:
            return f"{self.compared} elements of {self.what} agree, worst at {self.worst:.3g} of its bound"
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        allowed = "exactly" if not self.bound else f"within {self.bound:.3g}"
        return (
            f"{self.what}{place}: got {self.got:.9g}, wanted {self.wanted:.9g} {allowed}{self.note and '; '}{self.note}"
        )


def compare(got: Array, wanted: Array, bound: Array | float = 0.0, *, what: str, kind: Kind = "exact") -> Deviation:
    """Compare two arrays of one shape element by element; equal infinities and NaN at the same place agree.

    got, wanted: any dtype. bound: same shape or a scalar, the allowed |got - wanted|. what: name of what is compared,
    as reports show it. kind: "exact", or "bound" or "norm" where elements may prove nothing, as the bound is large.
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
    """|got - wanted| / limit, 0 where equal, and infinite where the limit is 0 or the error is no number."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(got - wanted)
        if np.isfinite(error).all() and (limit > 0).all():  # the usual case, at a third of the time
            return np.asarray(error / limit)
        same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
        ratio = np.where(same, 0.0, np.where(limit > 0, error / limit, math.inf))
    return np.where(np.isnan(ratio), math.inf, ratio)


def statement(holds: bool, what: str) -> Deviation:
    """Make the Deviation of a statement that is true or false: about shapes, indices or positions."""
    return Deviation(kind="structure", worst=0.0 if holds else math.inf, compared=1, what=what)


def nothing_to_show(why: str) -> Deviation:
    """Make the Deviation of a law that had nothing to look at in a backend; it proves nothing: why."""
    return Deviation(kind="structure", worst=0.0, compared=0, what=why, idle=why)


def declaration(holds: bool, promise: str, observed: str) -> Deviation:
    """Make the Deviation of what a backend declares against what it does; both are said where they do not agree.

    holds: whether they agree. promise: what is declared, in words. observed: what the backend does, in words.
    """
    what = f"declared {promise}, observed {observed}"
    return Deviation(kind="declared", worst=0.0 if holds else math.inf, compared=1, what=what, observed=observed)


def worst_of(*deviations: Deviation) -> Deviation:
    """Give the worst of several comparisons, with their counts added up and the fewest effective bits."""
    if len(deviations) == 1:
        return deviations[0]
    worst = max(deviations, key=lambda d: math.inf if math.isnan(d.worst) else d.worst)
    bits = [d.effective_bits for d in deviations if d.effective_bits is not None]
    return replace(
        worst,
        compared=sum(d.compared for d in deviations),
        vacuous=sum(d.vacuous for d in deviations),
        effective_bits=min(bits) if bits else None,
    )
