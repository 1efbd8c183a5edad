"""Answers of the backend's process to the judge's requests: held arrays, held calls, and operations on them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping
from contextlib import ExitStack
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import Copying, adopt
from harness.backend.routing import find_route, prepare, run
from harness.laws.subject import fill_allocator
from harness.laws.threads import limit_threads
from harness.problems.arrays import DeviceArray
from harness.problems.calling import name_outputs
from harness.problems.problem import Problem
from harness.problems.taps import device_options, find_namespace
from harness.worker import protocol
from harness.worker.host.answer import State, answer
from harness.worker.host.declared import state_costs, state_facts
from harness.worker.host.meeting import Meeting
from harness.worker.host.raised import describe_raised
from harness.worker.host.remote_judge import RemoteJudge
from harness.worker.wire.arena import Answers, Arena, Placed
from harness.worker.wire.arguments import Argument, Asked, Cut, Data, Many, Moves, Named, Plain, Ref, Rest
from harness.worker.wire.channel import Channel
from harness.worker.wire.messages import (
    PYTHON,
    Ask,
    AskCosts,
    Bind,
    CallOperator,
    Compute,
    Describe,
    Described,
    Disband,
    Drop,
    Envelope,
    Fetch,
    FillAllocator,
    Foreign,
    Group,
    HostReply,
    HostRequest,
    Interrupt,
    Invoke,
    LimitThreads,
    Operate,
    Outputs,
    Overlap,
    PassedOn,
    PassOn,
    Put,
    Raised,
    Replies,
    Result,
    Run,
    Synchronize,
    Value,
)

CREATES = frozenset({"empty", "full", "ones", "zeros"})  # functions that are told the device of the new array


class RouteMissingError(Exception):
    """There is no route to a problem, as found by the harness and not by the backend."""


class Server:
    """The backend, and what the judge holds here: arrays, calls, and dtypes by their text."""

    def __init__(
        self, state: State, backend: Backend | None, questions: Arena, answers: Arena, channel: Channel
    ) -> None:
        """Serve one backend; without one, only requests of the run are answered."""
        self.state, self.questions, self.answers = state, questions, Answers(answers)
        self.offered = None if backend is None else adopt(backend)
        self.held: dict[int, Any] = {}
        self.numbers = itertools.count(1)  # the judge chooses negative ones
        self.dtypes: dict[str, Any] = {}
        self.judge = RemoteJudge(channel, self.answers)
        self.limits = ExitStack()  # the limit of threads that holds now
        self.meeting: Meeting | None = None

    def reply(self, envelope: Envelope, ticket: int) -> Replies:
        """Return the replies to requests; an exception is a reply too, and the last."""
        self.judge.ticket = ticket
        self.answers.begin()
        items: list[HostReply] = []
        with np.errstate(all="ignore"):  # NaN, Inf and subnormals are test data here
            for at, request in enumerate(envelope.requests):
                if isinstance(request, PassOn):
                    break
                if (item := self._try(request)) is not None:
                    if isinstance(item, Raised):
                        return Replies((*items, msgspec.structs.replace(item, at=at)))
                    items.append(item)
        if envelope.requests and isinstance(request := envelope.requests[-1], PassOn):
            items.append(self._pass_on(request))
        return Replies(tuple(items))

    def _pass_on(self, request: PassOn) -> PassedOn:
        """Answer a request of the run as a whole."""
        decoded = protocol.requests.decode(request.body)
        return PassedOn(protocol.encoder.encode(answer(self.state, decoded, self.judge)))

    def _try(self, request: HostRequest) -> HostReply | None:
        """Return the reply to a request of the judge; None if it has none."""
        try:
            return self._do(request)
        except RouteMissingError as error:
            return Raised((), str(error), "", True)
        except Exception as error:
            return describe_raised(error, self.offered)

    @property
    def backend(self) -> Backend:
        """The backend."""
        assert self.offered is not None, "a backend that cannot run is asked nothing"
        return self.offered

    def _do(self, request: HostRequest) -> HostReply | None:
        match request:
            case Drop():
                for number in request.numbers:
                    self.held.pop(number, None)
            case Compute():
                problem = self._find_routed(request.problem)
                arrays = {name: self._to_device(one) for name, one in request.arrays.items()}
                return self._finish(problem, run(self.backend, problem, arrays))
            case Operate():
                return self._describe(self._operate(request), request.into)
            case Put():
                for number, placed in zip(request.into, request.arrays, strict=True):
                    self.held[number] = self._to_device(placed)
            case Describe():
                return Group(tuple(self._describe_array(self.held[number], number) for number in request.numbers))
            case Bind():
                problem = self._find_routed(request.problem)
                self.held[request.into] = prepare(self.backend, problem, self._take(request.arrays))
            case Invoke():
                return self._keep(request, make_problem(request.problem), self.held[request.number]())
            case Run():
                problem = self._find_routed(request.problem)
                return self._keep(request, problem, run(self.backend, problem, self._take(request.arrays)))
            case Fetch():
                return Outputs({str(number): self._fetch(self.held[number]) for number in request.numbers})
            case CallOperator():
                return self._describe(getattr(self.backend, request.name)(*map(self._read, request.arguments)))
            case Interrupt():
                return self._open_meeting().interrupt(request, self.answers)
            case Overlap():
                return self._open_meeting().overlap(request, self.answers)
            case Disband():
                self._open_meeting().disband()
            case Synchronize():
                self.backend.synchronize()
            case FillAllocator():
                fill_allocator(self.backend, request.sizes)
            case LimitThreads():
                self.limits.close()
                if request.threads is None:
                    return Value(0)
                return Value(int(self.limits.enter_context(limit_threads(self.backend, request.threads))))
            case Ask():
                return state_facts(self.backend, make_problem(request.problem))
            case AskCosts():
                return state_costs(self.backend, make_problem(request.problem))
            case PassOn():
                raise AssertionError("answered alone")
        return None

    def _open_meeting(self) -> Meeting:
        """Return what lets calls meet."""
        self.meeting = self.meeting or Meeting(self.backend, self.held, self.questions.view, self._find_routed)
        return self.meeting

    def _find_routed(self, asked: Asked) -> Problem:
        """Return a problem that has a route. A backend's own UnsupportedError is its error, not a missing route."""
        problem = make_problem(asked)
        if (route := find_route(self.backend, problem)).kind == "unsupported":
            raise RouteMissingError(route.reason)
        return problem

    def _take(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        return {name: self.held[number] for name, number in numbers.items()}

    def _finish(self, problem: Problem, result: Any) -> Outputs:
        """Wait for the end of a call; return its outputs."""
        self.backend.synchronize()
        return Outputs({name: self._fetch(a) for name, a in name_outputs(problem, result).items()})

    def _keep(self, request: Invoke | Run, problem: Problem, result: Any) -> Outputs | Result | None:
        """Wait for the end of a call; return its outputs, or hold them or its result."""
        if request.outputs:
            return self._finish(problem, result)
        self.backend.synchronize()
        if not request.into:
            return self._describe(result)
        self.held.update(zip(request.into, name_outputs(problem, result).values(), strict=True))
        return None

    def _to_device(self, placed: Placed) -> Any:
        return self.backend.to_device(self.questions.view(placed))

    def _fetch(self, a: DeviceArray) -> Placed:
        return self.answers.put(np.asarray(self.backend.to_host(a)))

    def _describe_array(self, a: DeviceArray, number: int) -> Described:
        """Describe an array that is held under a number."""
        dtype = getattr(a, "dtype", None)
        text = str(dtype or "")
        self.dtypes.setdefault(text, dtype)
        shape = tuple(int(n) for n in (a.shape if hasattr(a, "shape") else np.shape(self.backend.to_host(a))))
        return Described(number, shape, text, type(a).__module__.partition(".")[0], _read_strides(a))

    def _describe(self, result: Any, into: int = 0) -> Described | Foreign | Value | Group | None:
        """Describe a result, whose arrays are held; or hold it under a number that the judge has chosen."""
        if into:
            self.held[into] = result
            return None
        if isinstance(result, tuple | list):
            return Group(tuple(self._describe_one(one) for one in result))
        return self._describe_one(result)

    def _describe_one(self, result: Any) -> Described | Foreign | Value:
        if isinstance(result, bool | int | float | str) or result is None:
            return Value(result) if type(result) in (bool, int, float, str) else Foreign(type(result).__name__)
        if hasattr(result, "shape") or isinstance(self.backend, Copying):
            number = next(self.numbers)
            self.held[number] = result
            return self._describe_array(result, number)
        return Foreign(type(result).__name__)

    def _read(self, argument: Argument) -> Any:
        """Return the value of an argument."""
        match argument:
            case Ref():
                return self.held[argument.number]
            case Plain():
                return argument.value
            case Many():
                return tuple(map(self._read, argument.items))
            case Cut():
                return slice(argument.start, argument.stop, argument.step)
            case Rest():
                return ...
            case Moves():
                return argument.make()
            case Named():
                return self.dtypes[argument.text]
            case Data():
                return self._to_device(argument.placed)

    def _operate(self, request: Operate) -> Any:
        arguments = [self._read(one) for one in request.arguments]
        keywords = {name: self._read(one) for name, one in request.keywords.items()}
        if request.name.startswith(PYTHON):
            return getattr(operator, request.name.removeprefix(PYTHON))(*arguments)
        like = self.held[request.like]
        if request.name in CREATES:
            keywords = device_options(like) | keywords
        return getattr(find_namespace(like), request.name)(*arguments, **keywords)


@lru_cache(maxsize=4096)
def make_problem(asked: Asked) -> Problem:
    """Return the problem of a request."""
    return asked.make()


def _read_strides(a: DeviceArray) -> tuple[int, ...]:
    found = getattr(a, "strides", None) or getattr(a, "stride", None)
    try:
        return tuple(int(step) for step in (found() if callable(found) else found or ()))
    except Exception:
        return ()
