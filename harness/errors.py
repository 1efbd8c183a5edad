"""Errors that a user can act on: one line that says what, got, wanted and what next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.exit_codes import ExitCode


class HarnessError(Exception):
    """A problem that the user can mend; printed as one line, never as a traceback."""

    exit_code = ExitCode.USAGE


class UsageError(HarnessError):
    """A command, name or file that cannot be used."""


class CannotTellError(HarnessError):
    """A gate that may not give a verdict on this machine."""

    exit_code = ExitCode.CANNOT_TELL


class GeometryError(HarnessError):
    """A window that does not fit its input (specification, section 2); the same text for every backend."""


class LineError(HarnessError):
    """A problem line that does not parse; carries the position of the fault."""

    def __init__(self, message: str, line: str, column: int) -> None:
        super().__init__(f"problem line, column {column + 1}: {message}; the line was: {line}")
        self.column = column


def unknown(kind: str, got: str, known: Iterable[str], see: str) -> UsageError:
    """Build the error for a name that is not known, with the nearest known name."""
    names = sorted(known)
    near = difflib.get_close_matches(got, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return UsageError(f"unknown {kind}: got '{got}', wanted one of {', '.join(names)}; {hint}see `{see}`")
