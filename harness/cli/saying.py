"""Lines of a command that need no table and no colour."""

from __future__ import annotations

import sys

from harness.analysis.inert_text import show_text

LONGEST_LINE = 8000  # characters of a line, which may hold commands and paths


def say(text: object, *, error: bool = False) -> None:
    """Write one line without markup.

    text: made inert. error: True for standard error.
    """
    print(show_text(str(text), LONGEST_LINE), file=sys.stderr if error else sys.stdout, flush=error)
