"""Messages between the run and a worker: msgpack frames on pipes of their own.

In front of a frame stand its length and the ticket of its request, a number that nobody can tell beforehand: what a
backend writes to the pipe by itself is not taken for the reply to a question.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Literal

import msgspec

from harness.laws.deviation import Deviation
from harness.measure.device_clock import Gpu
from harness.record.run import Outcome, Pass, Peak

HEAD = struct.Struct("<IQ")  # length, ticket
MOST_BYTES = 2**31 - 1  # of a frame; what announces more is no frame


class Start(msgspec.Struct, tag="start", frozen=True):
    """Load these plugins and probe this backend (no backend: the worker measures the machine).

    observe: whether to say which instruction sets the backend's libraries use.
    threads: for backends that set their own; None where the worker is to leave them as they are.
    """

    plugins: tuple[str, ...]
    extra: tuple[str, ...]
    backend: str
    observe: bool = False
    threads: int | None = None


class Check(msgspec.Struct, tag="check", frozen=True):
    """Apply a law to a problem."""

    law: str
    problem: str


class Prepare(msgspec.Struct, tag="prepare", frozen=True):
    """Make a problem ready to be timed: plan, call, verify; `probe` also asks whether its times can be true.

    number: of the pass; slowdown: share of a call that is added to it as known work.
    """

    problem: str
    number: int
    mode: Literal["hot", "cold"] = "hot"
    slowdown: float = 0.0
    probe: bool = True


class Sample(msgspec.Struct, tag="sample", frozen=True):
    """Time a block of the problem that was made ready last, after untimed calls for `warm_ns`."""

    budget_ns: int
    warm_ns: int
    least: int


class Release(msgspec.Struct, tag="release", frozen=True):
    """Forget the problem that was made ready last."""


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """Give the outputs of a problem, for a vote."""

    problem: str


class MeasurePeak(msgspec.Struct, tag="peak", frozen=True):
    """Measure the machine's own peak on a device; `quick` where it was measured before in this run."""

    device: str = "cpu"
    quick: bool = False


class ListFiles(msgspec.Struct, tag="files", frozen=True):
    """Say what the process has loaded."""


Request = Start | ListFiles | Check | Prepare | Sample | Release | Answer | MeasurePeak


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The backend is loaded; `reason` says why it cannot run here, `process` what its process has loaded."""

    reason: str
    versions: dict[str, str]
    process: dict[str, Any] = {}


class Checked(msgspec.Struct, tag="checked", frozen=True):
    """What became of a cell; `samples` holds what is known of a cell that was made ready, still without samples.

    by_time: whether it is an accusation that rests on times alone, and stands only if it is seen again.
    """

    outcome: Outcome
    reason: str
    deviation: Deviation | None = None
    samples: Pass | None = None
    by_time: bool = False


class Sampled(msgspec.Struct, tag="sampled", frozen=True):
    """Samples of one block in ns per call; host_ns, timed_ns and spent_ns are sums over the block.

    cpu_ns: processor time of the process and its descendants during the samples; span_ns: their wall time; waited_ns:
        how long the process's first thread waited for a core in it.
    gpu: the device before the first sample and after the last; empty where its clock cannot be read.
    """

    samples_ns: tuple[float, ...]
    host_ns: float
    warmups: int
    timed_ns: int
    verify_ns: int
    spent_ns: int
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
    """Real paths of what the process has loaded, and of the folders where its interpreter has its packages."""

    files: tuple[str, ...]
    packages: tuple[str, ...]


class Measured(msgspec.Struct, tag="measured", frozen=True):
    """The machine's peak."""

    peak: Peak


Reply = Ready | Checked | Sampled | Answered | Measured | FilesLoaded

encoder = msgspec.msgpack.Encoder()
requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def send(stream: BinaryIO, message: Request | Reply, ticket: int) -> None:
    """Write one frame and flush it."""
    body = encoder.encode(message)
    stream.write(HEAD.pack(len(body), ticket) + body)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[Request, int] | None:
    """Read one request and its ticket; None where the other side is gone."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size, ticket = HEAD.unpack(head)
    body = stream.read(size)
    return (requests.decode(body), ticket) if len(body) == size else None


class FrameError(ValueError):
    """Bytes that are no frame, or not the one that was waited for."""


def take_reply(received: bytearray, ticket: int) -> Reply | None:
    """Take the first reply from the bytes that have arrived; None where it is not whole yet.

    Raises FrameError where the bytes are not the reply to the request with this ticket.
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
