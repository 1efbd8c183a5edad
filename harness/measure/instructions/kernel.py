"""The kernel's counter of retired instructions: perf_event_open(2), user space only.

The counter is opened before a backend is loaded and inherited, so that threads and processes that are started later
count as well. It must have had a hardware counter for itself all the time: the kernel shares them out if too many are
asked for, and an extrapolated count is none.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Callable

from harness.measure.instructions.counter import CountError, Result
from harness.plan.counting import CounterKind

SYSCALLS = {"x86_64": 298, "aarch64": 241}
HARDWARE, INSTRUCTIONS = 0, 1  # perf_type_id, perf_hw_id
TOTAL_TIME_ENABLED, TOTAL_TIME_RUNNING = 1, 2  # of read_format
INHERIT, EXCLUDE_KERNEL, EXCLUDE_HV = 1 << 1, 1 << 5, 1 << 6
CLOSE_ON_EXEC = 8  # PERF_FLAG_FD_CLOEXEC
ATTRIBUTE = struct.Struct("=IIQQQQQ64x")  # type, size, config, period, sample_type, read_format, flags; 112 bytes
READ = struct.Struct("=QQQ")  # value, time enabled, time running
REASONS = {
    errno.ENOENT: "the processor shows no counter of instructions, as in most virtual machines",
    errno.EACCES: "not permitted: /proc/sys/kernel/perf_event_paranoid is above 2",
    errno.EPERM: "not permitted: /proc/sys/kernel/perf_event_paranoid is above 2, or a container forbids it",
    errno.ENOSYS: "the kernel has no perf_event_open",
}


def pack_attributes(kind: int, config: int) -> bytes:
    """Return a `struct perf_event_attr` that counts an event in user space, with its times.

    kind: its `type`.
    """
    flags = INHERIT | EXCLUDE_KERNEL | EXCLUDE_HV
    return ATTRIBUTE.pack(kind, ATTRIBUTE.size, config, 0, 0, TOTAL_TIME_ENABLED | TOTAL_TIME_RUNNING, flags)


class KernelCounter:
    """An event of this thread and all that it starts."""

    kind: CounterKind = "kernel"

    def __init__(self, kind: int = HARDWARE, config: int = INSTRUCTIONS) -> None:
        """Open the event. Raises CountError with the reason."""
        number = SYSCALLS.get(platform.machine())
        if number is None or not hasattr(os, "eventfd"):
            raise CountError(f"the kernel's counter is not known for {platform.system()} on {platform.machine()}")
        libc = ctypes.CDLL(None, use_errno=True)
        attributes = ctypes.create_string_buffer(pack_attributes(kind, config), ATTRIBUTE.size)
        this, any_core, alone = ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(-1)
        self.file: int = libc.syscall(
            ctypes.c_long(number), attributes, this, any_core, alone, ctypes.c_ulong(CLOSE_ON_EXEC)
        )
        if self.file < 0:
            code = ctypes.get_errno()
            raise CountError(REASONS.get(code, f"perf_event_open: {os.strerror(code)}"))

    def begin(self) -> None:
        """Do nothing: the event counts from its opening on."""

    def count(self, call: Callable[[], Result]) -> tuple[Result, int]:
        """Return the result of a call and its count. Raises CountError if the event did not count all the time."""
        before = os.read(self.file, READ.size)
        result = call()
        return result, difference(before, os.read(self.file, READ.size))

    def end(self) -> None:
        """Do nothing: another cell may follow."""

    def close(self) -> None:
        """Close the event."""
        os.close(self.file)


def difference(before: bytes, after: bytes) -> int:
    """Return the count between two readings. Raises CountError if the event did not count all the time."""
    readings = zip(READ.unpack(after), READ.unpack(before), strict=True)
    value, enabled, running = (int(now) - int(then) for now, then in readings)
    if enabled != running:
        share = running / enabled if enabled else 0.0
        raise CountError(
            f"the kernel counted during {share:.0%} of the call: its counters are shared with another program, such as "
            "perf or the NMI watchdog"
        )
    return value


def find_obstacle() -> str | None:
    """Return why the kernel counts no instructions here; None if it does."""
    try:
        counter = KernelCounter()
        try:
            counter.count(_nothing)
        finally:
            counter.close()
    except (CountError, OSError) as error:
        return str(error)
    return None


def _nothing() -> None:
    """Do nothing."""
