"""Requests of the judge's process to the backend's, and its replies. Arrays lie in shared memory, named by a Placed."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.backend.routing import Route
from harness.laws.deviation import Deviation
from harness.problems.numerics import Dtype
from harness.worker.protocol import Ready
from harness.worker.wire.arena import Placed
from harness.worker.wire.arguments import Argument, Asked

MOST_TEXT = 2000  # characters of any text of a backend: messages, files and lines, names

# --- requests -----------------------------------------------------------------------------------------------------


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """Say what the backend declares for a problem."""

    problem: Asked


class AskCosts(msgspec.Struct, frozen=True, array_like=True, tag="costs"):
    """Say what the backend declares of the costs of a problem."""

    problem: Asked


class Compute(msgspec.Struct, frozen=True, array_like=True, tag="compute"):
    """Run a problem by its route with plain methods, on these inputs, and return the outputs."""

    problem: Asked
    arrays: dict[str, Placed]


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """Make arrays of the backend's own type, and hold them under these numbers, without a reply."""

    arrays: tuple[Placed, ...]
    into: tuple[int, ...]


class Describe(msgspec.Struct, frozen=True, array_like=True, tag="describe"):
    """Describe held arrays."""

    numbers: tuple[int, ...]


class Bind(msgspec.Struct, frozen=True, array_like=True, tag="bind"):
    """Prepare a call of a problem on held arrays, and hold it under a number, without a reply."""

    problem: Asked
    arrays: dict[str, int]
    into: int


class Invoke(msgspec.Struct, frozen=True, array_like=True, tag="invoke"):
    """Make a held call, and wait for its end.

    outputs: whether to return the outputs; the result is held otherwise.
    into: numbers for the outputs, which are then held without a reply; empty to describe the result.
    """

    number: int
    problem: Asked
    outputs: bool
    into: tuple[int, ...] = ()


class Run(msgspec.Struct, frozen=True, array_like=True, tag="run"):
    """Run a problem by its route with plain methods, on held arrays.

    outputs, into: as in Invoke.
    """

    problem: Asked
    arrays: dict[str, int]
    outputs: bool
    into: tuple[int, ...] = ()


class Fetch(msgspec.Struct, frozen=True, array_like=True, tag="fetch"):
    """Return held arrays, named by their numbers."""

    numbers: tuple[int, ...]


class CallOperator(msgspec.Struct, frozen=True, array_like=True, tag="operator"):
    """Call the backend's own method of an operator, and hold its result."""

    name: str
    arguments: tuple[Argument, ...]


PYTHON = "operator."  # before the name of a function of Python's own module


class Operate(msgspec.Struct, frozen=True, array_like=True, tag="operate"):
    """Apply an operation of Python's or of the array API's to held arrays.

    name: of a function of the array namespace of `like`; after `operator.`, of a function of that module.
    like: number of a held array.
    into: number under which the result is held, without a reply; 0 to describe it.
    """

    name: str
    arguments: tuple[Argument, ...]
    keywords: dict[str, Argument]
    like: int
    into: int = 0


class Drop(msgspec.Struct, frozen=True, array_like=True, tag="drop"):
    """Forget what is held under these numbers, without a reply."""

    numbers: tuple[int, ...]


class Synchronize(msgspec.Struct, frozen=True, array_like=True, tag="synchronize"):
    """Wait for the end of what was called."""


class FillAllocator(msgspec.Struct, frozen=True, array_like=True, tag="fill"):
    """Fill memory that the allocators will give to the next call, NumPy's and the backend's own, with NaN.

    sizes: of the blocks, in elements.
    """

    sizes: tuple[int, ...]


class LimitThreads(msgspec.Struct, frozen=True, array_like=True, tag="threads"):
    """Limit the backend to a number of threads until the next such request, and say the number in effect.

    threads: None only restores the number from before.
    """

    threads: int | None


class Renew(msgspec.Struct, frozen=True, array_like=True, tag="renew"):
    """Prepare a call of a problem on new arrays, copies of these, and make it."""

    problem: Asked
    arrays: dict[str, Placed]


Met = Run | Invoke | Renew  # a call that meets others


class Interrupt(msgspec.Struct, frozen=True, array_like=True, tag="interrupt"):
    """Make a call in a thread of its own, stop it at lines of the backend's Python, and make others there.

    always, turns, stops: as in `harness.laws.meeting.Meetings`.
    """

    first: Met
    always: tuple[Met, ...]
    turns: tuple[Met, ...]
    stops: tuple[int, ...]


class Overlap(msgspec.Struct, frozen=True, array_like=True, tag="overlap"):
    """Make each of these calls again and again in a thread of its own, all at the same time."""

    callers: tuple[Met, ...]


class Disband(msgspec.Struct, frozen=True, array_like=True, tag="disband"):
    """End the thread in which calls were stopped, without a reply."""


class PassOn(msgspec.Struct, frozen=True, array_like=True, tag="pass"):
    """A request of the run that the backend's process answers as a whole, in the encoding of `protocol`."""

    body: bytes


CallRequest = Compute | Put | Bind | Invoke | Run | Fetch | CallOperator | Operate | Synchronize | Describe | Drop
HostRequest = Ask | AskCosts | CallRequest | Interrupt | Overlap | Disband | FillAllocator | LimitThreads | PassOn


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """Requests, done in this order; the first that raises an exception is the last that is done."""

    requests: tuple[HostRequest, ...]


# --- replies ------------------------------------------------------------------------------------------------------


class Declared(msgspec.Struct, frozen=True):
    """Declarations of a backend for all problems.

    own: names of the methods that it has itself, of those with a default, and `set_threads`.
    copies: whether its arrays cannot be written in place, so that they are copied for each call.
    """

    name: str
    axes: tuple[int, ...]
    dtypes: tuple[Dtype, ...]
    grouped: bool
    device: str
    clock: str
    rate: float
    numerics: dict[str, Any]
    takes_complex: bool
    instruction_sets: tuple[str, ...]
    operators: tuple[str, ...]
    own: tuple[str, ...]
    copies: bool = False


class Loaded(msgspec.Struct, frozen=True, array_like=True, tag="loaded"):
    """The report of a backend's start; `declared` is None if it cannot run."""

    ready: Ready
    declared: Declared | None


class Facts(msgspec.Struct, frozen=True, array_like=True, tag="facts"):
    """Declarations of a backend for one problem.

    refusal: why its own method does not compute it; None if it does.
    """

    refusal: str | None
    kind: str
    via: str
    reason: str | None
    numerics: dict[str, Any]

    def route(self) -> Route:
        """Return the route."""
        return msgspec.convert({"kind": self.kind, "via": self.via, "reason": self.reason}, Route)


class Costs(msgspec.Struct, frozen=True, array_like=True, tag="costs"):
    """Declared costs of a problem: bytes in addition to its arrays, and operations."""

    workspace: int
    work: float


class Described(msgspec.Struct, frozen=True, array_like=True, tag="array"):
    """An array that the host holds.

    library: name of the package of its type. dtype: text of the library's own dtype.
    strides: of the library's own unit; empty if it has none.
    """

    number: int
    shape: tuple[int, ...]
    dtype: str
    library: str
    strides: tuple[int, ...]


class Foreign(msgspec.Struct, frozen=True, array_like=True, tag="foreign"):
    """An object that is no array."""

    type_name: str


class Value(msgspec.Struct, frozen=True, array_like=True, tag="value"):
    """A plain value."""

    value: bool | int | float | str | None


class Group(msgspec.Struct, frozen=True, array_like=True, tag="group"):
    """A tuple of results."""

    items: tuple[Described | Foreign | Value, ...]


class Outputs(msgspec.Struct, frozen=True, array_like=True, tag="outputs"):
    """Arrays of an answer by name."""

    arrays: dict[str, Placed]


class DrawSeed(msgspec.Struct, frozen=True, array_like=True, tag="seed"):
    """A question to the judge, before the reply: give a secret seed for contents of inputs."""


class JudgeOutputs(msgspec.Struct, frozen=True, array_like=True, tag="judge"):
    """A question to the judge, before the reply: are these the outputs for these contents of the inputs?

    seed, renewed, word, stirred: see `Contents`.
    """

    seed: int | None
    renewed: tuple[str, ...]
    word: int
    stirred: int | None
    outputs: dict[str, Placed]


class Seed(msgspec.Struct, frozen=True, array_like=True, tag="seed"):
    """The judge's answer to DrawSeed."""

    value: int


class Verdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict"):
    """The judge's answer to JudgeOutputs."""

    deviation: Deviation


class PassedOn(msgspec.Struct, frozen=True, array_like=True, tag="passed"):
    """The reply to a request of the run, in the encoding of `protocol`."""

    body: bytes


class Raised(msgspec.Struct, frozen=True, array_like=True, tag="raised"):
    """An exception.

    types: names of its class and of the classes that this one is derived from.
    where: file and line of the backend that raised it; "" if unknown.
    refused: whether the harness itself found that there is no route.
    unsupported: whether it is of a type by which the backend's library refuses what it does not support.
    at: number of the request that raised it, in its envelope.
    """

    types: tuple[str, ...]
    text: str
    where: str
    refused: bool
    unsupported: bool = False
    at: int = 0


class Stopped(msgspec.Struct, frozen=True, array_like=True, tag="stopped"):
    """A place where a call was stopped, and the answers of the calls that were made there."""

    place: str
    answers: tuple[Outputs | Raised, ...]


class Interrupted(msgspec.Struct, frozen=True, array_like=True, tag="interrupted"):
    """The answer of a call that was stopped, its stops, and the number of different lines that it ran."""

    answer: Outputs | Raised
    stops: tuple[Stopped, ...]
    lines: int


class Overlapped(msgspec.Struct, frozen=True, array_like=True, tag="overlapped"):
    """The answers of each caller; none if the calls did not end."""

    answers: tuple[tuple[Outputs | Raised, ...], ...]
    ended: bool


Result = Described | Foreign | Value | Group
Question = DrawSeed | JudgeOutputs
HostReply = Facts | Costs | Result | Outputs | Interrupted | Overlapped | PassedOn | Raised


class Replies(msgspec.Struct, frozen=True, array_like=True, tag="replies"):
    """A reply to each request of an envelope that has one, in their order, or up to an exception."""

    items: tuple[HostReply, ...]


encoder = msgspec.msgpack.Encoder()
requests: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)
verdicts: msgspec.msgpack.Decoder[Seed | Verdict] = msgspec.msgpack.Decoder(Seed | Verdict)
Reply = Loaded | Replies | Question
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
