"""Reopen an interrupted run: check what its journal has, cut off what is not whole, and go on writing.

docs/resume.md describes what is checked and what remains possible.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Never

from harness.errors import CHANGED, UnwritableError, UsageError
from harness.machine.files import open_regular
from harness.record.directory import HEADER, JOURNAL, assemble_run, digest_header, encode_header, read_header
from harness.record.journal import Contents, Journal, PassEntry, ResumeEntry, read_journal
from harness.record.run import FORMAT, Header, Resumption, Run
from harness.record.seal import Seal, Sealed, read_seal
from harness.record.writer import FILE as WRITER
from harness.record.writer import claim_journal

BEGUN = frozenset({"workers", JOURNAL, f"{HEADER}.part", WRITER})  # all that a run has before its header
MOMENT = "%Y-%m-%dT%H:%M:%S%z"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopened:
    """An interrupted run: its open journal, and what was recorded so far.

    entries: of the journal, in order. run: made of them.
    stopped, spent_s, sealed: as in `Resumption`.
    """

    journal: Journal
    header: Header
    contents: Contents
    run: Run
    stopped: str
    spent_s: float
    sealed: bool

    def resume(self, changed: Mapping[str, tuple[str, str]]) -> Resumption:
        """Record that the run goes on, and return the record.

        changed: facts of the machine that differ, as (before, now), by name.
        """
        ending = self.run.ending
        found = Resumption(
            at=time.strftime(MOMENT), stopped=self.stopped, reason=None if ending is None else ending.reason,
            results=len(self.run.results), spent_s=self.spent_s, sealed=self.sealed, changed=dict(changed),
        )  # fmt: skip
        self.journal.append(ResumeEntry(found))
        return found


def is_unbegun(folder: Path) -> bool:
    """Return True for the folder of a run that was interrupted before it wrote its header: nothing is recorded."""
    try:
        found = {path.name for path in folder.iterdir()}
    except OSError:
        return False
    empty = JOURNAL not in found or folder.joinpath(JOURNAL).stat().st_size == 0
    return "workers" in found and found <= BEGUN and empty


def clear_unbegun(folder: Path) -> None:
    """Remove the empty files of a run that has recorded nothing, so that a new one can use its folder."""
    for name in BEGUN - {"workers"}:
        folder.joinpath(name).unlink(missing_ok=True)


def read_resumable(folder: Path) -> Header:
    """Read the header of a run that may be resumed. Raises UsageError for any other."""
    if not folder.is_dir():
        raise UsageError(f"resume: got '{folder}', which is no folder, wanted that of an interrupted run")
    header = read_header(folder)
    if header.format != FORMAT or not header.run or not header.identity:
        raise UsageError(
            f"resume: got '{folder}', a run of another release or tool (format {header.format}), wanted one that this "
            "release has begun; begin a new run"
        )
    if (folder / HEADER).read_bytes() != encode_header(header):
        refuse(folder, f"its {HEADER} is not as it was written")
    return header


def reopen_run(folder: Path, header: Header) -> Reopened:
    """Open the journal of an interrupted run for writing, without what is not whole at its end.

    header: of the run.
    Raises UsageError if another process writes the run, or if something else has changed it.
    """
    path = folder / JOURNAL
    try:
        file = open_regular(path, write=True)
    except FileNotFoundError:
        refuse(folder, f"its {JOURNAL} is missing")
    except OSError as error:
        raise UnwritableError(
            f"run cannot be resumed: got '{path}' ({error.strerror}), wanted a file to write"
        ) from None
    try:
        claim_journal(file, path)
        written_s = path.stat().st_mtime
        seal = read_seal(header.run)
        kept = check_bytes(folder, _read_all(file), seal, digest_header(encode_header(header)))
        kept, contents = drop_unfinished_turn(kept, read_journal(kept))
        if contents.damage:
            refuse(folder, f"its {JOURNAL} is damaged ({contents.damage[0]})")
        journal = Journal(path, file, kept)
    except BaseException:
        file.close()
        raise
    journal.use_seal(Seal(header.run, digest_header(encode_header(header))))
    run = assemble_run(folder, header, contents)
    if run.ending is not None and (run.ending.reason or "").endswith(CHANGED):
        journal.close()
        refuse(folder, "it is void, as its files changed while it was going on")
    return Reopened(
        journal=journal, header=header, contents=contents, run=run, sealed=seal is not None,
        stopped=time.strftime(MOMENT, time.localtime(written_s)), spent_s=find_spent(run, written_s),
    )  # fmt: skip


def _read_all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return b"".join(iter(lambda: file.read(2**20), b""))


def check_bytes(folder: Path, data: bytes, seal: Sealed | None, header: str, name: str = JOURNAL) -> bytes:
    """Return the whole lines of a journal that count: those below its seal, or all if there is none.

    folder: of the run. data: contents of the journal. seal: of the run, None if there is none. header: hash of the
    header. name: of the journal.
    A line that was written after the seal, at most one, is left out. Raises UsageError if anything differs.
    """
    if seal is None:
        return data[: data.rfind(b"\n") + 1]
    if seal.header != header:
        refuse(folder, f"its {HEADER} is not what the harness wrote")
    kept = data[: seal.size]
    if len(kept) != seal.size or hashlib.blake2b(kept).hexdigest() != seal.journal:
        refuse(folder, f"its {name} is not what the harness wrote")
    return kept


def drop_unfinished_turn(data: bytes, contents: Contents) -> tuple[bytes, Contents]:
    """Return lines and entries without passes of a turn of which other arms' passes are missing.

    data: whole lines of the journal. contents: read from them.
    """
    entries = list(contents.entries)
    lines = data.splitlines(keepends=True)
    if not contents.damage and entries and isinstance(entries[-1], PassEntry) and entries[-1].more:
        more = entries[-1].more
        while entries and isinstance(last := entries[-1], PassEntry) and last.more == more:
            entries.pop()
            lines.pop()
            more += 1
    return b"".join(lines), Contents(entries=entries, torn=False, damage=contents.damage)


def find_spent(run: Run, written_s: float) -> float:
    """Return the seconds that a run has taken so far: from each beginning to the last line written after it.

    written_s: when the journal was written last, in seconds since 1970.
    """
    last = run.resumptions[-1] if run.resumptions else None
    begun = last.at if last else run.header.created
    try:
        begun_s = time.mktime(time.strptime(begun[:19], MOMENT[:-2]))
    except ValueError:
        return last.spent_s if last else 0.0
    return (last.spent_s if last else 0.0) + max(0.0, written_s - begun_s)


def refuse(folder: Path, why: str) -> Never:
    """Raise the UsageError for a run that cannot be resumed.

    folder: of the run. why: reason, as the rest of a sentence about the run.
    """
    raise UsageError(
        f"run cannot be resumed: got '{folder}', but {why}; wanted it as the harness left it; begin a new run"
    )
