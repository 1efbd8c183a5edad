"""Tickets of processes that wait for a device: first come, first served, and no place for the dead.

A ticket is a file next to the device's lock, whose name begins with the moment at which it was taken, by the clock of
the system since its start. Its owner holds a lock of the system on it, so that the ticket of a process that has ended,
for whatever reason, counts no more. The file names its owner, for messages.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.machine.holder import Holder, own_command, read_record

SUFFIX = ".ticket"
FILE_MODE = 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """A place in the queue of a device.

    path: of its file. device: name of the device.
    """

    path: Path
    device: str

    def list_ahead(self) -> list[Path]:
        """Return the tickets of live processes that were taken before this one, in their order."""
        tickets = sorted(self.path.parent.glob(f"{self.device}.*{SUFFIX}"))
        return [path for path in tickets if path.name < self.path.name and _is_held(path)]


@contextmanager
def take_ticket(device: str, folder: Path) -> Iterator[Ticket]:
    """Hold the last place in the queue of a device while the block runs.

    folder: of the device's lock. Raises OSError if it cannot be written.
    """
    name = f"{device}.{time.monotonic_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
    part, path = folder / f".{name}", folder / name
    number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with suppress(OSError):
            os.fchmod(number, FILE_MODE)
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(number, msgspec.json.encode(Holder(pid=os.getpid(), command=own_command(), since=time.time())))
        part.rename(path)  # it is seen only now, when it is locked
        yield Ticket(path=path, device=device)
    finally:
        for one in (part, path):
            one.unlink(missing_ok=True)
        os.close(number)


def read_ticket(path: Path) -> Holder | None:
    """Read the owner of a ticket; None if it cannot be read."""
    return read_record(path)


def _is_held(path: Path) -> bool:
    """Return True if the owner of a ticket is alive; remove the ticket of a dead one, where that is allowed."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:  # it was given back
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nothing is known, so that it counts for nothing
        return False
    finally:
        os.close(number)
    with suppress(OSError):  # in the shared folder, only the owner of a file may remove it
        path.unlink()
    return False
