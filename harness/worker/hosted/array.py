"""Arrays that a backend holds in its own process, with the operations that laws apply to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.problems.window import Window
from harness.worker.wire.arguments import Argument, Cut, Data, Many, Moves, Named, Plain, Ref, Rest
from harness.worker.wire.messages import PYTHON, Describe, Described, Foreign, Group, Operate, Value

if TYPE_CHECKING:
    from harness.worker.hosted.process import Host
    from harness.worker.wire.arena import Placed


LATER = frozenset(  # operations whose result is one array, or none; they can be put off
    {"full", "empty", "ones", "zeros", "permute_dims", "broadcast_to", "reshape"}
    | {PYTHON + name for name in ("getitem", "setitem", "add", "sub", "mul", "truediv", "neg")}
)


class Dtype(str):
    """A dtype of the backend's library, by its text."""


class HeldArray:
    """An array in the backend's process. Its operations are made there; the result is another such array.

    shape: n c *s. dtype: of the library. library: name of its package. strides: of the library's own unit.
    """

    def __init__(
        self, host: Host, number: int, kept: Iterable[Any] = (), placed: Placed | None = None,
        described: Described | None = None,
    ) -> None:  # fmt: skip
        """Take the place of an array that the host holds, or will hold when it has done what is queued.

        kept: arrays whose memory it may share, and which must live as long.
        placed: its place in shared memory, if it was made of an array of the judge.
        described: what the host has said of it; None asks when it is needed.
        """
        self.host, self.number, self.kept, self.placed = host, number, tuple(kept), placed
        self.described = described
        self.presumed: Described | None = None

    def __del__(self) -> None:
        """Let the host drop the array."""
        self.host.drop(self.number)
        if self.placed is not None:
            self.host.free_later(self.placed)

    def describe(self) -> Described:
        """Return what the host says of the array. Raises HostError."""
        if self.described is None:
            self.described = describe_all(self.host, [self.number])[0]
        return self.described

    def presume(self, shape: tuple[int, ...], like: Described) -> None:
        """Give the array a shape, and the dtype and library of another, until the host is asked for its strides."""
        self.presumed = Described(self.number, shape, like.dtype, like.library, ())

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return (self.presumed or self.describe()).shape

    @property
    def dtype(self) -> Dtype:
        """Dtype of the library."""
        return Dtype((self.presumed or self.describe()).dtype)

    @property
    def library(self) -> str:
        """Name of the package of its type."""
        return (self.presumed or self.describe()).library

    @property
    def strides(self) -> tuple[int, ...]:
        """Steps in memory, of the library's own unit; empty if it has none."""
        return self.describe().strides

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __array_namespace__(self, api_version: str | None = None) -> Namespace:
        """Return the functions of the array API for this array."""
        return Namespace(self)

    def __len__(self) -> int:
        """Size of the first axis."""
        return self.shape[0]

    def __getitem__(self, at: Any) -> Any:
        """Return a part."""
        return operate(self, f"{PYTHON}getitem", (self, at))

    def __setitem__(self, at: Any, value: Any) -> None:
        """Overwrite a part."""
        operate(self, f"{PYTHON}setitem", (self, at, value))

    def reshape(self, *shape: Any) -> Any:
        """Return the array in another shape."""
        return operate(self, "reshape", (self, shape[0] if len(shape) == 1 else shape))


def _forward(name: str, *, turned: bool = False) -> Callable[..., Any]:
    def apply(self: HeldArray, *others: Any) -> Any:
        return operate(self, PYTHON + name, (*others, self) if turned else (self, *others))

    return apply


for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(HeldArray, f"__{_name}__", _forward(_name))
    setattr(HeldArray, f"__r{_name}__", _forward(_name, turned=True))
for _name in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "and_", "or_", "xor", "invert"):
    setattr(HeldArray, f"__{_name.rstrip('_')}__", _forward(_name))
HeldArray.__hash__ = object.__hash__  # type: ignore[method-assign]


class Namespace:
    """The functions of the array API, applied in the backend's process."""

    __name__ = "held arrays"  # array_api_compat asks for it

    def __init__(self, like: HeldArray) -> None:
        """Take the namespace of an array; new arrays lie on its device."""
        self._like = like

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function."""
        if name.startswith("_"):
            raise AttributeError(name)

        def apply(*arguments: Any, **keywords: Any) -> Any:
            if name == "isdtype" and not keywords and all(isinstance(one, str) for one in arguments):
                return self._tell_dtypes_apart(arguments)
            return operate(self._like, name, arguments, keywords)

        return apply

    def _tell_dtypes_apart(self, arguments: tuple[Any, ...]) -> Any:
        """Return whether a dtype is of a kind; each library is asked once."""
        key = (self._like.library, *map(str, arguments))
        known = self._like.host.kinds
        if key not in known:
            known[key] = operate(self._like, "isdtype", arguments)
        return known[key]


class Unknown:
    """An object of the backend that is no array."""


def operate(like: HeldArray, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any] | None = None) -> Any:
    """Apply an operation in the backend's process.

    like: an array of the host that does it.
    name: as in `Operate`.
    arguments, keywords: of the operation; arrays among them are held arrays or NumPy arrays.
    Raises HostError for an exception there.
    """
    host, named = like.host, keywords or {}
    kept = list(_flatten((*arguments, *named.values())))
    placed: list[Placed] = []
    given = write_arguments(host, arguments, placed)
    options = {key: _write(host, one, placed) for key, one in named.items()}
    if not (host.depth and name in LATER):
        return open_result(host, host.ask_on(Operate(name, given, options, like.number), placed), kept)
    number = next(host.numbers)
    host.tell(Operate(name, given, options, like.number, number))
    host.ended.extend(placed)
    result = HeldArray(host, number, kept)
    return None if name == f"{PYTHON}setitem" else result


def describe_all(host: Host, numbers: Iterable[int]) -> tuple[Described, ...]:
    """Return what the host says of arrays that it holds. Raises HostError."""
    reply = host.ask(Describe(tuple(numbers)))
    if isinstance(reply, Group):
        found = tuple(one for one in reply.items if isinstance(one, Described))
        if [one.number for one in found] == list(numbers):
            return found
    raise host.end_unexpected(reply, "descriptions of arrays")


def open_result(host: Host, reply: Any, kept: Iterable[Any] = ()) -> Any:
    """Return what a reply describes: arrays, values, objects of an unknown type, and tuples of them.

    host: the process that holds them.
    reply: to a request.
    kept: arrays whose memory they may share.
    """
    match reply:
        case Described():
            return HeldArray(host, reply.number, kept, described=reply)
        case Group():
            return tuple(open_result(host, one, kept) for one in reply.items)
        case Value():
            return reply.value
        case Foreign():
            return None if reply.type_name == "NoneType" else type(reply.type_name, (Unknown,), {})()
    raise host.end_unexpected(reply, "a result")


def write_arguments(host: Host, arguments: Iterable[Any], placed: list[Placed]) -> tuple[Argument, ...]:
    """Return arguments as the host reads them; arrays of the judge are placed in shared memory, and listed."""
    return tuple(_write(host, one, placed) for one in arguments)


def _write(host: Host, value: Any, placed: list[Placed]) -> Argument:
    match value:
        case HeldArray():
            return Ref(value.number)
        case Dtype():
            return Named(str(value))
        case Window():
            return Moves.of(value)
        case tuple() | list():
            return Many(write_arguments(host, value, placed))
        case slice():
            return Cut(value.start, value.stop, value.step)
        case np.ndarray():
            placed.append(host.place("an argument", value))
            return Data(placed[-1])
        case np.generic():
            return Plain(value.item())
        case _:
            return Rest() if value is Ellipsis else Plain(value)


def _flatten(values: Iterable[Any]) -> Iterable[HeldArray]:
    for value in values:
        if isinstance(value, HeldArray):
            yield value
        elif isinstance(value, tuple | list):
            yield from _flatten(value)
