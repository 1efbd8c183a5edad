"""The process that holds something alone, as others name it in messages."""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DAMAGED
from harness.machine.files import read_file

MOST_COMMAND = 100
MOST_RECORD_BYTES = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process: PID, command, since when it holds (seconds since 1970), and the token of its lock, if it has one."""

    pid: int
    command: str
    since: float
    token: str = ""

    def __str__(self) -> str:
        """Format the holder for messages."""
        today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", time.localtime(self.since))
        begun = time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"pid {self.pid} (`{self.command}`) since {begun}"


def read_record(path: Path) -> Holder | None:
    """Read the record of a holder; None if it is missing, empty, only partly written, or no such record.

    Other users may write it.
    """
    import msgspec

    try:
        found = msgspec.json.decode(read_file(path, MOST_RECORD_BYTES), type=Holder)
        time.localtime(found.since)  # dates that the system does not have
    except (OSError, *DAMAGED):
        return None
    return found


def own_command() -> str:
    """Return the command line of this process on one line, shortened for a message."""
    name, *arguments = sys.orig_argv or ["python"]
    text = " ".join(shlex.join([Path(name).name, *arguments]).split())
    return text if len(text) <= MOST_COMMAND else f"{text[:MOST_COMMAND]} ..."
