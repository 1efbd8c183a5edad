"""Parent side of a worker: start it, send requests with limits of time and memory, and find out how it died."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.machine.oom import count_oom_kills
from harness.machine.threads import THREAD_VARIABLES
from harness.measure.descendants import end_descendants
from harness.measure.memory import read_tree_resident
from harness.plugins.searching import start_command
from harness.record.run import Outcome
from harness.worker.protocol import FrameError, Reply, Request, frame, take_reply

if TYPE_CHECKING:
    import psutil

    from harness.execution.environments import Place

POLL_S = 0.05
DEATH_S = 30.0  # from the end of a worker's pipe to its own; on a busy machine a process that dies waits for a core
READ_BYTES = 2**20
SEND_S = 10.0  # for the process to take a request out of the pipe
A_CELL, A_START = "a cell", "for a start, which loads the plugins and asks probe()"
AN_ORDER = "for lists of files and for freeing a problem"
KILLED = {  # by whether it was for want of memory
    True: "the system has killed a process of its control group for want of memory",
    False: "killed by a process, and not by the system for want of memory",
    None: "killed from outside, perhaps by the system for want of memory",
}
LOG_BYTES = 2**16  # of the end of a log, in which the last words are looked for


class WorkerDiedError(Exception):
    """The worker is gone: crashed, out of time or out of memory; `outcome` is that of its cell, the text says how.

    starved: whether the system killed it for lack of memory; None if it was killed for an unknown reason.
    used_bytes: most resident memory of its process tree that was seen during its cell.
    """

    def __init__(self, outcome: Outcome, reason: str, *, starved: bool | None = False, used_bytes: int = 0) -> None:
        super().__init__(reason)
        self.outcome, self.starved, self.used_bytes = outcome, starved, used_bytes


class Worker:
    """A child process that answers requests in order."""

    def __init__(
        self,
        log: Path,
        threads: int | None = None,
        place: Place | None = None,
        settings: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Start the process, in the given place or in this environment.

        log: file to which its output is appended.
        threads: None leaves thread counts as in the user's environment.
        settings: environment variables of its arm, set before any library is loaded.
        """
        environment = {**os.environ, **(place.variables if place else {}), **dict(settings)}
        if threads is not None:
            environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        module = "harness.worker"
        start = [place.interpreter, "-P", "-m", module] if place else start_command(module, folder=False)
        their_in, our_out = os.pipe()
        our_in, their_out = os.pipe()
        self.log = log
        self.oom_kills = count_oom_kills()  # before it began
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [*start, str(their_in), str(their_out)],
                pass_fds=(their_in, their_out),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                env=environment,
                cwd=place.folder if place else None,
                process_group=0,  # of the same session: the system wakes and ends it when its parent dies
            )
        os.close(their_in)
        os.close(their_out)
        os.set_blocking(our_out, False)
        self.target, self.source = our_out, our_in
        self.received = bytearray()  # of replies not yet read
        self.tickets: deque[int] = deque()  # of requests not yet answered
        self.family: list[psutil.Process] = []  # the worker and its descendants, as suspended last
        self.suspended = False
        self.used_bytes = 0  # most resident memory seen during the request in progress

    @property
    def pid(self) -> int:
        """Process number."""
        return self.process.pid

    def suspend(self, *, look_again: bool = True) -> None:
        """Suspend the worker and its descendants: a waiting process is not idle, as its thread pools spin.

        look_again: whether it may have started processes since it was suspended last.
        """
        import psutil

        with contextlib.suppress(psutil.Error):
            if look_again or not self.family:
                self.family = [psutil.Process(self.pid)]
                self.family[0].suspend()
                self.family += self.family[0].children(recursive=True)
        for process in self.family:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        # The system wakes and ends what is stopped when its parent dies, but not what only stops afterwards.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self.suspended = True

    def resume(self) -> None:
        """Resume the worker and its descendants."""
        import psutil

        for process in self.family:
            with contextlib.suppress(psutil.Error):
                process.resume()
        self.suspended = False

    def ask(self, request: Request, time_s: float, memory_bytes: int, what: str = A_CELL) -> Reply:
        """Send a request and wait for its reply.

        time_s, memory_bytes: limits until the whole reply has arrived. what: what they are limits of.
        Raises WorkerDiedError; the worker is then gone.
        """
        self.tell(request)
        return self.hear(time_s, memory_bytes, what)

    def tell(self, request: Request) -> None:
        """Send a request without waiting for its reply; the worker answers in order. Raises WorkerDiedError."""
        self.tickets.append(secrets.randbits(64))
        left, deadline = memoryview(frame(request, self.tickets[-1])), time.monotonic() + SEND_S
        while left:
            try:
                left = left[os.write(self.target, left) :]
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.kill()
                    why = f"it took no request out of its pipe for {SEND_S:g} s; the worker was killed"
                    raise WorkerDiedError("timeout", why) from None
                select.select([], [self.target], [], POLL_S)
            except (OSError, ValueError):  # closed by another thread, or dead
                raise self._died() from None

    def hear(self, time_s: float, memory_bytes: int, what: str = A_CELL) -> Reply:
        """Wait for the next reply.

        time_s, memory_bytes, what: as in `ask`.
        Raises WorkerDiedError; the worker is then gone.
        """
        deadline, late = time.monotonic() + time_s, False
        self.used_bytes = 0
        ticket = self.tickets.popleft()
        while (reply := self._take(ticket)) is None:
            if late:
                self.kill()
                raise WorkerDiedError(
                    "timeout", f"no answer within the limit of {time_s:g} s {what}; the worker was killed"
                )
            late = time.monotonic() > deadline  # reads once more: a reply that has arrived by now counts
            if not self._read() and self._watch_memory() > memory_bytes:
                self.kill()
                raise WorkerDiedError(
                    "crashed",
                    f"out of memory: {self.used_bytes / 2**30:.2f} GiB used, above the limit of "
                    f"{memory_bytes / 2**30:g} GiB {what}; the worker was killed",
                    used_bytes=self.used_bytes,
                )
        return reply

    def _take(self, ticket: int) -> Reply | None:
        """Take a reply from the received bytes; None if incomplete. Raises WorkerDiedError if they are no reply."""
        try:
            return take_reply(self.received, ticket)
        except FrameError as error:
            self.kill()
            why = f"the worker's pipe holds what is no reply ({error}), as if the backend had written to it"
            raise WorkerDiedError("crashed", f"{why}; the worker was killed") from None

    def _read(self) -> bool:
        """Wait briefly for bytes and keep them; return True if any came. Raises WorkerDiedError at the pipe's end."""
        try:
            if not select.select([self.source], [], [], POLL_S)[0]:
                return False
            chunk = os.read(self.source, READ_BYTES)
        except (OSError, ValueError):  # killed and closed by another thread
            chunk = b""
        if not chunk:
            raise self._died()
        self.received += chunk
        return True

    def _watch_memory(self) -> int:
        """Return the resident bytes of the worker and its descendants, and keep the most; 0 if it is gone."""
        used = read_tree_resident(self.pid)
        self.used_bytes = max(self.used_bytes, used)
        return used

    def _died(self) -> WorkerDiedError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=DEATH_S)  # its pipe closes a moment before it has ended by itself
        self.kill()
        code = self.process.returncode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        starved: bool | None = False
        if code == -signal.SIGKILL:
            starved = self.oom_kills.explain(count_oom_kills())
            how += f" ({KILLED[starved]})"
        last = self._last_words()
        why = f"the worker died with {how}{f': {last}' if last else ''}; log: {self.log}"
        return WorkerDiedError("crashed", why, starved=starved, used_bytes=self.used_bytes)

    def _last_words(self) -> str:
        lines = [line.strip() for line in self._read_log_end().splitlines() if line.strip()]
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        return (fatal or lines or [""])[-1][:200]

    def _read_log_end(self) -> str:
        """Return the end of the log, which a backend may have made long, removed or replaced."""
        try:
            if not self.log.is_file():
                return ""
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_BYTES))
                return file.read(LOG_BYTES).decode(errors="replace")
        except OSError:
            return ""

    def kill(self) -> None:
        """Kill the worker, its process group, and whatever a backend has left running elsewhere."""
        if self.process.poll() is None:
            end_descendants(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._close_target()
        if self.source >= 0:
            os.close(self.source)
            self.source = -1

    def _close_target(self) -> None:
        if self.target >= 0:
            os.close(self.target)
            self.target = -1

    def close(self) -> None:
        """Let the worker end by itself; kill it if it does not, or if it is suspended."""
        if self.suspended:
            self.kill()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._close_target()
            self.process.wait(timeout=2)
        self.kill()
