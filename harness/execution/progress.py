"""Observers of the progress of a run."""

from __future__ import annotations

from typing import Protocol

from harness.plan.cell import Plan
from harness.record.run import Result, Run


class Watch(Protocol):
    """An observer of a run: a progress bar, log lines, or nothing."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """Receive the plan before the first cell, with the estimated duration in seconds."""

    def working(self, backend: str, what: str) -> None:
        """Receive the arm or stage at work, with the step that begins."""

    def advance(self, seconds: float) -> None:
        """Receive the estimated duration in seconds of work that is done."""

    def recorded(self, result: Result) -> None:
        """Receive a result that was written to disk."""

    def end(self, run: Run) -> None:
        """Receive the run when it has ended."""


class Silent:
    """An observer that shows nothing."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """Do nothing."""

    def working(self, backend: str, what: str) -> None:
        """Do nothing."""

    def advance(self, seconds: float) -> None:
        """Do nothing."""

    def recorded(self, result: Result) -> None:
        """Do nothing."""

    def end(self, run: Run) -> None:
        """Do nothing."""
