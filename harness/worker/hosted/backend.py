"""A backend in another process, with the interface of one in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from harness.backend.declarations import SET_THREADS
from harness.backend.routing import Route, RoutedBackend
from harness.plan.planner import geometry
from harness.problems.arrays import Array, DeviceArray, DeviceArrays, Outputs
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem
from harness.worker.hosted.array import HeldArray, describe_all, open_result, write_arguments
from harness.worker.hosted.process import Host, Promise
from harness.worker.wire.arena import name_dtype
from harness.worker.wire.arguments import Asked
from harness.worker.wire.messages import (
    Ask,
    AskCosts,
    Bind,
    CallOperator,
    Compute,
    Costs,
    Declared,
    Described,
    Facts,
    Fetch,
    FillAllocator,
    Invoke,
    LimitThreads,
    Put,
    Run,
    Synchronize,
    Value,
)

if TYPE_CHECKING:
    from harness.worker.wire.arena import Placed

Hosted = TypeVar("Hosted", bound="HostedBackend")
MOST_FACTS = 4096  # remembered, one for each geometry


class HostedBackend(RoutedBackend):
    """A backend whose calls are made in its own process; arrays on its device are `HeldArray`s."""

    host: Host
    declared: Declared

    def __init__(self, host: Host, declared: Declared) -> None:
        """Ask a host that has loaded the backend. Use `make_hosted`, which sets what classes of backends declare."""
        self.host, self.declared = host, declared
        self.facts: dict[tuple[Any, ...], Facts] = {}  # by geometry
        self.seen: dict[str, Described] = {}  # by NumPy's dtype: what the backend made of an array
        self.queued = False  # whether calls were made that nothing has waited for

    # Declarations. What the backend does not decide for each problem follows from what it has declared once.

    def ask(self, problem: Problem) -> Facts:
        """Return what the backend declares for a problem. Raises HostError.

        It is asked once for each geometry, like the plan asks: declarations that change with the data or the seed would
        be compared with the plan's for one problem, and used for another.
        """
        key = geometry(problem)
        found = self.facts.get(key)
        if found is None:
            reply = self.host.expect(self.host.ask(Ask(Asked.of(problem))), Facts)
            if len(self.facts) >= MOST_FACTS:
                self.facts.clear()
            self.facts[key] = found = reply
        return found

    @property
    def decides(self) -> bool:
        """True if the backend itself says for each problem whether it supports it."""
        return "supports" in self.declared.own or "numerics_for" in self.declared.own

    def find_route(self, problem: Problem) -> Route:
        """Return the route to a problem."""
        return self.ask(problem).route()

    def refusal_reason(self, problem: Problem) -> str | None:
        """Return why the backend's own method does not compute a problem, or None."""
        return self.ask(problem).refusal

    def numerics_for(self, problem: Problem) -> Numerics:
        """Return the declared arithmetic for a problem."""
        return make_numerics(self.ask(problem)) if "numerics_for" in self.declared.own else self.numerics

    def workspace(self, problem: Problem) -> int:
        """Return the bytes that a call needs in addition to its arrays."""
        return self._ask_costs(problem).workspace if "workspace" in self.declared.own else 0

    def work(self, problem: Problem) -> float:
        """Return the operations that the backend executes."""
        return self._ask_costs(problem).work if "work" in self.declared.own else super().work(problem)

    def _ask_costs(self, problem: Problem) -> Costs:
        return self.host.expect(self.host.ask(AskCosts(Asked.of(problem))), Costs)

    # Calls.

    def compute(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run a problem by its route from and to the host.

        arrays: inputs by name, in the layout in which the backend gets them.
        Raises HostError, UnsupportedError.
        """
        placed = {name: self.host.place(name, a) for name, a in arrays.items()}
        reply = self.host.ask_on(Compute(Asked.of(problem), placed), placed.values())
        return self.host.take_outputs(reply, problem.operator.outputs)

    def to_devices(self, arrays: Mapping[str, Array]) -> dict[str, HeldArray]:
        """Return arrays of the backend's own type by name."""
        host = self.host
        placed = {name: host.place(name, a) for name, a in arrays.items()}
        numbers = {name: next(host.numbers) for name in arrays}
        made = {name: HeldArray(host, numbers[name], (), one) for name, one in placed.items()}
        later = host.depth and all(name_dtype(a.dtype) in self.seen for a in arrays.values())
        with host.together():
            host.tell(Put(tuple(placed.values()), tuple(numbers.values())))
            if later:
                for array, a in zip(made.values(), arrays.values(), strict=True):
                    array.presume(a.shape, self.seen[name_dtype(a.dtype)])
            else:
                for name, described in zip(arrays, describe_all(host, numbers.values()), strict=True):
                    made[name].described = self.seen[name_dtype(arrays[name].dtype)] = described
        return made

    def to_device(self, array: Array) -> DeviceArray:
        """Return one array of the backend's own type."""
        return self.to_devices({"an array": np.asarray(array)})["an array"]

    def to_host(self, array: DeviceArray) -> Array:
        """Return a copy of one of the backend's arrays."""
        return self.to_hosts({"": array})[""]

    def to_hosts(self, arrays: Mapping[str, DeviceArray]) -> dict[str, Array]:
        """Return copies of the backend's arrays by name."""
        for array in arrays.values():
            if not isinstance(array, HeldArray):
                raise TypeError(f"got {type(array).__name__}, wanted an array of the backend")
        numbers = tuple(array.number for array in arrays.values())
        found = self.host.take_outputs(self.host.ask(Fetch(numbers)), tuple(map(str, numbers)))
        return {name: found[str(number)] for name, number in zip(arrays, numbers, strict=True)}

    def plain(self, problem: Problem, arrays: Mapping[str, HeldArray]) -> HeldCall:
        """Return a call of plain methods on held arrays, by the problem's route."""
        return HeldCall(self, problem, {name: a for name, a in arrays.items() if a is not None})

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> HeldCall:
        """Return the backend's prepared call on held arrays."""
        held = {name: a for name, a in arrays.items() if a is not None}
        call = HeldCall(self, problem, held, next(self.host.numbers))
        assert call.number is not None
        self.host.tell(Bind(call.asked, call.numbers, call.number))
        return call

    def synchronize(self, result: Outputs = None) -> None:
        """Wait until all queued operations have finished; a `HeldCall` has waited itself."""
        if self.queued:
            self.queued = False
            self.host.tell(Synchronize())

    def call_operator(self, name: str, *arguments: Any) -> Any:
        """Call the backend's own method of an operator with positional arguments."""
        placed: list[Placed] = []
        self.queued = True
        reply = self.host.ask_on(CallOperator(name, write_arguments(self.host, arguments, placed)), placed)
        return open_result(self.host, reply, [a for a in arguments if isinstance(a, HeldArray)])

    def fill_allocator(self, sizes: tuple[int, ...]) -> None:
        """Fill memory that the allocators of the backend's process will give to the next call with NaN."""
        self.host.tell(FillAllocator(sizes))

    def limit_threads(self, threads: int | None) -> int:
        """Limit the threads of the backend until the next such call, and return the number that it reports.

        threads: None only restores the number from before.
        """
        reply = self.host.ask(LimitThreads(threads))
        return int(reply.value or 0) if isinstance(reply, Value) else 0


class HeldCall:
    """A call of a problem in the backend's process: the prepared one, or one of plain methods."""

    def __init__(
        self, backend: HostedBackend, problem: Problem, arrays: Mapping[str, HeldArray], number: int | None = None
    ) -> None:
        """Make a call on held arrays.

        number: of the prepared call; None for plain methods.
        """
        self.backend, self.problem, self.arrays, self.number = backend, problem, arrays, number
        self.asked, self.numbers = Asked.of(problem), {name: a.number for name, a in arrays.items()}

    def __call__(self) -> Any:
        """Make the call, and wait for its end; inside of `together`, with the next message."""
        host, kept = self.backend.host, tuple(self.arrays.values())
        if not host.depth:
            return open_result(host, host.ask(self.request()), kept)
        numbers = tuple(next(host.numbers) for _ in self.problem.operator.outputs)
        host.tell(self.request(into=numbers))
        results = tuple(HeldArray(host, number, kept) for number in numbers)
        return results if len(results) > 1 else results[0]

    def fetch(self) -> dict[str, Array]:
        """Make the call; return its outputs by name, on the host."""
        host = self.backend.host
        return host.take_outputs(host.ask(self.request(outputs=True)), self.problem.operator.outputs)

    def promise(self) -> Promise:
        """Queue the call; its outputs are there after the next message."""
        return self.backend.host.promise(self.request(outputs=True))

    def request(self, *, outputs: bool = False, into: tuple[int, ...] = ()) -> Run | Invoke:
        """Return the request that makes the call.

        outputs, into: as in `Invoke`.
        """
        if self.number is None:
            return Run(self.asked, self.numbers, outputs, into)
        return Invoke(self.number, self.asked, outputs, into)

    def __del__(self) -> None:
        """Let the host drop a prepared call."""
        if self.number is not None:
            self.backend.host.drop(self.number)


def make_hosted(host: Host, declared: Declared, base: type[Hosted] = HostedBackend) -> Hosted:  # type: ignore[assignment]
    """Return the backend that a host has loaded; it has a method for each operator that the backend has itself.

    host, declared: its process, and what it declares there.
    base: its class, which says where its arrays lie.
    """
    members: dict[str, Any] = {
        name: getattr(declared, name)
        for name in (
            "name", "axes", "dtypes", "grouped", "device", "clock", "rate", "takes_complex", "instruction_sets",
        )
    }  # fmt: skip
    members["numerics"] = make_numerics(declared)
    for name in declared.operators:
        members[name] = _make_operator(name)
    if SET_THREADS in declared.own:
        members[SET_THREADS] = lambda self, threads: self.limit_threads(threads)
    kind: type[Hosted] = type("HostedBackend", (base,), members)
    return kind(host, declared)


def make_numerics(said: Declared | Facts) -> Numerics:
    """Return the numerics that a backend declares. Raises UsageError if they are impossible."""
    return Numerics(**said.numerics)


def _make_operator(name: str) -> Callable[..., Any]:
    def call(self: HostedBackend, *arguments: Any) -> Any:
        return self.call_operator(name, *arguments)

    return call
