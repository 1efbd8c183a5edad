"""Reading of files of unknown origin: at most a number of bytes, and without waiting for ever."""

from __future__ import annotations

import errno
import os
import select
import stat
from io import FileIO
from pathlib import Path

MOST_BYTES = 2**28  # of a document, such as a header or a captured workload
MOST_STREAM_BYTES = 2**26  # of a pipe or a device
CHUNK_BYTES = 2**20
WAIT_S = 5.0  # for the next bytes of a pipe


def read_file(path: str | Path, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the contents of a file, or the bytes of a pipe or a device until its end.

    most_bytes: limit of the size; a file that is larger is not read.
    Raises OSError, also for a folder, for what is larger than the limit, and for a pipe that is silent for WAIT_S.
    """
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(number)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            most_bytes = min(most_bytes, MOST_STREAM_BYTES)
        if status.st_size > most_bytes:
            raise _too_large(path, most_bytes)
        return _read_to_end(number, path, most_bytes)
    finally:
        os.close(number)


def open_regular(path: str | Path, *, write: bool = False) -> FileIO:
    """Open a file without a buffer, never waiting: a pipe would wait for its other end.

    write: for reading and writing, else for reading.
    Raises OSError, also for anything else than a regular file.
    """
    number = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return open(number, "r+b" if write else "rb", buffering=0)


def _read_to_end(number: int, path: str | Path, most_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        try:
            part = os.read(number, CHUNK_BYTES)
        except BlockingIOError:  # a pipe that is empty for now
            if not select.select([number], [], [], WAIT_S)[0]:
                said = f"nothing came for {WAIT_S:g} s"
                raise TimeoutError(errno.ETIMEDOUT, said, str(path)) from None
            continue
        if not part:
            return b"".join(parts)
        size += len(part)
        if size > most_bytes:
            raise _too_large(path, most_bytes)
        parts.append(part)


def _too_large(path: str | Path, most_bytes: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {most_bytes / 2**20:g} MiB", str(path))
