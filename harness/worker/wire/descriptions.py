"""Requests of the command to the process that describes one plugin, and its replies: plain data of limited size."""

from __future__ import annotations

from typing import Literal

import msgspec

from harness.worker.wire.arguments import Asked
from harness.worker.wire.messages import Declared, Raised

MOST_BYTES = 2**24  # of a frame


class Describe(msgspec.Struct, frozen=True, array_like=True, tag="describe"):
    """Import a plugin and say what it brings.

    extra: `--plugin` arguments. name: of the plugin, as in a row of the registry.
    """

    extra: tuple[str, ...]
    name: str


class AskBackend(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """Say what a backend declares for each of these problems: one reply for each, in their order.

    every: whether arithmetic and costs are also wanted of what the backend does not support.
    """

    backend: str
    problems: tuple[Asked, ...]
    every: bool


class Offer(msgspec.Struct, frozen=True):
    """A backend of the plugin; `source` is the file of its class, "" if unknown."""

    declared: Declared
    listed: bool
    source: str


class Plugin(msgspec.Struct, frozen=True, array_like=True, tag="plugin"):
    """Contents of a plugin, as names by kind.

    reason: why it is broken; None if it is not.
    hooks: of runs, which it implements.
    """

    reason: str | None
    backends: tuple[Offer, ...] = ()
    suites: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    reporters: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()


class Way(msgspec.Struct, frozen=True, array_like=True, tag="way"):
    """The route of a problem.

    refusal: why the backend's own method does not compute it; None if it does.
    """

    kind: Literal["native", "derived", "unsupported"]
    via: str
    reason: str | None
    refusal: str | None


class Arithmetic(msgspec.Struct, frozen=True, array_like=True, tag="arithmetic"):
    """The fields of a Numerics."""

    fields: dict[str, bool | int | str | dict[str, str] | None]


class Answer(msgspec.Struct, frozen=True, array_like=True, tag="answer"):
    """Declarations of a backend for one problem; None stands for what was not asked."""

    route: Way | Raised
    numerics: Arithmetic | Raised | None = None
    work: float | Raised | None = None
    workspace: float | Raised | None = None


encoder = msgspec.msgpack.Encoder()
requests: msgspec.msgpack.Decoder[Describe | AskBackend] = msgspec.msgpack.Decoder(Describe | AskBackend)
replies: msgspec.msgpack.Decoder[Plugin | Answer] = msgspec.msgpack.Decoder(Plugin | Answer)
