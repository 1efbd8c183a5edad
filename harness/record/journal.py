"""The journal: one JSON entry per line, on disk before the next cell begins.

Since format 5, each line ends with its number and its CRC-32: `,"line":17,"crc32":"0123abcd"}`. The checksum is of all
bytes of the line before `,"crc32"`. A damaged line costs what it said, and nothing else.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import IO, Any, TypedDict, get_args, get_type_hints

import msgspec

from harness.errors import DAMAGED, UnwritableError
from harness.laws.deviation import Deviation
from harness.record.counts import check_counts
from harness.record.formats import upgrade_entry
from harness.record.passes import Pass, check_pass
from harness.record.run import FORMAT, Ending, Peak, Result, Resumption
from harness.record.seal import Seal
from harness.record.writer import claim_journal, release_journal


class ResultEntry(msgspec.Struct, tag="result", frozen=True):
    """Result of a cell."""

    result: Result


class PassEntry(msgspec.Struct, tag="pass", frozen=True, omit_defaults=True):
    """Samples of a cell in one process, written before its result is known.

    more: passes of other arms on the same problem that follow in the next lines; all of them count, or none.
    spent_s: seconds of the budget that were spent by then.
    reason, deviation: of the verification before the samples, which the result repeats.
    """

    cell: int
    samples: Pass
    more: int = 0
    spent_s: float = 0.0
    reason: str | None = None
    deviation: Deviation | None = None


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


class ResumeEntry(msgspec.Struct, tag="resume", frozen=True):
    """The run goes on after an interruption."""

    resumption: Resumption


class _Process(TypedDict, total=False):
    """Fields of an arm's process that reports read."""

    backends: list[str]
    instruction_sets: dict[str, str] | None
    files: dict[str, str] | None


class EndEntry(msgspec.Struct, tag="end", frozen=True):
    """The end of the run, or of a part of it, if it is resumed later."""

    ending: Ending


Entry = ResultEntry | PassEntry | PeakEntry | ArmEntry | ResumeEntry | EndEntry


MOST_JOURNAL_BYTES = 2**32
SEALED_SINCE = 5  # first format whose lines have a number and a checksum
CHECKSUM = b',"crc32":"%08x"}'
MOST_DAMAGED = 10_000  # lines, after which the rest of a journal is not read
CHECKSUM_BYTES = len(CHECKSUM % 0)
LEAST_FREE_BYTES = 2**20  # on the disk of a run, below which an error of a backend may be the disk's


class Journal:
    """File of entries; each entry is written to the file before `append` returns."""

    def __init__(self, path: Path, file: IO[bytes] | None = None, kept: bytes = b"") -> None:
        """Make a new file, or go on with an open one; no other process may write it meanwhile.

        file: open for reading and writing, and locked; None for a new file.
        kept: whole lines with which the file goes on; what follows them is cut off.
        Raises OSError, and UsageError if another process writes the file.
        """
        self.path = path
        self.file = path.open("xb", buffering=0) if file is None else file
        self.lock = threading.Lock()
        self.seal: Seal | None = None  # of a run that can be resumed
        self.final = False  # whether the run has ended, so that it is never resumed
        self.advice = (  # what to do where nothing more can be written
            f"what was done is on disk, see it with `python -m harness report {path.parent}`; make room, then go on "
            f"with --resume {path.parent}, or name another place with --output"
        )
        # size in bytes, number of lines, and hash of all that was written
        self.done = (len(kept), kept.count(b"\n"), hashlib.blake2b(kept))
        if file is None:
            claim_journal(self.file, path)
        os.ftruncate(self.file.fileno(), len(kept))

    def use_seal(self, seal: Seal) -> None:
        """Keep size and hash in a seal from now on."""
        self.seal = seal
        seal.write(self.done[0], self.done[1], self.done[2].hexdigest())

    @property
    def size(self) -> int:
        """Number of bytes written."""
        return self.done[0]

    @property
    def digest(self) -> bytes:
        """Hash of all bytes written, by BLAKE2b."""
        return self.done[2].digest()

    def append(self, entry: msgspec.Struct) -> None:
        """Write one entry as one line, completely or not at all. Raises UnwritableError, with the path and the reason.

        The file ends with a whole line afterwards in any case.
        """
        body = encode_entry(entry)
        with self.lock:
            size, lines, digest = self.done
            line = seal_line(body, lines + 1) + b"\n"
            digest = digest.copy()
            digest.update(line)
            try:
                self._write(line, size)
                self.done = (size + len(line), lines + 1, digest)
                if self.seal is not None:
                    self.seal.write(size + len(line), lines + 1, digest.hexdigest())
            except OSError as error:
                raise self._unwritable(error.strerror or str(error)) from None
            finally:
                if self.done[1] == lines:  # also after an interrupt
                    with suppress(OSError):
                        os.ftruncate(self.file.fileno(), size)

    def _write(self, line: bytes, position: int) -> None:
        """Write all bytes at a position; the system may take fewer at a time, as on a disk that is almost full."""
        left = memoryview(line)
        while left:
            taken = os.pwrite(self.file.fileno(), left, position)
            left, position = left[taken:], position + taken

    def check_space(self) -> None:
        """Raise UnwritableError if the disk is so full that a backend may have failed for that reason."""
        with suppress(OSError):
            disk = os.fstatvfs(self.file.fileno())
            free = disk.f_bavail * disk.f_frsize
            if disk.f_blocks and free < LEAST_FREE_BYTES:
                raise self._unwritable(f"{free / 2**10:.0f} KiB are left on the disk")

    def _unwritable(self, reason: str) -> UnwritableError:
        return UnwritableError(f"journal cannot be written: '{self.path}' ({reason}); {self.advice}")

    def sync(self) -> None:
        """Sync the journal to disk. Raises UnwritableError."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from None

    def close(self) -> None:
        """Sync the journal to disk and close it. Raises UnwritableError; the file is closed in any case."""
        try:
            self.sync()
        finally:
            release_journal(self.file, self.path)
            if self.seal is not None:
                self.seal.close(remove=self.final)


def seal_line(body: bytes, number: int) -> bytes:
    """Return an entry as a line of a journal.

    body: the entry, a JSON object that is not empty. number: of the line, from 1.
    """
    sealed = b'%b,"line":%d' % (body[:-1], number)
    return sealed + CHECKSUM % zlib.crc32(sealed)


def read_number(line: bytes) -> int:
    """Return the number of a line. Raises ValueError if the line is not what was written."""
    checked = memoryview(line)[:-CHECKSUM_BYTES]
    if line[-CHECKSUM_BYTES:] != CHECKSUM % zlib.crc32(checked):
        raise ValueError("wrong checksum")
    return int(line[line.rindex(b":", 0, -CHECKSUM_BYTES) + 1 : -CHECKSUM_BYTES])


def renumber_line(line: bytes, number: int) -> bytes:
    """Return a line with another number. Raises ValueError if the line is not what was written."""
    read_number(line)
    return seal_line(line[: line.rindex(b',"line":')] + b"}", number)


def encode_entry(entry: msgspec.Struct) -> bytes:
    """Return an entry as JSON. Most results have no infinities and no NaN, and are encoded as they are."""
    if isinstance(entry, ResultEntry) and _is_finite(entry.result):
        return msgspec.json.encode(entry)
    return msgspec.json.encode(_spell_nonfinite(msgspec.to_builtins(entry)))


def _is_finite(result: Result) -> bool:
    """Return True if all numbers of a result are finite; False also where that would take long to say."""
    found = result.deviation
    if result.measurement is not None or (found is not None and found.attachments is not None):
        return False
    numbers = _read_numbers(Result)(result) + (() if found is None else _read_numbers(Deviation)(found))
    return all(number is None or math.isfinite(number) for number in numbers)


@cache
def _read_numbers(kind: type[Result | Deviation]) -> Callable[[Any], tuple[float | None, ...]]:
    """Return the function that reads all fields with a floating-point number, or None; there are several."""
    names = (name for name, annotated in get_type_hints(kind).items() if float in (annotated, *get_args(annotated)))
    return attrgetter(*names)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Entries of a journal, and what is wrong with it.

    torn: whether the last line is incomplete. damage: what else is damaged, missing or repeated, one text each.
    """

    entries: list[Entry]
    torn: bool = False
    damage: tuple[str, ...] = ()


def read_journal(data: bytes, format: int = FORMAT, backend_of: Mapping[str, str] | None = None) -> Contents:
    """Read all lines that can be read.

    data: contents of the file. format: of the run, from its header.
    backend_of: backend of each arm of the run, for formats that do not record it.
    """
    if format >= FORMAT and (whole := _read_at_once(data)) is not None:
        return Contents(entries=whole)
    decode, sealed = make_decoder(format, backend_of), format >= SEALED_SINCE
    entries: list[Entry] = []
    damage: list[str] = []
    last, spoiled = 0, 0  # number of the last line that was read, and damaged lines since
    for place, line, torn in _iterate_lines(data):
        if len(damage) >= MOST_DAMAGED:
            damage.append(f"line {place} and all after it are not read: too many before are damaged")
            break
        try:
            number = read_number(line) if sealed else last + 1
            entry = decode(line)
            _check_entry(entry)
        except DAMAGED:
            if torn:
                return Contents(entries=entries, torn=True, damage=tuple(damage))
            damage.append(f"line {place} is damaged{_describe_line(line)}")
            spoiled += 1
            continue
        if number <= last:
            damage.append(f"line {place} repeats line {number}")
            continue
        if sealed and (missing := number - last - 1 - spoiled) > 0:
            damage.append(f"{missing} line{'s are' if missing > 1 else ' is'} missing before line {place}")
        last, spoiled = number, 0
        entries.append(entry)
    return Contents(entries=entries, damage=tuple(damage))


def _iterate_lines(data: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """Yield the lines that are not empty: number, contents, and whether no newline follows: the writer was killed."""
    place, at = 1, 0
    for found in re.finditer(rb"[^\n]+", data):
        place, at = place + data.count(b"\n", at, found.start()), found.start()
        yield place, found[0], found.end() == len(data)


def _read_at_once(data: bytes) -> list[Entry] | None:
    """Read a journal of the current format in one call, which is faster; None unless each line is as written."""
    number, begin = 0, 0
    while (end := data.find(b"\n", begin)) >= 0:  # without a list of lines, which would take as much memory again
        number += 1
        sealed = data[begin : max(begin, end - CHECKSUM_BYTES)]
        seal = CHECKSUM % zlib.crc32(sealed)
        if not sealed.endswith(b',"line":%d' % number) or data[begin + len(sealed) : end] != seal:
            return None
        begin = end + 1
    if begin != len(data):
        return None
    try:
        entries = read_written(data).entries
        for entry in entries:
            _check_entry(entry)
    except DAMAGED:
        return None
    return entries if len(entries) == number else None


def read_written(data: bytes) -> Contents:
    """Read a journal that is known to be what was written, as its digest says; lines are not checked again.

    data: contents of the file, of the current format.
    """
    return Contents(entries=msgspec.json.Decoder(Entry, strict=False).decode_lines(data))


def _check_entry(entry: Entry) -> None:
    """Raise ValueError if an entry says what no run can have, so that reports could not show it."""
    if isinstance(entry, PassEntry):
        check_pass(entry.samples)
    elif isinstance(entry, ArmEntry):
        msgspec.convert(entry.process, _Process)
    elif isinstance(entry, ResultEntry):
        for one in entry.result.measurement.passes if entry.result.measurement is not None else ():
            check_pass(one)
        if entry.result.counts is not None:
            check_counts(entry.result.counts)


ENTRY_BEGINS = re.compile(rb'(?=\{"type":")')
CELL = re.compile(rb'"cell":(\d{1,9})\b')
NAMES = tuple(re.compile(rb'"%b":"([ !#-\[\]-~]{1,200})"' % name) for name in (b"arm", b"law", b"problem"))


def _describe_line(line: bytes) -> str:
    """Describe the entries of a damaged line, from those names in it that can still be read."""
    told = []
    for part in ENTRY_BEGINS.split(line):
        if cell := CELL.search(part):
            what = "a pass" if part.startswith(b'{"type":"pass"') else "the result"
            names = " ".join(found[1].decode("ascii") for name in NAMES if (found := name.search(part)))
            told.append(f"{what} of cell {cell[1].decode('ascii')}{': ' if names else ''}{names}")
    return f" (probably {'; '.join(told)})" if told else ""
