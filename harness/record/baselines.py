"""Baselines: stored runs by name, one file each, in a folder that can be committed to git or cached by a CI service."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness.errors import DAMAGED, UnwritableError, UsageError, suggest
from harness.machine.files import read_file
from harness.record.archive import read_archive, write_archive
from harness.record.directory import DEFAULT as RUNS
from harness.record.directory import read_run
from harness.record.formats import decode_header
from harness.record.run import Header, Run

DEFAULT = "harness-baselines"
SUFFIX = ".run"
NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline file: the run in it, or the reason why it cannot be read."""

    name: str
    path: Path
    run: Run | None = None
    reason: str | None = None


def baseline_file(folder: Path, name: str) -> Path:
    """Return the path of a baseline. Raises UsageError for a name that could escape the folder."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"name of a baseline: got '{name}', wanted letters, digits, '.', '-' and '_', at most 100, such as v1.2"
        )
    return folder / f"{name}{SUFFIX}"


def save_baseline(
    run: Run, name: str, folder: Path, *, suite: str | None = None, replace: bool = False, incomplete: bool = False
) -> Path:
    """Store a run under a name, completely or not at all. Return the path.

    suite: only the cells of this suite; None for all. replace: True to overwrite. incomplete: True to accept an
        incomplete run.
    Raises UsageError if the name exists, the run is incomplete, or the folder is not writable.
    """
    path = baseline_file(folder, name)
    if not run.complete and not incomplete:
        raise UsageError(
            f"run is incomplete: '{run.path}' has {len(run.results)} of {run.header.cells} cells, wanted a complete "
            "one; run it again, or keep it all the same with --incomplete"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and not replace:
            raise FileExistsError
        with _open_part(path) as (part, file):
            write_archive(run, file, suite)
            file.close()
            _publish(part, path, replace)
    except FileExistsError as error:
        if error.filename == str(folder):
            raise UnwritableError(f"baselines cannot be written: '{folder}' is no folder, see --folder") from None
        raise UsageError(f"baseline exists: got '{name}', there is '{path}'; overwrite it with --replace") from None
    except OSError as error:
        raise UnwritableError(f"baselines cannot be written: got '{folder}' ({error.strerror}), see --folder") from None
    return path


@contextmanager
def _open_part(path: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A temporary file next to a path, with a unique name; deleted at the end."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield part, file
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _publish(part: Path, path: Path, replace: bool) -> None:
    """Move the finished file to its name; raises FileExistsError if another writer has just created it."""
    if not replace:
        try:
            os.link(part, path)  # unlike a rename, a link never replaces
            return
        except OSError as error:
            if error.errno not in NO_LINKS or path.exists():
                raise
    os.replace(part, path)


def read_baseline(folder: Path, name: str) -> Run:
    """Read a baseline by name. Raises UsageError if it is unknown, with the nearest names, or damaged."""
    path = baseline_file(folder, name)
    if not path.is_file():
        known = _names(folder)
        if not known:
            raise UsageError(
                f"no baselines: got '{name}', but '{folder}' has none; "
                f"save one with `python -m harness baseline save {name}`"
            )
        hint = suggest(name, known, most=3, after=" ")
        raise UsageError(
            f"unknown baseline: got '{name}', wanted one of '{folder}'; {hint}see `python -m harness baseline list`"
        )
    try:
        return read_archive(path)
    except UsageError as error:
        raise UsageError(f"baseline '{path}': {error}") from None


def list_baselines(folder: Path) -> tuple[Baseline, ...]:
    """Return all baselines of a folder, by name; damaged ones with the reason."""
    found = []
    for name in _names(folder):
        path = folder / f"{name}{SUFFIX}"
        try:
            found.append(Baseline(name=name, path=path, run=read_archive(path)))
        except UsageError as error:
            found.append(Baseline(name=name, path=path, reason=str(error)))
    return tuple(found)


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    try:
        return sorted(p.name.removesuffix(SUFFIX) for p in folder.glob(f"*{SUFFIX}") if not p.name.startswith("."))
    except OSError as error:
        raise UsageError(f"baselines cannot be read: got '{folder}' ({error.strerror}), see --folder") from None


IMPORTED = "python -m harness import"  # prefix of the command of a run that was imported from another tool


def latest_run(*, arms: bool = False, folder: Path = Path(RUNS)) -> Run:
    """Return the newest complete run of a folder, or with `arms` the newest comparison of arms, complete or not.

    Raises UsageError if there is none.
    """
    for path in _newest_first(folder, arms):
        try:
            run = read_run(path)
        except UsageError:
            continue  # unreadable by this release, or still being written
        if arms or run.complete:
            return run
    what = "compares arms, made by `gate` or `versus`" if arms else "is complete"
    raise UsageError(f"no run: '{folder}' has none that {what}; name the directory of one")


def _newest_first(folder: Path, arms: bool) -> list[Path]:
    """Run directories sorted by creation time, from their headers only; imported runs are skipped."""
    found = []
    for path in folder.glob("*/header.json"):
        with suppress(OSError, *DAMAGED):
            header = decode_header(read_file(path), Header)
            if bool(header.arms) == arms and not header.command.startswith(IMPORTED):
                found.append((header.created, path.parent.name, path.parent))
    return [path for _, _, path in sorted(found, reverse=True)]
