"""Messages between the run and a worker: msgpack frames with a length in front, on pipes of their own."""

from __future__ import annotations

import struct
from typing import BinaryIO, TypeVar

import msgspec

from harness.checking.deviation import Deviation
from harness.record.run import Outcome, Pass, Peak

LENGTH = struct.Struct("<I")
Message = TypeVar("Message")


class Start(msgspec.Struct, tag="start", frozen=True):
    """Load these plugins and probe this backend (no backend: the worker measures the machine)."""

    plugins: tuple[str, ...]
    extra: tuple[str, ...]
    backend: str


class Check(msgspec.Struct, tag="check", frozen=True):
    """Apply a law to a problem."""

    law: str
    problem: str


class Time(msgspec.Struct, tag="time", frozen=True):
    """Verify a problem's call, then time it."""

    problem: str
    number: int
    budget_ns: int
    least_samples: int


class Answer(msgspec.Struct, tag="answer", frozen=True):
    """Give the outputs of a problem, for a vote."""

    problem: str


class MeasurePeak(msgspec.Struct, tag="peak", frozen=True):
    """Measure the machine's own peak."""


Request = Start | Check | Time | Answer | MeasurePeak


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """The backend is loaded; `reason` says why it cannot run here."""

    reason: str
    versions: dict[str, str]


class Checked(msgspec.Struct, tag="checked", frozen=True):
    """What became of a cell; `samples` only where it was timed."""

    outcome: Outcome
    reason: str
    deviation: Deviation | None = None
    samples: Pass | None = None


class Block(msgspec.Struct, frozen=True):
    """An array as float64, which holds every value of every dtype."""

    shape: tuple[int, ...]
    data: bytes


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """The outputs of a problem by name."""

    outputs: dict[str, Block]


class Measured(msgspec.Struct, tag="measured", frozen=True):
    """The machine's peak."""

    peak: Peak


Reply = Ready | Checked | Answered | Measured

_encoder = msgspec.msgpack.Encoder()
requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def send(stream: BinaryIO, message: Request | Reply) -> None:
    """Write one frame and flush it."""
    body = _encoder.encode(message)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def receive(stream: BinaryIO, decoder: msgspec.msgpack.Decoder[Message]) -> Message | None:
    """Read one frame; None where the other side is gone."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    size = LENGTH.unpack(head)[0]
    body = stream.read(size)
    return decoder.decode(body) if len(body) == size else None
