"""The process that describes a third-party plugin, as started and asked by the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TypeVar

from harness.errors import DAMAGED
from harness.measure.descendants import end_descendants
from harness.plugins.searching import start_command
from harness.worker.wire.arguments import Asked
from harness.worker.wire.channel import Channel, ChannelClosedError, ChannelError, ChannelLateError
from harness.worker.wire.descriptions import MOST_BYTES, Answer, AskBackend, Describe, Plugin, encoder, replies

START_S = 120.0  # until a plugin is imported, as for a worker
ANSWER_S = 60.0  # until a backend has answered for one problem
END_S = 2.0  # until a process whose channel is closed has ended
BATCH = 256  # problems of a message, which then fits into the socket
LAST_WORDS = 4000  # bytes of its output that are kept

Kind = TypeVar("Kind", Plugin, Answer)


class NoAnswerError(Exception):
    """A plugin's process did not answer, or with what is no answer; the process is gone then."""


class Describer:
    """Describes one plugin. Its process is started when it is first asked, and again after a rest or its death."""

    def __init__(self, extra: Sequence[str], name: str) -> None:
        """Make a describer without a process.

        extra: `--plugin` arguments. name: of the plugin, as in a row of the registry.
        """
        self.request = Describe(tuple(extra), name)
        self.lock = threading.Lock()
        self.process: _Process | None = None

    def describe(self) -> Plugin:
        """Return what the plugin brings. Raises NoAnswerError."""
        with self.lock:
            return self._start()[1]

    def ask(self, backend: str, problems: Sequence[Asked], take: Callable[[Answer], None], *, every: bool) -> None:
        """Let a backend declare what it does with each problem.

        take: receives the answers in the order of the problems, each as soon as it is known.
        every: whether arithmetic and costs are also wanted of what the backend does not support.
        Raises NoAnswerError.
        """
        with self.lock:
            process = self.process or self._start_again()
            try:
                for first in range(0, len(problems), BATCH):
                    some = tuple(problems[first : first + BATCH])
                    ticket = process.send(AskBackend(backend, some, every), ANSWER_S)
                    for _ in some:
                        take(process.hear(ticket, Answer, ANSWER_S))
            except NoAnswerError:
                self.process = None
                raise

    def rest(self) -> None:
        """End the process until it is asked again, so that it neither disturbs nor holds memory."""
        with self.lock:
            if self.process is not None:
                self.process.end()
                self.process = None

    def __del__(self) -> None:
        """End the process with the last use of its plugin."""
        if self.process is not None:
            self.process.kill()

    def _start(self) -> tuple[_Process, Plugin]:
        process = _Process()
        plugin = process.hear(process.send(self.request, START_S), Plugin, START_S)
        self.process = process
        return process, plugin

    def _start_again(self) -> _Process:
        process, plugin = self._start()
        if plugin.reason is not None:
            self.process = None
            process.end()
            raise NoAnswerError(f"its plugin does not load again: {plugin.reason}")
        return process


class _Process:
    """A process that has imported a plugin, or does so."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [*start_command("harness.worker.describer", folder=not sys.flags.safe_path), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=0,  # an interrupt from the keyboard is for the command
            )
        assert self.process.stdout is not None
        self.channel, self.output = Channel(ours, MOST_BYTES), _Output(self.process.stdout)

    def send(self, request: Describe | AskBackend, limit_s: float) -> int:
        """Send a request; return its ticket. Raises NoAnswerError."""
        self.channel.wait_until(time.monotonic() + limit_s)
        try:
            return self.channel.ask(encoder.encode(request))
        except ChannelLateError:
            raise self._kill(f"took no question within the limit of {limit_s:g} s") from None
        except ChannelClosedError:
            raise self._kill(self._find_end()) from None

    def hear(self, ticket: int, kind: type[Kind], limit_s: float) -> Kind:
        """Wait for a reply.

        kind: of the reply. limit_s: time until it is there.
        Raises NoAnswerError.
        """
        self.channel.wait_until(time.monotonic() + limit_s)
        try:
            reply = replies.decode(self.channel.hear(ticket))
        except ChannelLateError:
            why = f"gave no answer within the limit of {limit_s:g} s"
        except ChannelClosedError:
            why = self._find_end()
        except (ChannelError, *DAMAGED) as error:
            why = f"gave what is no answer ({error})"
        else:
            if isinstance(reply, kind):
                return reply
            why = f"gave a {type(reply).__name__} for an answer"
        raise self._kill(why)

    def end(self) -> None:
        """Close the channel, and kill the process with all that its plugin has started."""
        end_descendants(self.process.pid)
        self.channel.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        self._kill_group()

    def kill(self) -> None:
        """Kill the process with its group."""
        self._kill_group()
        self.channel.close()

    def _kill(self, why: str) -> NoAnswerError:
        self.kill()
        return NoAnswerError(f"its plugin's process {why}{self.output.last_line()}")

    def _kill_group(self) -> None:
        if self.process.poll() is None:
            end_descendants(self.process.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _find_end(self) -> str:
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            return "closed its channel"
        return f"ended with signal {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


class _Output:
    """The end of what a process writes to its standard output and standard error, which nothing else shows."""

    def __init__(self, source: IO[bytes]) -> None:
        self.source, self.kept = source, bytearray()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def last_line(self) -> str:
        """Return the last line as the end of a sentence; "" if nothing was written."""
        self.thread.join(END_S)
        lines = [" ".join(line.split()) for line in bytes(self.kept).decode(errors="replace").splitlines()]
        lines = [line for line in lines if line]
        fatal = [line for line in lines if line.startswith("Fatal Python error")]
        return f"; it last wrote '{(fatal or lines)[-1][:200]}'" if lines else ""

    def _read(self) -> None:
        with self.source, suppress(OSError, ValueError):
            while chunk := os.read(self.source.fileno(), LAST_WORDS):
                self.kept = (self.kept + chunk)[-LAST_WORDS:]
