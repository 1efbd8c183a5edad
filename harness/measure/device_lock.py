"""The lock of a device: prevents two runs on one machine from taking times at once.

It is an operating-system lock on one file per device, in a folder that all users of the machine share. It is released
when its holder ends, for whatever reason. A file next to it names the holder; that record is used only while the lock
is held, so that a stale one does no harm. Processes that wait have tickets, and get the lock in their order.
"""

from __future__ import annotations

import os
import re
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError, UnwritableError, UsageError
from harness.exit_codes import ExitCode
from harness.machine.holder import Holder, own_command, read_record
from harness.measure.tickets import Ticket, read_ticket, take_ticket

if TYPE_CHECKING:
    from filelock import BaseFileLock

FOLDER_VARIABLE, TOKEN_VARIABLE = "HARNESS_LEASE_DIR", "HARNESS_LEASE"
FOLDER = "harness-leases"
SHARED_FOLDER_MODE, SHARED_FILE_MODE = 0o1777, 0o666
SAY_S = 10.0  # between messages to a process that waits
POLL_S = 0.2  # a poll takes about 50 µs, while the holder is taking times
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

_owners: dict[Path, tuple[int, int]] = {}  # lock file -> process and thread that hold it, within this process
_environment = threading.Lock()


class DeviceBusyError(HarnessError):
    """Another run holds the device and did not release it in time."""

    exit_code = ExitCode.INCOMPLETE


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Permission to take times on a device; `inherited`: the parent, or this thread, already holds the lock."""

    device: str
    token: str
    inherited: bool


@contextmanager
def hold_device(device: str, wait_s: float | None, say: Callable[[str], None]) -> Iterator[Lease]:
    """Hold the lock of a device while the block runs; child processes of the block enter without waiting.

    device: a name such as `cpu` or `cuda-<uuid>`. wait_s: time limit in s; None waits without limit.
    say: called with a message that names the holder, if the lock is taken: at once, when the holder changes, and every
        ten seconds with the time waited so far.
    Raises DeviceBusyError after `wait_s`, and UsageError if the shared folder cannot be used.
    """
    from filelock import FileLock

    path = lock_path(device)
    # One thread acquires and releases; all share the lock's state. A soft lock would outlive its holder.
    lock = FileLock(path, mode=SHARED_FILE_MODE, thread_local=False, fallback_to_soft=False)
    lease = _wait_for_lock(device, path, lock, wait_s, say)
    if lease.inherited:
        yield lease
        return
    try:
        _owners[path] = (os.getpid(), threading.get_ident())
        write_holder(path, lease.token)
        with _token_in_environment(lease):
            yield lease
    finally:
        _owners.pop(path, None)
        _clear_holder(path)
        lock.release()


def lock_path(device: str) -> Path:
    """Return the path of the lock file in the shared folder, which is created if missing. Raises UsageError."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"device: got '{device}', wanted a name of letters, digits, '.', '_' and '-' such as cpu")
    folder = lease_folder()
    try:
        folder.mkdir(parents=True)
        folder.chmod(SHARED_FOLDER_MODE)  # the umask masks the mode of mkdir
    except FileExistsError:
        if not folder.is_dir():
            raise _unusable(folder, "not a folder") from None
    except OSError as error:
        raise _unusable(folder, error.strerror or str(error)) from error
    return folder / f"{device}.lock"


def lease_folder() -> Path:
    """Return the folder named by HARNESS_LEASE_DIR, else a fixed one.

    It is in /tmp if that exists, since TMPDIR may differ between users.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).absolute()
    shared = Path("/tmp")
    return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / FOLDER


def _unusable(folder: Path, why: str) -> UnwritableError:
    return UnwritableError(
        f"lease folder {folder}: {why}; wanted one that every user of the machine can write, "
        f"set {FOLDER_VARIABLE} to such a folder"
    )


def _wait_for_lock(
    device: str, path: Path, lock: BaseFileLock, wait_s: float | None, say: Callable[[str], None]
) -> Lease:
    """Poll until it is this process's turn and the lock is free, or until the inherited token permits entry."""
    inherited, begun = inherited_token(device), time.monotonic()
    said, said_at = "", begun
    with _open_ticket(device, path.parent) as ticket:
        while True:
            ahead = ticket.list_ahead()
            if not ahead and _try_lock(path, lock):
                return Lease(device=device, token=secrets.token_hex(16), inherited=False)
            holder = read_holder(path)
            if holder is not None and holder.token == inherited and _may_enter(path, holder):
                return Lease(device=device, token=holder.token, inherited=True)
            waited = time.monotonic() - begun
            who = _describe_wait(holder, ahead)
            if wait_s is not None and waited >= wait_s:
                raise DeviceBusyError(
                    f"device {device} is {who}; waited {waited:.0f} s; wait longer with --lease-wait or stop it"
                )
            # a new holder takes a moment to write its name
            if (who != said or time.monotonic() - said_at >= SAY_S) and (holder is not None or waited >= POLL_S):
                since = f" for {waited:.0f} s" if said else ""
                said, said_at = who, time.monotonic()
                say(f"device {device} is {who}; waiting{since}")
            time.sleep(POLL_S if wait_s is None else min(POLL_S, wait_s - waited))


@contextmanager
def _open_ticket(device: str, folder: Path) -> Iterator[Ticket]:
    """Take a ticket. Raises UsageError if the folder cannot be written."""
    with ExitStack() as stack:
        try:
            ticket = stack.enter_context(take_ticket(device, folder))
        except OSError as error:
            raise _unusable(folder, error.strerror or str(error)) from error
        yield ticket


def _describe_wait(holder: Holder | None, ahead: Sequence[Path]) -> str:
    """Describe what a process waits for.

    holder: of the device; None if it has not said its name. ahead: tickets before the process's own.
    """
    first = read_ticket(ahead[0]) if ahead else None
    if first is not None and (holder is None or not _is_alive(holder.pid)):  # the lock itself was not tried
        return f"next for {first}" + (f" and {len(ahead) - 1} more" if len(ahead) > 1 else "")
    others = f", and {len(ahead)} before this process wait for it" if ahead else ""
    return f"held by {holder or 'a process that has not said its name'}{others}"


def _try_lock(path: Path, lock: BaseFileLock) -> bool:
    """Try to take the lock; True on success."""
    from filelock import Timeout

    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    except OSError as error:
        raise _unusable(path.parent, error.strerror or str(error)) from error
    return True


def _may_enter(path: Path, holder: Holder) -> bool:
    """True if the token permits entry: in a child process, or in the thread that holds the lock.

    The holder must be alive: just after the lock changes hands, the record may still name a process that was killed.
    """
    pid, thread = _owners.get(path, (0, 0))
    return _is_alive(holder.pid) and (pid != os.getpid() or thread == threading.get_ident())


def _is_alive(pid: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(pid))


def inherited_token(device: str) -> str | None:
    """Return a device's token from the environment variable, which holds pairs `device:token` separated by commas."""
    pairs = (pair.partition(":") for pair in os.environ.get(TOKEN_VARIABLE, "").split(","))
    return next((token for name, _, token in pairs if name == device and token), None)


@contextmanager
def _token_in_environment(lease: Lease) -> Iterator[None]:
    """Export the token to child processes while the block runs."""
    _change_environment(lease.device, lease.token)
    try:
        yield
    finally:
        _change_environment(lease.device, None)


def _change_environment(device: str, token: str | None) -> None:
    with _environment:
        old = os.environ.get(TOKEN_VARIABLE, "").split(",")
        pairs = [pair for pair in old if pair and pair.partition(":")[0] != device]
        pairs += [f"{device}:{token}"] if token else []
        if pairs:
            os.environ[TOKEN_VARIABLE] = ",".join(pairs)
        else:
            os.environ.pop(TOKEN_VARIABLE, None)


def _record_path(path: Path) -> Path:
    return path.with_suffix(".holder")


def read_holder(path: Path) -> Holder | None:
    """Read the record of the holder; None if there is none that can be read."""
    return read_record(_record_path(path))


def write_holder(path: Path, token: str) -> None:
    """Write the record that this process holds the lock. Raises UsageError."""
    import msgspec

    holder = Holder(pid=os.getpid(), command=own_command(), since=time.time(), token=token)
    try:
        _overwrite(_record_path(path), msgspec.json.encode(holder))
    except OSError as error:
        raise _unusable(path.parent, error.strerror or str(error)) from error


def _clear_holder(path: Path) -> None:
    """Empty the record; on failure it stays, stale and harmless."""
    with suppress(OSError):
        _overwrite(_record_path(path), b"")


def _overwrite(path: Path, data: bytes) -> None:
    """Overwrite a file that another user may have created, in a folder where users cannot replace each other's files.

    O_CREAT is used only together with O_EXCL: Linux refuses it for other users' files in such folders
    (fs.protected_regular).
    """
    flags = os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    try:
        target = os.open(path, flags)
    except FileNotFoundError:
        target = os.open(path, flags | os.O_CREAT | os.O_EXCL, SHARED_FILE_MODE)
        os.fchmod(target, SHARED_FILE_MODE)
    with os.fdopen(target, "wb") as file:
        file.truncate(0)
        file.write(data)
