"""Calls that meet, made in the backend's process: the calls that the judge names, and the thread of calls that stop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.backend.base import Backend
from harness.backend.routing import find_route, prepare, run
from harness.laws.interrupting import interrupt
from harness.laws.meeting import Make, Taken
from harness.laws.overlapping import overlap
from harness.laws.subject import PreparedCall
from harness.problems.arrays import Array, Call, DeviceArrays
from harness.problems.arrays import Outputs as Result
from harness.problems.calling import bind_operator, name_outputs
from harness.problems.problem import Problem
from harness.worker.host.raised import describe_raised
from harness.worker.wire.arena import Answers, ArenaError, Placed
from harness.worker.wire.arguments import Asked
from harness.worker.wire.messages import (
    Interrupt,
    Interrupted,
    Invoke,
    Met,
    Outputs,
    Overlap,
    Overlapped,
    Raised,
    Run,
    Stopped,
)


@dataclass(frozen=True, slots=True)
class HostCall(PreparedCall):
    """A call of the backend with its arrays; the form of its answer is judged elsewhere, as is the answer."""

    def fetch(self, result: Result) -> dict[str, Array]:
        """Return copies of the outputs by name."""
        return {name: np.array(self.backend.to_host(a)) for name, a in name_outputs(self.problem, result).items()}


class Meeting:
    """Makes calls meet, and writes their answers when all of them have ended."""

    def __init__(
        self,
        backend: Backend,
        held: Mapping[int, Any],
        read: Callable[[Placed], Array],
        route: Callable[[Asked], Problem],
    ) -> None:
        """Make calls of a backend meet.

        held: arrays and calls by number.
        read: returns an array of the judge.
        route: returns the problem of a request, which has a route.
        """
        self.backend, self.held, self.read, self.route = backend, held, read, route
        self.pool: ThreadPoolExecutor | None = None  # one thread: libraries make a team for each that calls them

    def interrupt(self, request: Interrupt, answers: Answers) -> Interrupted:
        """Make calls in the middle of another; their answers are written to `answers`."""
        self.pool = self.pool or ThreadPoolExecutor(1)
        always, turns = ([self._bind(one) for one in some] for some in (request.always, request.turns))
        found = interrupt(self.pool, self._bind(request.first), always, turns, request.stops)
        stops = tuple(
            Stopped(one.place, tuple(self._write(answer, answers) for answer in one.answers)) for one in found.stops
        )
        return Interrupted(self._write(found.answer, answers), stops, found.lines)

    def overlap(self, request: Overlap, answers: Answers) -> Overlapped:
        """Make calls at the same time; their answers are written to `answers`."""
        found = overlap([self._bind(one) for one in request.callers])
        written = tuple(tuple(self._write(one, answers) for one in some) for some in found.answers)
        return Overlapped(written, found.ended)

    def disband(self) -> None:
        """End the thread in which calls were stopped."""
        if self.pool is not None:
            self.pool.shutdown(wait=False)
            self.pool = None

    def _bind(self, met: Met) -> Make:
        """Return a function that returns the call of a request; its route is looked for once, before calls meet."""
        if isinstance(met, Invoke):
            held = HostCall(met.problem.make(), self.backend, self.held[met.number])
            return lambda: held
        problem = self.route(met.problem)
        if isinstance(met, Run):
            arrays = {name: self.held[number] for name, number in met.arrays.items()}
            plain = HostCall(problem, self.backend, self._bind_plain(problem, arrays))
            return lambda: plain
        given = met.arrays

        def renew() -> HostCall:
            new = {name: self.backend.to_device(self.read(placed).copy(order="K")) for name, placed in given.items()}
            return HostCall(problem, self.backend, prepare(self.backend, problem, new))

        return renew

    def _bind_plain(self, problem: Problem, arrays: DeviceArrays) -> Call:
        if find_route(self.backend, problem).kind == "native":
            return bind_operator(self.backend, problem, arrays)
        return lambda: run(self.backend, problem, arrays)

    def _write(self, taken: Taken, answers: Answers) -> Outputs | Raised:
        if isinstance(taken, dict):
            try:
                return Outputs({name: answers.put(a) for name, a in taken.items()})
            except ArenaError as error:
                return describe_raised(error)
        return describe_raised(taken)
