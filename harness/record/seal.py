"""The seal of a running journal: size and hash of everything written, kept outside of the run's folder.

The hash that the running command keeps in memory is lost if the command is killed. The seal is a copy of it in the
state folder, rewritten after every line, so that a run is resumed only from records that nothing else has changed. It
is no signature: a program that runs with the user's rights and knows this file can change both.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from harness.machine.files import read_file
from harness.machine.state import state_folder

NAME = re.compile(r"[0-9a-f]{16,64}")
MOST_BYTES = 4096
OLDEST_S = 90 * 24 * 3600.0  # a run that was interrupted longer ago is no longer expected to go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Contents of a seal: bytes and lines of the journal, the hash of these bytes, and that of the header."""

    size: int
    lines: int
    journal: str
    header: str


class Seal:
    """The seal of one run; without a folder that can be written there is none, and nothing is raised."""

    def __init__(self, run: str, header: str) -> None:
        """Open the seal of a run, which is created if missing.

        run: identity of the run. header: hash of its header.
        """
        self.header = header
        self.path = seal_file(run)
        self.number: int | None = None
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            _remove_old(self.path.parent)

    def write(self, size: int, lines: int, journal: str) -> None:
        """Replace the contents in one write; they always have the same length.

        size, lines: of the journal. journal: hash of its bytes.
        """
        if self.number is not None:
            with suppress(OSError):
                os.pwrite(self.number, f"{size:20d} {lines:20d} {journal} {self.header}\n".encode(), 0)

    def close(self, *, remove: bool) -> None:
        """Close the file.

        remove: True for a run that has ended, which will not be resumed.
        """
        if self.number is not None:
            os.close(self.number)
            self.number = None
            if remove:
                self.path.unlink(missing_ok=True)


def seal_file(run: str) -> Path:
    """Return the path of the seal of a run. Raises ValueError for an identity that is no name of a file."""
    if not NAME.fullmatch(run):
        raise ValueError(f"identity of a run: got '{run}', wanted hexadecimal digits")
    return state_folder() / "seals" / run


def read_seal(run: str) -> Sealed | None:
    """Read the seal of a run; None if there is none that can be read."""
    try:
        size, lines, journal, header = read_file(seal_file(run), MOST_BYTES).decode("ascii").split()
        return Sealed(size=int(size), lines=int(lines), journal=journal, header=header)
    except (OSError, ValueError):
        return None


def _remove_old(folder: Path) -> None:
    """Remove seals of runs that were interrupted long ago."""
    for path in folder.iterdir():
        if NAME.fullmatch(path.name) and time.time() - path.stat().st_mtime > OLDEST_S:
            path.unlink(missing_ok=True)
