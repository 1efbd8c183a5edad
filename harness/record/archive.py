"""A run in one file: a zip of header.json and journal.jsonl, byte-identical for identical runs.

A zip can be inspected on every system, each member has a checksum, and the directory at the end reveals truncation.
Dates, owners and modes are fixed; only a different release of zlib may compress to other bytes.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.errors import DAMAGED, UsageError
from harness.machine.files import read_file
from harness.record.directory import HEADER, JOURNAL, read_run
from harness.record.journal import MOST_JOURNAL_BYTES, SEALED_SINCE, renumber_line
from harness.record.run import Run

# 1: a zip of header.json and journal.jsonl, which have a format of their own (harness.record.run)
FORMAT = 1
MARK = b"harness baseline "
MEMBERS = (HEADER, JOURNAL)
MOST_BYTES = 2**30  # of all members, unpacked; the whole suite on eight backends needs 6 % of it
MOST_PACKED_BYTES = 2**30
MOST_RATIO = 200  # of the sizes unpacked and packed, beyond LEAST_BYTES; journals have up to 30
LEAST_BYTES = 2**25
LEVEL = 9
CHUNK = 2**20


class _Cell(msgspec.Struct):
    cell: int
    suite: str


class _Line(msgspec.Struct):
    """Cell of a journal line; peaks, backends and the end have none."""

    type: str
    cell: int | None = None
    result: _Cell | None = None


def write_archive(run: Run, file: IO[bytes], suite: str | None = None) -> None:
    """Write a run, or only the cells of one suite, as an archive.

    file: binary, open for writing. suite: None for all suites.
    Raises OSError, and UsageError for an unknown suite or a run that is too large.
    """
    contents = (read_file(run.path / HEADER), _read_journal(run.path / JOURNAL))
    if suite is not None:
        contents = keep_suite(run, *contents, suite)
    if sum(map(len, contents)) > MOST_BYTES:
        raise UsageError(
            f"run is too large: '{run.path}' has {sum(map(len, contents)) / 2**20:.0f} MiB, wanted at most "
            f"{MOST_BYTES // 2**20}; keep one suite with --suite"
        )
    with zipfile.ZipFile(file, "w") as archive:
        archive.comment = MARK + str(FORMAT).encode()
        for name, data in zip(MEMBERS, contents, strict=True):
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, 0o644 << 16  # always marked as Unix, whatever the system
            archive.writestr(member, data, zipfile.ZIP_DEFLATED, LEVEL)


def _read_journal(path: Path) -> bytes:
    """The journal; empty if the run was stopped before its first entry."""
    try:
        return read_file(path, MOST_JOURNAL_BYTES)
    except FileNotFoundError:
        return b""


def keep_suite(run: Run, header: bytes, journal: bytes, suite: str) -> tuple[bytes, bytes]:
    """Return header and journal restricted to one suite; cells without a result remain missing.

    run: parsed from `header` and `journal`. header, journal: contents of the two files.
    Raises UsageError if no cell of the suite has a result, or the journal is damaged.
    """
    kept = {result.cell for result in run.results if result.suite == suite}
    if not kept:
        raise UsageError(
            f"suite: got '{suite}', wanted one that has results in '{run.path}': "
            f"{', '.join(dict.fromkeys(result.suite for result in run.results)) or 'none has'}"
        )
    if run.damage:
        raise UsageError(
            f"suite: got '{suite}', but the journal of '{run.path}' is damaged ({run.damage[0]}), so that its lines "
            "cannot be told apart; keep the whole run, without --suite"
        )
    fields: dict[str, Any] = msgspec.json.decode(header)
    fields |= {"suites": [suite], "cells": run.header.cells - len(run.results) + len(kept)}
    lines = journal.split(b"\n")
    if run.torn:
        lines.pop()
    decoder = msgspec.json.Decoder(_Line)
    found = [line for line in lines if line and _belongs(decoder.decode(line), kept)]
    if run.header.format >= SEALED_SINCE:
        found = [renumber_line(line, number) for number, line in enumerate(found, 1)]
    return msgspec.json.format(msgspec.json.encode(fields), indent=1), b"\n".join([*found, b""])


def _belongs(line: _Line, kept: set[int]) -> bool:
    cell = line.result.cell if line.result is not None else line.cell
    return cell is None or cell in kept


def read_archive(path: Path) -> Run:
    """Read an archived run; its `path` is that of the file.

    Raises UsageError if the file is not an archive, is damaged, or has a newer format.
    """
    try:
        packed = read_file(path, MOST_PACKED_BYTES)
        if not packed:
            raise UsageError("it is empty")
        with (
            zipfile.ZipFile(io.BytesIO(packed)) as archive,
            tempfile.TemporaryDirectory(prefix="conv-harness-") as made,
        ):
            _check(archive)
            for name in MEMBERS:  # fixed names, so that no name in the file can escape the folder
                with archive.open(name) as source, Path(made, name).open("wb") as target:
                    while chunk := source.read(CHUNK):  # zipfile never returns more than the size that was checked
                        target.write(chunk)
            try:
                return replace(read_run(made), path=path)
            except UsageError as error:
                raise UsageError(str(error).replace(made, str(path))) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, *DAMAGED) as error:
        raise UsageError(f"it is no baseline, or was damaged or cut short ({error})") from None
    except (NotImplementedError, RuntimeError):  # other compression methods, and encrypted members
        raise UsageError("it is a zip of another kind") from None
    except OSError as error:
        raise UsageError(f"it cannot be read ({error.strerror or error})") from None


def _check(archive: zipfile.ZipFile) -> None:
    """Reject an archive that `write_archive` would not have written."""
    number = archive.comment.removeprefix(MARK)
    if number == archive.comment or not number.isdigit():
        raise UsageError("it is a zip of something else")
    if int(number) > FORMAT:
        raise UsageError(f"it is of a newer format: got {int(number)}, wanted at most {FORMAT}; upgrade the harness")
    names = sorted(archive.namelist())
    if names != sorted(MEMBERS):
        raise UsageError(f"it holds {', '.join(names[:5]) or 'nothing'}, wanted {' and '.join(MEMBERS)}")
    size = sum(member.file_size for member in archive.infolist())
    packed = sum(member.compress_size for member in archive.infolist())
    if size > max(LEAST_BYTES, MOST_RATIO * packed):
        raise UsageError(f"unpacked it would have {size / packed:.0f} times its size, wanted at most {MOST_RATIO}")
    if size > MOST_BYTES:
        raise UsageError(f"unpacked it would have {size / 2**20:.0f} MiB, wanted at most {MOST_BYTES // 2**20}")
