"""The writer of a run: one process at a time, by a lock of the system on the journal, and known to others by name.

The lock is free as soon as its holder ends, for whatever reason. The name is used only while the lock is held.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from harness.errors import UsageError
from harness.machine.files import open_regular
from harness.machine.holder import Holder, own_command, read_record

FILE = "writer.json"
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def claim_journal(file: IO[bytes], path: Path) -> None:
    """Take the lock of a journal, and write down who has it.

    file: the open journal. path: of the journal.
    Raises UsageError if another process writes this run. On a file system without locks nothing is locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return
        raise refuse_writer(path.parent) from None
    holder = Holder(pid=os.getpid(), command=own_command(), since=time.time())
    with suppress(OSError):
        path.with_name(FILE).write_bytes(msgspec.json.encode(holder))


def release_journal(file: IO[bytes], path: Path) -> None:
    """Remove the name of the writer, then close the journal, which frees its lock.

    file: the open journal. path: of the journal.
    """
    if not file.closed:
        with suppress(OSError):
            path.with_name(FILE).unlink()
        file.close()


def refuse_writer(folder: Path) -> UsageError:
    """Build the error for a run that another process writes."""
    who = read_writer(folder) or "a process without a name"
    return UsageError(
        f"output folder is in use: got '{folder}', which {who} is writing, wanted a folder that no other run writes; "
        "wait for its end, or name another one"
    )


def read_writer(folder: Path) -> Holder | None:
    """Read the name of the writer of a run; None if it is missing, or only partly written."""
    return read_record(folder / FILE)


def is_written(folder: Path, journal: str) -> bool:
    """Return True if a process writes the run in a folder just now.

    journal: name of its journal.
    """
    try:
        with open_regular(folder / journal) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return False
