"""Reasons for which a cell that is right fails a build, with the values that an acceptance is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import msgspec

from harness.analysis.counted import CountRatio
from harness.analysis.statistics import Estimate

Verdict = Literal["SLOWER", "MORE", "MISSING", "MORE MEMORY", "LESS PRECISE"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Amount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An amount on both sides: bytes of peak memory or of workspace, or effective bits.

    base: None if the base has none, as where nothing was rounded.
    """

    what: str
    base: float | None = None
    new: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One reason for which a cell fails a build, with its value.

    ratio: new / base, of times or instructions; None for the others.
    amounts: of memory or bits. law: that lost bits; "" for the others.
    """

    verdict: Verdict
    ratio: Estimate | CountRatio | None = None
    amounts: tuple[Amount, ...] = ()
    law: str = ""
