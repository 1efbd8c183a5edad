"""Remembering what was made of a run: several reports of one run need the same tables."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from harness.record.run import Run

Made = TypeVar("Made")


def remember_last(make: Callable[[Run], Made]) -> Callable[[Run], Made]:
    """Remember what a function made of the last run that it was given; a run never changes, and is known by identity.

    The caller must not change what it gets.
    """
    kept: list[tuple[weakref.ref[Run], Made]] = []

    @wraps(make)
    def remembered(run: Run) -> Made:
        if not kept or kept[0][0]() is not run:
            kept[:] = [(weakref.ref(run), make(run))]
        return kept[0][1]

    return remembered
