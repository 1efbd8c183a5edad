"""Limits of a gate that hold for some of its cells only: the change of time that counts, memory, effective bits."""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.claims.rows import Scope

VALUES = ("delta", "memory", "bits")
EVERYWHERE = Scope(backend="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A row of the limits: its cells, and what counts for them.

    suite: name; empty for all. scope: the problems; a backend of "" stands for all backends.
    delta: relative change of time that counts. memory: relative growth of peak memory or workspace that is allowed.
    bits: effective bits that may be lost. None leaves a value to earlier rows.
    """

    suite: str = ""
    scope: Scope = EVERYWHERE
    delta: float | None = None
    memory: float | None = None
    bits: float | None = None

    def covers(self, suite: str, backend: str, arm: str, line: str) -> bool:
        """Return True if the row holds for a cell.

        suite, backend, arm: their names. line: of the problem.
        """
        if self.suite not in ("", suite) or (self.scope.backend and not self.scope.is_about(backend, arm)):
            return False
        return self.scope == Scope(backend=self.scope.backend) or self.scope.covers(line)

    def describe(self) -> str:
        """Return the row in words."""
        cells = [self.suite and f"suite {self.suite}", self.scope.backend, self.scope.describe()]
        values = [f"{name} {value:g}" for name in VALUES if (value := getattr(self, name)) is not None]
        return f"{', '.join(filter(None, cells)) or 'all cells'}: {', '.join(values)}"
