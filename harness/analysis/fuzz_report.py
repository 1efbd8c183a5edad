"""Findings of fuzzing: the broken laws of each backend, each on the smallest problem found."""

from __future__ import annotations

from dataclasses import dataclass

from harness.exit_codes import ExitCode
from harness.record.run import Outcome, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzFinding:
    """A broken law.

    result: of the law on the smallest problem found.
    first: the drawn problem on which it broke first; None for a case of the corpus.
    example: number of that problem among those drawn; None for a case of the corpus.
    repeat: command that applies only this law to only this problem.
    """

    result: Result
    first: str | None = None
    example: int | None = None
    repeat: str = ""

    @property
    def arm(self) -> str:
        """Name of the arm that breaks the law: a backend, or one with settings."""
        return self.result.arm

    @property
    def backend(self) -> str:
        """Registered name of the arm's backend."""
        return self.result.backend

    @property
    def law(self) -> str:
        """Name of the law."""
        return self.result.law

    @property
    def problem(self) -> str:
        """Line of the smallest problem found."""
        return self.result.problem

    @property
    def outcome(self) -> Outcome:
        """Outcome of the law on that problem: failed, error, crashed or timeout."""
        return self.result.outcome

    @property
    def reason(self) -> str | None:
        """Worst element or error there."""
        return self.result.reason

    @property
    def replayed(self) -> bool:
        """True for a case of the corpus that still fails."""
        return self.first is None


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzedBackend:
    """One backend: counts of what was tried, and the findings.

    arm: a backend, or one with settings.
    problems: number of problems on which a law was applied; applications: of laws to problems.
    seconds: wall time. findings: cases of the corpus first, then by the time at which they were met.
    unavailable: True if it cannot run here. died: outcome, if its worker died while starting; None otherwise.
    reason: why it was not tested: it is unavailable, it died while starting, or no law could be applied; None if it
        was.
    """

    arm: str
    problems: int = 0
    applications: int = 0
    seconds: float = 0.0
    findings: tuple[FuzzFinding, ...] = ()
    unavailable: bool = False
    died: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzReport:
    """All backends of one call. seed: draws the same problems again, with the same code."""

    seed: int
    backends: tuple[FuzzedBackend, ...]

    @property
    def findings(self) -> tuple[FuzzFinding, ...]:
        """Findings of all backends."""
        return tuple(finding for one in self.backends for finding in one.findings)

    @property
    def exit_code(self) -> ExitCode:
        """WRONG if a law is broken or a worker died while starting, INCOMPLETE if no law was applied, else OK."""
        if self.findings or any(one.died for one in self.backends):
            return ExitCode.WRONG
        return ExitCode.OK if any(one.applications for one in self.backends) else ExitCode.INCOMPLETE
