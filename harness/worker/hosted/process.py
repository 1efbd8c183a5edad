"""The backend's process, as started and asked by the judge's process."""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import numpy as np

from harness.laws.meeting import Interruption, Overlapping, Stop
from harness.laws.meeting import Taken as Answer
from harness.machine.threads import THREAD_VARIABLES
from harness.measure.descendants import end_descendants
from harness.plugins.searching import start_command
from harness.problems.arrays import Array
from harness.worker import protocol
from harness.worker.hosted.output import Output
from harness.worker.hosted.raised import HostError, make_error
from harness.worker.wire.arena import Arena, ArenaError, Blocks, Placed, create_file
from harness.worker.wire.channel import Channel, ChannelClosedError, ChannelError
from harness.worker.wire.messages import (
    MOST_TEXT,
    Drop,
    Envelope,
    HostReply,
    HostRequest,
    Interrupted,
    Loaded,
    Outputs,
    Overlapped,
    PassedOn,
    PassOn,
    Question,
    Raised,
    Replies,
    Reply,
    Seed,
    Verdict,
    encoder,
    replies,
)

REPLIES: dict[type[protocol.Request], tuple[type[protocol.Reply], ...]] = {
    protocol.Prepare: (protocol.Checked,), protocol.Release: (protocol.Checked,),
    protocol.Sample: (protocol.Sampled, protocol.Checked), protocol.ListFiles: (protocol.FilesLoaded,),
    protocol.Count: (protocol.Checked,),
}  # fmt: skip
MOST_QUESTIONS = 10_000  # of one request; a block of samples asks a few
Expected = TypeVar("Expected")
END_S = 2.0  # until a process whose channel is closed has ended
DEATH_S = 30.0  # the same if it closed the channel itself: on a busy machine a process that dies waits for a core


Examine = Callable[[Question], Seed | Verdict]
Taken = HostReply | dict[str, Array] | Interruption | Overlapping  # a reply, with the arrays of outputs copied


class HostDiedError(BaseException):
    """The backend's process has ended; `code` is its exit code, negative for a signal.

    A BaseException, so that no law takes it for an error of a call.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the backend's process ended with {code}")
        self.code = code


@dataclass(slots=True)
class Promise:
    """The reply to a request, which is there after the next message."""

    reply: Taken | None = None

    def take(self) -> Taken:
        """Return the reply."""
        assert self.reply is not None, "a promise is kept by the next message"
        return self.reply


@dataclass(frozen=True, slots=True)
class _Queued:
    """A request, and who waits for its reply; None if it has none."""

    request: HostRequest
    promise: Promise | None


class Host:
    """The process of one backend. Requests are answered one after the other."""

    def __init__(
        self,
        source: int | None = None,
        launcher: Sequence[str] = (),
        *,
        folder: bool = True,
        threads: int | None = None,
    ) -> None:
        """Start the process.

        launcher: what goes before its command. folder: whether it finds modules in the current folder.
        threads: of its libraries; None leaves them as in the environment of this process.
        source: descriptor of the pipe of the run's requests; when the run has closed it, this process ends at once.
        """
        files = create_file(), create_file()
        self.blocks, self.answers = Blocks(Arena(files[0])), Arena(files[1])
        ours, theirs = socket.socketpair()
        self.channel = Channel(ours)
        self.output = Output()
        descriptors = (theirs.fileno(), *files)
        self.process = subprocess.Popen(
            [*launcher, *start_command("harness.worker.host", folder=folder), *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
            stdout=self.output.target,
            stderr=self.output.target,
            env=os.environ if threads is None else {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads))},
        )
        self.output.begin()
        theirs.close()
        for file in files:
            os.close(file)
        if source is not None:
            threading.Thread(target=self._end_with_run, args=(source,), daemon=True).start()
        self.lock = threading.Lock()
        self.queue: list[_Queued | list[int]] = []  # requests not yet sent, and numbers of what the host may drop
        self.depth = 0  # of `together`
        self.numbers = itertools.count(-1, -1)  # the host chooses positive ones
        self.kinds: dict[tuple[str, ...], Any] = {}  # answers to questions about dtypes
        self.ended: list[Placed] = []  # arrays whose blocks are free when the host knows
        self.placed: dict[int, tuple[str, Placed]] = {}  # by offset: name and place of all arrays of the judge
        self.overwritten: set[str] = set()  # names of arrays around which something was written

    def start(self, request: protocol.Start) -> Loaded:
        """Let the process load a backend; return its report. Raises HostDiedError."""
        return self.expect(self._exchange(protocol.encoder.encode(request)), Loaded)

    def pass_on(self, request: protocol.Request, examine: Examine | None = None) -> protocol.Reply:
        """Let the process answer a request of the run as a whole.

        examine: answers its questions before the reply; None if it may have none.
        Raises HostDiedError.
        """
        reply = self.expect(self.ask(PassOn(protocol.encoder.encode(request)), examine), PassedOn)
        try:
            found = protocol.replies.decode(reply.body)
        except msgspec.MsgspecError as error:
            raise self._broken(str(error)) from None
        if not isinstance(found, REPLIES[type(request)]):
            raise self._broken(f"got {type(found).__name__} to {type(request).__name__}")
        return found

    def ask(self, request: HostRequest, examine: Examine | None = None) -> Taken:
        """Send what is queued and a request that has a reply; return the reply.

        examine: as in `pass_on`.
        Raises HostError for an exception of the backend, UnsupportedError if there is no route, HostDiedError.
        """
        promise = self.promise(request)
        self.flush(examine)
        return promise.take()

    def promise(self, request: HostRequest) -> Promise:
        """Queue a request that has a reply; the reply is there after the next message."""
        promise = Promise()
        self.queue.append(_Queued(request, promise))
        return promise

    def tell(self, request: HostRequest) -> None:
        """Make a request without a reply: at once, or inside of `together` with the next message. Raises as `ask`."""
        self.queue.append(_Queued(request, None))
        if not self.depth:
            self.flush()

    def drop(self, number: int) -> None:
        """Let the host forget what it holds under a number, after all requests that were made before."""
        if self.queue and isinstance(last := self.queue[-1], list):
            last.append(number)
        else:
            self.queue.append([number])

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Put requests without a reply off until a reply is needed, at the latest until the end.

        Exceptions of the backend are raised then.
        """
        self.depth += 1
        try:
            yield
        except BaseException:
            if self.depth == 1:
                self.queue = [one for one in self.queue if isinstance(one, list)]
            raise
        finally:
            self.depth -= 1
        if not self.depth and not all(isinstance(one, list) for one in self.queue):
            self.flush()

    def flush(self, examine: Examine | None = None) -> None:
        """Send what is queued in one message, and take the replies. Raises as `ask`."""
        if not self.lock.acquire(blocking=False):
            raise RuntimeError("the backend's process was asked while it answers")
        try:
            ended, self.ended = self.ended, []  # first: what ends from now on may be dropped by a later message
            queue, self.queue = self.queue, []
            requests = tuple(Drop(tuple(one)) if isinstance(one, list) else one.request for one in queue)
            reply = self._exchange(encoder.encode(Envelope(requests)), examine)
            for placed in ended:
                self._free(placed)
            raised = self._deliver(reply, queue)
        finally:
            self.lock.release()
        if raised is not None:
            error = make_error(raised)
            if isinstance(error, HostError) and 0 <= raised.at < len(requests):
                asked = getattr(requests[raised.at], "problem", None)
                error.problem = None if asked is None else asked.make()
            raise error

    def expect(self, reply: Taken | Reply, kind: type[Expected]) -> Expected:
        """Return a reply of a kind. Raises HostDiedError for any other, and ends the process."""
        if not isinstance(reply, kind):
            raise self.end_unexpected(reply, kind.__name__)
        return reply

    def end_unexpected(self, reply: Taken | Reply, wanted: str) -> HostDiedError:
        """End the process because of a reply of another kind; return the error to raise."""
        return self._broken(f"got {type(reply).__name__}, wanted {wanted}")

    def _deliver(self, reply: Reply, queue: Iterable[_Queued | list[int]]) -> Raised | None:
        """Give every promise its reply; return the exception that ended the requests."""
        promises = [one.promise for one in queue if isinstance(one, _Queued) and one.promise is not None]
        items = reply.items if isinstance(reply, Replies) else ()
        raised = items[-1] if items and isinstance(items[-1], Raised) else None
        taken = items if raised is None else items[:-1]
        if len(taken) > len(promises) or (raised is None and len(taken) < len(promises)):
            raise self._broken(f"got {len(taken)} replies to {len(promises)} requests")
        for promise, item in zip(promises, taken, strict=False):
            promise.reply = self._copy(item)
        return raised

    def _copy(self, reply: HostReply) -> Taken:
        """Return a reply with copies of its arrays; later changes of the shared memory do not reach them."""
        match reply:
            case Outputs():
                return self._read_outputs(reply)
            case Interrupted():
                stops = (Stop(one.place[:MOST_TEXT], self._read_all(one.answers)) for one in reply.stops)
                return Interruption(self._read_all([reply.answer])[0], tuple(stops), reply.lines)
            case Overlapped():
                return Overlapping(tuple(map(self._read_all, reply.answers)), reply.ended)
        return reply

    def _read_outputs(self, outputs: Outputs) -> dict[str, Array]:
        return {name: self.read(one) for name, one in outputs.arrays.items()}

    def _read_all(self, answers: Iterable[Outputs | Raised]) -> tuple[Answer, ...]:
        """Return answers of calls; arrays that lie outside of the shared memory are an exception."""
        found: list[Answer] = []
        for one in answers:
            try:
                found.append(make_error(one) if isinstance(one, Raised) else self._read_outputs(one))
            except HostError as error:
                found.append(error)
        return tuple(found)

    def take_outputs(self, reply: Taken, names: tuple[str, ...]) -> dict[str, Array]:
        """Return the arrays of a reply. Raises HostError unless it has exactly these names."""
        if not isinstance(reply, dict):
            raise self.end_unexpected(reply, "outputs")
        if set(reply) != set(names):
            got = ", ".join(sorted(reply))[:MOST_TEXT]
            raise HostError(f"its process answered with {got or 'nothing'}, wanted {', '.join(names) or 'an array'}")
        return reply

    def ask_on(self, request: HostRequest, placed: Iterable[Placed]) -> Taken:
        """Ask on arrays that were placed for this request alone, and free them whatever comes of it."""
        try:
            return self.ask(request)
        finally:
            self.ended.extend(placed)

    def place(self, name: str, a: Array) -> Placed:
        """Copy an array into shared memory; `name` is used in messages."""
        placed = self.blocks.place(a)
        self.placed[placed.offset] = (name, placed)
        return placed

    def free_later(self, placed: Placed) -> None:
        """Free the block of an array after the next request."""
        self.ended.append(placed)

    def read(self, placed: Placed) -> Array:
        """Return a copy of an array that the host gave back. Raises HostError if it does not lie in its memory."""
        try:
            return np.array(self.answers.view(placed), order="K")
        except ArenaError as error:
            raise HostError(f"its process answered with an array that is none: {error}") from None

    def find_overwritten(self) -> tuple[str, ...]:
        """Return the names of arrays around which calls have written since the last time."""
        self.overwritten |= {name for name, placed in self.placed.values() if not self.blocks.is_intact(placed)}
        found, self.overwritten = tuple(sorted(self.overwritten)), set()
        return found

    def close(self) -> None:
        """Close the channel, and kill the process if it does not end by itself."""
        self.channel.close()
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.finish()

    def _free(self, placed: Placed) -> None:
        name, _ = self.placed.pop(placed.offset)
        if not self.blocks.is_intact(placed):
            self.overwritten.add(name)
        self.blocks.free(placed)

    def _exchange(self, body: bytes, examine: Examine | None = None) -> Reply:
        try:
            ticket = self.channel.ask(body)
            reply = replies.decode(self.channel.hear(ticket))
            asked = 0
            while isinstance(reply, Question):
                asked += 1
                if examine is None:
                    raise ChannelError("got a question where there is nothing to judge")
                if asked > MOST_QUESTIONS:
                    raise ChannelError(f"got more than {MOST_QUESTIONS} questions before the reply")
                self.channel.send(encoder.encode(examine(reply)), ticket)
                reply = replies.decode(self.channel.hear(ticket))
            return reply
        except ChannelClosedError:
            raise self._died() from None
        except (ChannelError, msgspec.MsgspecError) as error:
            raise self._broken(str(error)) from None

    def _end_with_run(self, source: int) -> None:
        """Wait until the run has closed its pipe; end this process if it does not end by itself."""
        poll = select.poll()
        poll.register(source, 0)  # a closed end is reported all the same
        poll.poll()
        time.sleep(2 * END_S)
        end_descendants(os.getpid())
        os._exit(1)

    def _broken(self, why: str) -> HostDiedError:
        print(f"the channel of the backend's process holds what is no reply: {why}", file=sys.stderr, flush=True)
        self.process.kill()
        self.process.wait()
        self.output.finish()
        return HostDiedError(1)

    def _died(self) -> HostDiedError:
        try:
            code = self.process.wait(DEATH_S)
        except subprocess.TimeoutExpired:  # it closed its descriptors
            self.process.kill()
            code = self.process.wait()
        self.output.finish()
        return HostDiedError(code)
