"""Checks of arguments that functions of the Python interface have in common."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UsageError


def refuse_text(**given: object) -> None:
    """Raise UsageError for a text or a path where a list of them is wanted; it would be read letter by letter."""
    for name, value in given.items():
        if isinstance(value, str | Path):
            kind = "text" if isinstance(value, str) else "path"
            raise UsageError(f"{name}: got the {kind} '{value}', wanted a list of such, as in {name}=[{value!r}]")
