"""User errors: one line with the subject, the value received, the value wanted and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from harness.exit_codes import ExitCode

MOST_TEXT = 5000  # characters of an error's text


class HarnessError(Exception):
    """An error that the user can fix; printed as one line, never as a traceback."""

    exit_code = ExitCode.USAGE

    def __str__(self) -> str:
        """Return the text, shortened in its middle: what was got may be a whole file."""
        text = super().__str__()
        if len(text) <= MOST_TEXT:
            return text
        return f"{text[: MOST_TEXT - 600]} … ({len(text)} characters) … {text[-500:]}"


class RefusalError(HarnessError):
    """The harness's own code finds that something cannot be asked of a backend here; no error of the backend."""


class UsageError(HarnessError):
    """An unusable command, name or file."""


class UnbuiltError(UsageError):
    """A version that does not build, or has no plugin."""


class UnwritableError(UsageError):
    """A place that cannot be written, or text that no file can hold: trouble of the system, not of a backend."""

    exit_code = ExitCode.SYSTEM


class BrokenInstallationError(HarnessError):
    """A part of the harness itself that cannot be loaded."""

    exit_code = ExitCode.INTERNAL


class CannotTellError(HarnessError):
    """A gate that cannot give a verdict on this machine."""

    exit_code = ExitCode.CANNOT_TELL


class GeometryError(HarnessError):
    """A window that does not fit its input (specification, section 2); the same text for every backend."""


CHANGED = "changed while the run was going on"  # suffix of the reason why a run is void


class ChangedError(HarnessError):
    """A file of a run that something else than the harness has changed; what it says counts for nothing."""

    exit_code = ExitCode.INCOMPLETE


class LineError(HarnessError):
    """A problem line that does not parse; `column` is the position of the fault, counted from 0."""

    def __init__(self, message: str, line: str, column: int) -> None:
        super().__init__(f"problem line, column {column + 1}: {message}; the line was: {line}")
        self.column = column


LONGEST_NAME = 80  # characters of an unknown name that are compared, in a time that grows with their square

# What decoding a damaged file raises: text that is no UTF-8, JSON that is nested too deeply, numbers of thousands of
# digits or beyond what fits, and fields of another type or none. msgspec's errors are ValueErrors.
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)


def say_error(error: BaseException) -> str:
    """Return the type and the text of any exception on one line that a file can hold, also if it has no text."""
    return f"{type(error).__name__}: {read_text(error) or 'no message'}"


def read_text(error: BaseException) -> str:
    """Return the text of any exception on one line that a file can hold; empty if it has none."""
    try:
        return " ".join(str(error).split()).encode(errors="backslashreplace").decode()
    except BaseException as inner:  # an exception of a plugin may raise another when it is asked for its text
        return f"its text raises {type(inner).__name__}"


def suggest(got: str, known: Iterable[str], *, most: int = 1, before: str = "", after: str = "") -> str:
    """Return a question that names the known names nearest to an unknown one; empty if none is near.

    got: the unknown name. known: all valid names. most: how many names the question may have.
    before, after: texts around the question, if there is one.
    """
    near = difflib.get_close_matches(got[:LONGEST_NAME], list(known), n=most)
    return f"{before}{ask_meant(near)}{after}" if near else ""


def ask_meant(names: Iterable[str]) -> str:
    """Return a question that names what an unknown name may stand for."""
    quoted = [f"'{name}'" for name in names]
    return f"did you mean {' or '.join(quoted)}?"


def unknown(kind: str, got: str, known: Iterable[str], see: str) -> UsageError:
    """Build the error for an unknown name, with the nearest known name.

    kind: what was named, such as "backend". got: the unknown name. known: all valid names. see: command that lists
        them.
    """
    names = sorted(known)
    hint = suggest(got, names, after=" ")
    return UsageError(f"unknown {kind}: got '{got}', wanted one of {', '.join(names)}; {hint}see `{see}`")
