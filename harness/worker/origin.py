"""Exceptions in one line: what was raised, and where."""

from __future__ import annotations

import os
import traceback

from harness.errors import HarnessError


def describe_error(error: Exception) -> str:
    """Return one line: the error, and the file and line where the backend raised it."""
    text = " ".join(str(error).split()) or "no message"
    where = getattr(error, "where", None)  # of an exception of the backend in its own process
    if isinstance(error, HarnessError) and where is None:
        return text
    where = find_origin(error) if where is None else where
    return f"{type(error).__name__}: {text}{f' ({where})' if where else ''}"[:600]


def find_origin(error: BaseException) -> str:
    """Return the file and line that raised an error; "" if unknown."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
