"""Messages between the run and a worker: msgpack frames on dedicated pipes.

A frame is preceded by its length and the ticket of its request. The ticket is a random number, so that bytes which a
backend writes to the pipe by itself are not mistaken for a reply.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import msgspec

from harness.laws.deviation import Deviation
from harness.measure.device_clock import Gpu
from harness.plan.counting import CounterKind
from harness.plan.suite import Mode
from harness.problems.numerics import Numerics
from harness.record.counts import Counts
from harness.record.passes import Pass
from harness.record.run import Outcome, Peak

HEAD = struct.Struct("<IQ")  # length, ticket
MOST_BYTES = 2**31 - 1  # of a frame; a longer one is rejected
MOST_OPENED = 10_000  # files that a backend opens; where it opens more, nothing can be said of them


class Start(msgspec.Struct, tag="start", frozen=True):
    """Load these plugins and probe this backend (backend "": the worker only measures the machine).

    plugins: of the backend's process.
    laws: plugins of the judge's process: those with laws or networks.
    offers: name of the plugin of every backend, for the partner of a mixed network.
    observe: whether to report the instruction sets that the backend's libraries use.
    threads: of the backend's process; None leaves them as in the environment of the judge's process.
    folder: whether plugins of others find modules in the current folder.
    counter: of the instructions of calls; None if none are counted. dumps: folder of its dumps.
    watches_opens: whether files that the backend opens are listed, too.
    """

    plugins: tuple[str, ...]
    extra: tuple[str, ...]
    backend: str
    laws: tuple[str, ...] = ()
    offers: dict[str, str] = {}
    observe: bool = False
    threads: int | None = None
    folder: bool = False
    counter: CounterKind | None = None
    dumps: str = ""
    watches_opens: bool = False


class Check(msgspec.Struct, tag="check", frozen=True):
    """Apply a law to a problem.

    numerics: that the backend declared to the plan for the problem, for a network those of its operators; None if the
        plan has asked another version.
    """

    law: str
    problem: str
    numerics: Numerics | tuple[Numerics, ...] | None = None


class Prepare(msgspec.Struct, tag="prepare", frozen=True):
    """Prepare a problem for timing: plan, call, verify; with `probe`, also run the honesty checks.

    number: of the pass.
    slowdown: known work added to each call, as a share of the call.
    numerics: as in `Check`.
    """

    problem: str
    number: int
    mode: Mode = "hot"
    slowdown: float = 0.0
    probe: bool = True
    numerics: Numerics | tuple[Numerics, ...] | None = None


class Sample(msgspec.Struct, tag="sample", frozen=True):
    """Time a block of the problem prepared last, after untimed calls for `warm_ns`.

    budget_ns: time for the samples.
    least: smallest number of samples.
    looks_s: time for close looks at the block, after which the machine cannot tell; part of the limit of the cell.
    """

    budget_ns: int
    warm_ns: int
    least: int
    looks_s: float = 60.0


class Count(msgspec.Struct, tag="count", frozen=True):
    """Prepare a problem as for timing, and count the instructions of `calls` calls.

    numerics: as in `Check`.
    """

    problem: str
    calls: int
    numerics: Numerics | tuple[Numerics, ...] | None = None


class Release(msgspec.Struct, tag="release", frozen=True):
    """Free the problem prepared last."""


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """Compute the outputs of a problem, for a vote."""

    problem: str


class MeasurePeak(msgspec.Struct, tag="peak", frozen=True):
    """Measure the machine's own peak on a device; `quick` if it was measured before in this run."""

    device: str = "cpu"
    quick: bool = False


class ListFiles(msgspec.Struct, tag="files", frozen=True):
    """List the files that the process has loaded."""


Request = Start | ListFiles | Check | Prepare | Sample | Count | Release | Answer | MeasurePeak


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """Result of loading and probing a backend.

    reason: why the backend cannot run here; None if it can.
    versions: of its libraries.
    process: threads, Python version, registered backends and, if observed, instruction sets.
    pid: of the backend's process, as the judge knows it.
    """

    reason: str | None
    versions: dict[str, str]
    process: dict[str, Any] = {}
    pid: int | None = None


class Checked(msgspec.Struct, tag="checked", frozen=True):
    """Outcome of a cell; `samples` is the pass of a prepared cell, still without samples, `counts` those of its calls.

    reason: why, if it did not pass, or a remark; None without one.
    accuses: whether it says that times cannot be true; it stands only if a fresh process shows it, too.
    declared: whether it is `unsupported` as the backend declares now, in its own process; the plan knows what it
        declared before.
    """

    outcome: Outcome
    reason: str | None
    deviation: Deviation | None = None
    samples: Pass | None = None
    accuses: bool = False
    declared: bool = False
    counts: Counts | None = None


class Sampled(msgspec.Struct, tag="sampled", frozen=True):
    """Samples of one block in ns per call; host_ns, timed_ns, verify_ns and spent_ns are sums over the block.

    begun_ns: reading of the process's clock when the block began; spent_ns were spent since.
    cpu_ns: processor time of the process and its descendants during the samples.
    span_ns: wall time of the samples.
    waited_ns: time in span_ns for which the process's first thread waited for a core.
    gpu: state of the device before the first sample and after the last; empty if its clock cannot be read.
    """

    samples_ns: tuple[float, ...]
    host_ns: float
    warmups: int
    timed_ns: int
    verify_ns: int
    spent_ns: int
    begun_ns: int = 0
    cpu_ns: int = 0
    span_ns: int = 0
    waited_ns: int = 0
    gpu: tuple[Gpu, ...] = ()


class Values(msgspec.Struct, frozen=True):
    """An array as float64, which holds every value of every dtype."""

    shape: tuple[int, ...]
    data: bytes


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """The outputs of a problem by name."""

    outputs: dict[str, Values]


class FilesLoaded(msgspec.Struct, tag="loaded", frozen=True):
    """Real paths of the files that the process has loaded or opened, and of its interpreter's package folders.

    read: opened files of which what they held may have been read. overfull: whether it has opened more than are kept.
    """

    files: tuple[str, ...]
    packages: tuple[str, ...]
    opened: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    overfull: bool = False


class Measured(msgspec.Struct, tag="measured", frozen=True):
    """The machine's peak."""

    peak: Peak


Reply = Ready | Checked | Sampled | Answered | Measured | FilesLoaded

encoder = msgspec.msgpack.Encoder()
requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def send(stream: BinaryIO, message: Request | Reply, ticket: int) -> None:
    """Write one frame and flush it.

    stream: pipe to the other process.
    message: a request or a reply.
    ticket: of the request; a reply carries the same one.
    """
    stream.write(frame(message, ticket))
    stream.flush()


def frame(message: Request | Reply, ticket: int) -> bytes:
    """Return the bytes of a message: length, ticket, body.

    ticket: as in `send`.
    """
    body = encoder.encode(message)
    return HEAD.pack(len(body), ticket) + body


def receive(stream: BinaryIO) -> tuple[Request, int] | None:
    """Read one request and its ticket; return None if the other side has closed the pipe."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size, ticket = HEAD.unpack(head)
    body = stream.read(size)
    return (requests.decode(body), ticket) if len(body) == size else None


class FrameError(ValueError):
    """Bytes that are not a frame, or not the expected one."""


def take_reply(received: bytearray, ticket: int) -> Reply | None:
    """Remove the first reply from the received bytes and return it; return None if it is not complete yet.

    Raises FrameError if the bytes are not the reply to the request with this ticket.
    """
    if len(received) < HEAD.size:
        return None
    size, got = HEAD.unpack_from(received)
    if got != ticket or size > MOST_BYTES:
        raise FrameError("got bytes that answer no request")
    end = HEAD.size + size
    if len(received) < end:
        return None
    body = bytes(received[HEAD.size : end])
    del received[:end]
    try:
        return replies.decode(body)
    except msgspec.MsgspecError as error:
        raise FrameError(str(error)) from None
