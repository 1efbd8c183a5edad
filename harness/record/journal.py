"""The journal: JSON lines, one entry each, flushed before the next cell begins; a torn last line is tolerated."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.record.run import Ending, Pass, Peak, Result


class ResultEntry(msgspec.Struct, tag="result", frozen=True):
    """A cell's result."""

    result: Result


class PassEntry(msgspec.Struct, tag="pass", frozen=True):
    """Samples of a cell in one process, before its result is known."""

    cell: int
    samples: Pass


class PeakEntry(msgspec.Struct, tag="peak", frozen=True):
    """The machine's own peak, as measured in this run."""

    peak: Peak


class BackendEntry(msgspec.Struct, tag="backend", frozen=True):
    """What a backend said when its worker started: versions and thread pools, or why it is unavailable."""

    backend: str
    reason: str
    versions: dict[str, str]
    process: dict[str, Any] = {}


class EndEntry(msgspec.Struct, tag="end", frozen=True):
    """The end of the run."""

    ending: Ending


Entry = ResultEntry | PassEntry | PeakEntry | BackendEntry | EndEntry


class Journal:
    """Appends entries to a file; every entry is in the file before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, entry: Entry) -> None:
        """Write one entry as one line."""
        self.file.write(msgspec.json.encode(_spell(msgspec.to_builtins(entry))) + b"\n")

    def close(self) -> None:
        """Make the journal durable and close it."""
        os.fsync(self.file.fileno())
        self.file.close()


def _spell(value: Any) -> Any:
    """Write infinities and NaN as words, which JSON has no numbers for; reading turns them back."""
    if isinstance(value, dict):
        return {name: _spell(part) for name, part in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def read_journal(path: Path) -> tuple[list[Entry], bool]:
    """All entries, and whether the last line was torn. Raises ValueError where an earlier line is damaged."""
    decoder = msgspec.json.Decoder(Entry, strict=False)
    entries: list[Entry] = []
    data = path.read_bytes()
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entries.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            if number == len(lines):  # no newline after it: the writer was stopped in the middle
                return entries, True
            raise ValueError(f"line {number}: {error}") from None
    return entries, False
