"""End of a command that could not do its work: one line on standard error, a log file for a fault, and an exit code."""

from __future__ import annotations

import errno
import gc
import io
import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from harness import __version__
from harness.errors import HarnessError, UnwritableError, say_error
from harness.exit_codes import ExitCode

HELD: list[object] = []  # see `keep_to_end`
LONGEST_LINE = 2000  # characters of a message
STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = 0, 1, 2


class SteadyFile(io.FileIO):
    """A file that takes everything that is written to it, also after its reader is gone or its disk is full.

    failure: why bytes were lost, None if none were. A reader who has read enough, as `| head` does, is no failure.
    """

    failure: OSError | None = None

    def write(self, data: object, /) -> int:
        """Write bytes; after an error, drop them and all later ones. Return how many were taken."""
        held = memoryview(data).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(held):
            try:
                taken = super().write(held[done:])
                if taken is None:  # a full pipe that its reader has made non-blocking
                    time.sleep(0.01)
                done += taken or 0
            except OSError as error:
                if error.errno != errno.EPIPE:
                    self.failure = error
                sink = os.open(os.devnull, os.O_WRONLY)
                os.dup2(sink, self.fileno())
                os.close(sink)
                break
        return len(held)


def open_missing_streams() -> None:
    """Open the standard streams that are closed, so that no other file gets their numbers; output goes nowhere.

    Raises UnwritableError if standard output is closed.
    """
    lacking = [number for number in (STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR) if not _is_open(number)]
    for number in lacking:  # in this order each gets the lowest free number, which is its own
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
    if STANDARD_ERROR in lacking or sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  for the life of the process
    if STANDARD_OUTPUT in lacking or sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  as above
    if STANDARD_OUTPUT in lacking:
        raise UnwritableError("standard output is closed, wanted an open one, such as `> /dev/null`")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def steady_streams() -> SteadyFile | None:
    """Replace the process's standard streams by steady ones; return that of standard output, None if it is another's.

    Characters that the encoding of the terminal lacks are written as their codes.
    """
    found = None
    for name, number in (("stdout", STANDARD_OUTPUT), ("stderr", STANDARD_ERROR)):
        old: TextIO = getattr(sys, name)
        if old is not getattr(sys, f"__{name}__") or not isinstance(old, io.TextIOWrapper):
            continue
        with suppress(OSError):
            old.flush()
        file = SteadyFile(number, "w", closefd=False)
        new = io.TextIOWrapper(
            io.BufferedWriter(file), encoding=old.encoding, errors="backslashreplace",
            line_buffering=old.line_buffering or number == STANDARD_ERROR, write_through=old.write_through,
        )  # fmt: skip
        setattr(sys, name, new)
        if number == STANDARD_OUTPUT:
            found = file
    return found


def check_arguments(arguments: Sequence[str]) -> None:
    """Raise UnwritableError for an argument that is no UTF-8: no header, journal or report could hold it."""
    for argument in arguments:
        if any("\ud800" <= c <= "\udfff" for c in argument):
            raise UnwritableError(f"argument: got {argument!a}, wanted text in UTF-8")


def end_output(code: int, file: SteadyFile | None) -> int:
    """Write what is still held back of standard output; return the exit code, SYSTEM instead of OK if some was lost."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    if file is None or file.failure is None:
        return code
    tell(f"error: standard output could not be written ({file.failure.strerror}), what it has is incomplete")
    return code or ExitCode.SYSTEM


def keep_to_end(*values: object) -> None:
    """Keep values until the process ends, which then releases their memory at once.

    Freeing the results of a large run one by one takes half a second. The garbage collector does not visit frozen
    objects, and HELD, which holds itself, is never freed by counts of references.
    """
    HELD.extend((HELD, *values))
    gc.freeze()


def tell(line: str) -> None:
    """Write one line to standard error, if that is possible."""
    from harness.analysis.inert_text import show_text

    with suppress(OSError, ValueError):
        print(show_text(line, LONGEST_LINE), file=sys.stderr, flush=True)


def tell_error(error: HarnessError) -> int:
    """Write the line of an error that the user can fix; return its exit code."""
    tell(f"error: {error}")
    return error.exit_code


def tell_fault(error: BaseException) -> int:
    """Keep the traceback of an unexpected exception in a log file, write one line with its path; return the exit code.

    SYSTEM for what the system refuses (a full disk, a path that cannot be written, memory, text that is no UTF-8),
    INTERNAL for all else, also for a SystemExit of a plugin: a command ends by returning its code.
    """
    text, code = _name_fault(error)
    path = _keep_traceback(error)
    where = f"the traceback is in {path}" if path else "its traceback could not be written to any temporary folder"
    tell(f"error: {text}; {where}")
    return code


def _name_fault(error: BaseException) -> tuple[str, ExitCode]:
    says = say_error(error)
    if isinstance(error, OSError) and error.errno is not None:
        path = f", at '{error.filename}'" if error.filename is not None else ""
        return f"the system refuses: {error.strerror or says}{path}", ExitCode.SYSTEM
    if isinstance(error, MemoryError):
        return "the system refuses: out of memory in the command itself", ExitCode.SYSTEM
    if isinstance(error, UnicodeError):
        return f"a path, a name or a file is no UTF-8: {says}", ExitCode.SYSTEM
    if isinstance(error, SystemExit):
        return f"a plugin ended the command ({says})", ExitCode.INTERNAL
    return f"internal error, please report it: {says}", ExitCode.INTERNAL


def _keep_traceback(error: BaseException) -> str:
    """Write a log file into the folder for temporary files; return its path, "" if that is impossible."""
    try:
        number, path = tempfile.mkstemp(prefix="harness-error-", suffix=".log")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"harness {__version__}, Python {sys.version.split()[0]}, {platform.platform()}\n")
            file.write(f"{shlex.join(sys.argv)}\n\n")
            file.writelines(traceback.TracebackException.from_exception(error, capture_locals=False).format())
    except Exception:
        return ""
    return path
