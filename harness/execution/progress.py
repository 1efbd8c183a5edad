"""Observers of the progress of a run."""

from __future__ import annotations

from typing import Protocol

from harness.plan.cell import Plan
from harness.record.run import Result, Run


class Watch(Protocol):
    """An observer of a run: a progress bar, log lines, or nothing."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """See the plan before the first cell, with the estimated duration."""

    def working(self, backend: str, what: str) -> None:
        """See which cell begins."""

    def advance(self, seconds: float) -> None:
        """See that work worth so many estimated seconds is done."""

    def recorded(self, result: Result) -> None:
        """See a result that is on disk."""

    def end(self, run: Run) -> None:
        """See the end."""


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """Say nothing."""

    def working(self, backend: str, what: str) -> None:
        """Say nothing."""

    def advance(self, seconds: float) -> None:
        """Say nothing."""

    def recorded(self, result: Result) -> None:
        """Say nothing."""

    def end(self, run: Run) -> None:
        """Say nothing."""
