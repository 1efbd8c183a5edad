"""The run directory: header.json, journal.jsonl, results, samples and blocks as Parquet, workers/, report/."""

from __future__ import annotations

import datetime
import gc
import hashlib
import itertools
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from harness.errors import CHANGED, DAMAGED, ChangedError, UnwritableError, UsageError
from harness.machine.files import read_file
from harness.record.formats import decode_header
from harness.record.journal import (
    MOST_JOURNAL_BYTES,
    ArmEntry,
    Contents,
    EndEntry,
    Journal,
    PassEntry,
    PeakEntry,
    ResultEntry,
    ResumeEntry,
    read_journal,
    read_written,
)
from harness.record.passes import Measurement, Pass
from harness.record.run import FORMAT, Ending, Header, Run
from harness.record.seal import Seal
from harness.record.writer import is_written, refuse_writer


class _Git(TypedDict, total=False):
    revision: str
    dirty: bool


class _Environment(TypedDict, total=False):
    """Fields of a run's environment that the harness reads; all others are only shown."""

    fingerprint: str
    cpu: str
    cores: int | None
    threads: int | None
    libraries: dict[str, str]
    variables: dict[str, str]
    gpus: list[dict[str, Any]]
    git: _Git | None


DEFAULT = "harness-runs"
HEADER, JOURNAL = "header.json", "journal.jsonl"


def new_directory(wanted: str | None, suites: tuple[str, ...]) -> Path:
    """Create the directory of a new run. Raises UsageError if it is in use or not writable.

    wanted: path from the user; None for a name from the time and the suites.
    """
    if wanted is not None:
        path = Path(wanted)
        if _is_used(path):
            if is_written(path, JOURNAL):
                raise refuse_writer(path)
            raise UsageError(f"output folder is in use: got '{wanted}', wanted a new or empty folder")
        candidates: Iterator[Path] = iter([path])
    else:
        stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{'+'.join(suites)}"
        candidates = (Path(DEFAULT, stamp + (f"-{n}" if n else "")) for n in itertools.count())
    for path in candidates:
        try:
            path.mkdir(parents=True, exist_ok=wanted is not None)
            if wanted is None:  # keeps the checkout clean; runs record a dirty one
                path.parent.joinpath(".gitignore").write_text("*\n", encoding="ascii")
            (path / "workers").mkdir(exist_ok=True)
        except FileExistsError as error:
            if wanted is not None:
                raise UnwritableError(f"output folder cannot be made: got '{path}' ({error.strerror})") from None
            continue
        except OSError as error:
            raise UnwritableError(
                f"output folder cannot be written: got '{path}' ({error.strerror}), see --output"
            ) from None
        return path
    raise AssertionError("count() never ends")


def _is_used(path: Path) -> bool:
    """Return True for a file and for a folder that is not empty. Raises UnwritableError for an impossible path."""
    try:
        return path.exists() and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:  # such as a name that is too long, or a folder that cannot be read
        raise UnwritableError(
            f"output folder cannot be written: got '{path}' ({error.strerror}), see --output"
        ) from None


def check_directory(wanted: str | None) -> None:
    """Raise UsageError now where new_directory would raise it later; nothing is left behind.

    A default folder is only looked at, since other runs may be making theirs at the same time.
    """
    if wanted is None:
        folder = next(path for path in (Path(DEFAULT), Path.cwd()) if path.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise UnwritableError(f"output folder cannot be written: got '{folder}', see --output")
        return
    path = Path(wanted)
    _is_used(path)  # an impossible path is refused before its parents are looked at
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        new_directory(wanted, ())
    finally:
        for folder in (path / "workers", *made):
            with suppress(OSError):  # what was not made, or is used by now
                folder.rmdir()


def write_header(path: Path, header: Header) -> Journal:
    """Open the journal and write the header, completely or not at all.

    Raises UnwritableError if the folder is not writable or has a journal, UsageError if another run writes it.
    """
    try:
        journal = Journal(path / JOURNAL)
        part = path / f"{HEADER}.part"
        part.write_bytes(encode_header(header))
        part.replace(path / HEADER)
    except FileExistsError as error:
        if is_written(path, JOURNAL):
            raise refuse_writer(path) from None
        raise _unwritable(path, error) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    if header.run:
        journal.use_seal(Seal(header.run, digest_header(encode_header(header))))
    return journal


def _unwritable(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(f"output folder cannot be written: got '{path}' ({error.strerror}); see --output")


def digest_header(raw: bytes) -> str:
    """Return the hash of a header's bytes, as the seal has it."""
    return hashlib.blake2b(raw).hexdigest()


def encode_header(header: Header) -> bytes:
    """Return the bytes of a header's file."""
    return msgspec.json.format(msgspec.json.encode(header), indent=1)


def close_run(journal: Journal, header: Header, ending: Ending) -> Run:
    """Write the end of a run, close its journal, and read the run back.

    journal, header: of the run, as `write_header` returned and received them. ending: what to write as its end.
    Raises UnwritableError, and ChangedError if header or journal are not byte by byte what was written: a changed file
    is then set aside, and the run is incomplete for every later reader.
    """
    path, wanted = journal.path.parent, encode_header(header)
    journal.final = ending.complete
    try:
        journal.append(EndEntry(ending))
        journal.sync()
        lines = _read_regular(journal.path, journal.size) or b""  # read once: what is checked is what counts
        if changed := find_changed(path, wanted, lines, journal.digest):
            reason, journal.final = f"{' and '.join(changed)} {CHANGED}", True
            _set_aside(journal, wanted, changed, Ending(complete=False, reason=reason))
            raise ChangedError(
                f"run is void: {' and '.join(str(path / name) for name in changed)} {CHANGED},"
                " wanted what the harness wrote; a backend or another program has written there; what was found is "
                "kept as *.changed; ask the backends one by one to find which, then run again"
            )
    finally:
        journal.close()
    with _paused_collection():
        return assemble_run(path, decode_header(wanted, Header), read_written(lines))


def find_changed(path: Path, header: bytes, lines: bytes, digest: bytes) -> list[str]:
    """Return the names of the files of a run that are not what was written.

    path: of the run. header: as written. lines: of the journal, as found. digest: of the journal, as written.
    """
    same = {
        HEADER: _read_regular(path / HEADER, len(header)) == header,
        JOURNAL: hashlib.blake2b(lines).digest() == digest,
    }
    return [name for name, as_written in same.items() if not as_written]


def _read_regular(path: Path, size: int) -> bytes | None:
    """Read a file; None if it is missing, has another size, or is a link, a pipe or anything else but a file."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(number, "rb") as file:
            status = os.fstat(number)
            return file.read() if stat.S_ISREG(status.st_mode) and status.st_size == size else None
    except OSError:
        return None


def _set_aside(journal: Journal, header: bytes, changed: Sequence[str], ending: Ending) -> None:
    """Rename changed files, restore the header, and say in the journal that the run is incomplete."""
    path = journal.path.parent
    with suppress(UnwritableError):
        journal.append(EndEntry(ending))
    for name in changed:
        try:
            (path / name).replace(path / f"{name}.changed")
        except OSError:  # it is gone, or something has taken the other name
            with suppress(OSError):
                (path / name).unlink()
    with suppress(OSError, UnwritableError):
        if HEADER in changed:
            (path / HEADER).write_bytes(header)
        if JOURNAL in changed:
            new = Journal(journal.path)
            new.append(EndEntry(ending))
            new.close()


def read_run(path: str | Path) -> Run:
    """Read a run directory, complete or not; lines of its journal that cannot be read are left out and described.

    Raises UsageError if it is missing, not a run, of a newer format, or if no line of its journal can be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"run not found: got '{path}', wanted the directory that `python -m harness run` printed")
    header = read_header(path)
    with _paused_collection():
        return assemble_run(path, header, _read_contents(path, header))


def _read_contents(path: Path, header: Header) -> Contents:
    try:
        found = read_journal(read_file(path / JOURNAL, MOST_JOURNAL_BYTES), header.format, header.backend_of)
    except FileNotFoundError:
        return Contents(entries=[])
    except OSError as error:
        raise UsageError(f"run cannot be read: '{path / JOURNAL}' ({error.strerror})") from None
    if found.damage and not found.entries:
        raise UsageError(
            f"run is torn: '{path / JOURNAL}' {found.damage[0]}, and no other line can be read; wanted one JSON entry "
            "a line; restore the file or run again"
        )
    return found


@contextmanager
def _paused_collection() -> Iterator[None]:
    """Pause garbage collection, which would visit all results read so far again and again, and free none.

    Afterwards they belong to the oldest generation, without a visit: thawed objects do.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            if not gc.get_freeze_count():  # else a program that has frozen objects wants them to stay so
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def read_header(path: Path) -> Header:
    """Read the header of a run. Raises UsageError if it is missing or damaged."""
    try:
        raw = read_file(path / HEADER)
    except OSError:
        raise UsageError(f"not a run: '{path}' has no readable header.json, wanted a directory made by `run`") from None
    try:
        found = msgspec.json.decode(raw, type=dict[str, object]).get("format")
        if not isinstance(found, int):
            raise UsageError(f"not a run: '{path}/header.json' has no format number, wanted {FORMAT}")
        if found > FORMAT:
            raise UsageError(f"run is of a newer format: got {found}, wanted at most {FORMAT}; upgrade the harness")
        header = decode_header(raw, Header)
        msgspec.convert(header.environment, _Environment)
        return header
    except DAMAGED as error:
        raise UsageError(f"run is torn: '{path}/header.json' {error}; wanted the header written by `run`") from None


def assemble_run(path: Path, header: Header, contents: Contents) -> Run:
    """Return the run that a header and the entries of a journal describe.

    path: of the run. contents: of its journal. A success without what it claims is damage: it is left out.
    """
    entries = contents.entries
    results = {e.result.cell: e.result for e in entries if isinstance(e, ResultEntry)}
    passes: dict[int, list[Pass]] = defaultdict(list)
    for entry in entries:
        if isinstance(entry, PassEntry):
            passes[entry.cell].append(entry.samples)
    for number, result in results.items():  # since format 2, passes have entries of their own
        if result.outcome == "passed" and result.measurement is None and number in passes:
            results[number] = replace(result, measurement=Measurement(passes=tuple(passes[number])))
    empty = [result for result in results.values() if result.lacks]
    for result in empty:
        del results[result.cell]
    said = [e for e in entries if isinstance(e, ArmEntry)]
    endings = [e.ending for e in entries if isinstance(e, EndEntry)]
    return Run(
        path=path,
        header=header,
        results=tuple(results[number] for number in sorted(results)),
        measured_peaks=tuple(e.peak for e in entries if isinstance(e, PeakEntry)),
        versions={e.arm: e.versions for e in said if e.versions},
        unavailable={e.arm: e.reason for e in said if e.reason},
        offered={e.arm: tuple(e.process.get("backends", ())) for e in said},
        instruction_sets={e.arm: dict(found) for e in said if (found := e.process.get("instruction_sets"))},
        files={e.arm: dict(files) for e in said if (files := e.process.get("files"))},
        ending=endings[-1] if endings else None,
        resumptions=tuple(e.resumption for e in entries if isinstance(e, ResumeEntry)),
        torn=contents.torn,
        damage=(*contents.damage, *(f"cell {one.cell} passed without {one.lacks}" for one in empty)),
    )
