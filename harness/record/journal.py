"""The journal: one JSON entry per line, flushed before the next cell begins; an incomplete last line is tolerated."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.record.formats import upgrade_entry
from harness.record.run import FORMAT, Ending, Pass, Peak, Result


class ResultEntry(msgspec.Struct, tag="result", frozen=True):
    """Result of a cell."""

    result: Result


class PassEntry(msgspec.Struct, tag="pass", frozen=True):
    """Samples of a cell in one process, written before its result is known."""

    cell: int
    samples: Pass


class PeakEntry(msgspec.Struct, tag="peak", frozen=True):
    """Peak rates of the machine, measured during this run."""

    peak: Peak


class ArmEntry(msgspec.Struct, tag="arm", frozen=True):
    """Facts about an arm from the start of its worker: versions and thread pools, or why its backend is unavailable."""

    arm: str
    backend: str
    reason: str | None
    versions: dict[str, str]
    process: dict[str, Any] = {}


class EndEntry(msgspec.Struct, tag="end", frozen=True):
    """The end of the run."""

    ending: Ending


Entry = ResultEntry | PassEntry | PeakEntry | ArmEntry | EndEntry


class Journal:
    """Append-only file of entries; each entry is written to the file before `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[bytes] = path.open("ab", buffering=0)

    def append(self, entry: Entry) -> None:
        """Write one entry as one line."""
        self.file.write(msgspec.json.encode(_spell_nonfinite(msgspec.to_builtins(entry))) + b"\n")

    def close(self) -> None:
        """Sync the journal to disk and close it."""
        os.fsync(self.file.fileno())
        self.file.close()


def _spell_nonfinite(value: Any) -> Any:
    """Replace infinities and NaN by words, since JSON has no numbers for them; reading restores them."""
    if isinstance(value, dict):
        return {name: _spell_nonfinite(part) for name, part in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def make_decoder(format: int, backend_of: Mapping[str, str] | None = None) -> Callable[[bytes], Entry]:
    """Return the function that decodes one line of a journal.

    format: of the run. backend_of: backend of each arm of the run, for formats that do not record it.
    """
    current = msgspec.json.Decoder(Entry, strict=False)
    if format >= FORMAT:
        return current.decode
    older, known = msgspec.json.Decoder(dict[str, Any]), backend_of or {}
    return lambda line: msgspec.convert(upgrade_entry(older.decode(line), format, known), Entry, strict=False)


def read_journal(
    path: Path, format: int = FORMAT, backend_of: Mapping[str, str] | None = None
) -> tuple[list[Entry], bool]:  # fmt: skip
    """Read all entries; the flag is True if the last line is incomplete.

    path: of the journal. format: of the run, from its header.
    backend_of: backend of each arm of the run, for formats that do not record it.
    Raises ValueError if an earlier line is damaged.
    """
    data = path.read_bytes()
    if format >= FORMAT and data.endswith(b"\n"):
        with suppress(msgspec.MsgspecError):  # reading line by line tells which one is damaged
            entries = msgspec.json.Decoder(Entry, strict=False).decode_lines(data)
            if len(entries) == data.count(b"\n"):
                return entries, False
    return _read_lines(data, make_decoder(format, backend_of))


def _read_lines(data: bytes, decode: Callable[[bytes], Entry]) -> tuple[list[Entry], bool]:
    """Read the lines of a journal one by one, with `decode`; for the rest see `read_journal`."""
    entries: list[Entry] = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entries.append(decode(line))
        except msgspec.MsgspecError as error:
            if number == len(lines):  # no newline at the end: the writer was interrupted
                return entries, True
            raise ValueError(f"line {number}: {error}") from None
    return entries, False
