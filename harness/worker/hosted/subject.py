"""A backend under test in another process."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from harness.laws.meeting import Meetings
from harness.laws.subject import BackendUnderTest, PreparedCall, unturned
from harness.laws.threads import Turning, has_thread_switch, observe_threads
from harness.measure.processor_time import first_thread_ns, process_ns, wait_until_asleep
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import name_outputs
from harness.problems.problem import Problem
from harness.worker.hosted.backend import HostedBackend
from harness.worker.hosted.meetings import HostedMeetings
from harness.worker.hosted.prepared import HeldPreparedCall, take_answer
from harness.worker.hosted.process import Promise
from harness.worker.wire.messages import Disband

MOST_WAITING = 2**22  # elements of outputs in one message


class HostedUnderTest(BackendUnderTest):
    """A hosted backend as seen by laws; calls take as few messages as possible."""

    def __init__(self, backend: HostedBackend, problem: Problem) -> None:
        """See `BackendUnderTest`."""
        super().__init__(backend, problem)
        self.hosted = backend

    def devices(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return arrays of the backend's own type, in the problem's dtype and memory layout."""
        return dict(self.hosted.to_devices(self.arrange(problem, arrays)))

    def together(self) -> AbstractContextManager[None]:
        """Send what is asked for inside as few messages, at the latest when it ends; exceptions are raised then."""
        return self.hosted.host.together()

    def answer_all(self, calls: Iterable[PreparedCall]) -> list[dict[str, Array]]:
        """Make calls one after the other; return the outputs of each, as `PreparedCall.answer`."""
        found: list[tuple[Problem, Promise]] = []  # a call itself, and its arrays, are dropped when it is made
        waiting = 0
        with self.together():
            for call in calls:
                assert isinstance(call, HeldPreparedCall)
                found.append((call.problem, call.call.promise()))
                waiting += sum(math.prod(call.problem.shapes[name]) for name in call.problem.operator.outputs)
                if waiting > MOST_WAITING:
                    self.hosted.host.flush()
                    waiting = 0
            if found:
                self.hosted.host.flush()
        return [
            take_answer(problem, self.hosted.host.take_outputs(promise.take(), problem.operator.outputs))
            for problem, promise in found
        ]

    def fetch_all(self, results: Iterable[tuple[PreparedCall, Outputs]]) -> list[dict[str, Array]]:
        """Return the outputs of several calls that were made; small ones come with one message."""
        named = [(call.problem, name_outputs(call.problem, result)) for call, result in results]
        if sum(math.prod(problem.shapes[name]) for problem, outputs in named for name in outputs) > MOST_WAITING:
            return [take_answer(problem, self.hosted.to_hosts(outputs)) for problem, outputs in named]
        arrays = {f"{n} {name}": a for n, (_, outputs) in enumerate(named) for name, a in outputs.items()}
        found = self.hosted.to_hosts(arrays)
        return [
            take_answer(problem, {name: found[f"{n} {name}"] for name in outputs})
            for n, (problem, outputs) in enumerate(named)
        ]

    def to_hosts(self, arrays: Mapping[str, DeviceArray]) -> dict[str, Array]:
        """Return copies of the backend's own arrays as NumPy arrays, by name."""
        return self.hosted.to_hosts(arrays)

    def prepare(self, problem: Problem, arrays: Mapping[str, Array]) -> PreparedCall:
        """Prepare the timed call."""
        with self.together():
            return self.prepare_devices(problem, self.devices(problem, arrays))

    def plain(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Return the call of the backend's plain methods on its own arrays, which are not copied."""
        return HeldPreparedCall(problem, self.backend, self.hosted.plain(unturned(problem), devices))

    def prepare_devices(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Prepare the timed call on the backend's own arrays."""
        return HeldPreparedCall(problem, self.backend, self.hosted.prepare(unturned(problem), devices))

    @property
    def copies(self) -> bool:
        """Return True if arrays are copied for each call, because the backend's own cannot be written in place."""
        return self.hosted.declared.copies

    @property
    def plans(self) -> bool:
        """Return True if a prepared call differs from the plain method bound to its arrays."""
        return "prepare" in self.hosted.declared.own

    def native(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Return the call of the backend's own method; the route is looked for in its own process."""
        return self.plain(problem, devices)

    def run(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run a problem with the backend's plain methods; return outputs by name, on the host."""
        outputs = self.hosted.compute(unturned(problem), self.arrange(problem, arrays))
        return take_answer(problem, outputs)

    @contextmanager
    def meet(self) -> Iterator[Meetings]:
        """Let calls meet in the backend's process; see `BackendUnderTest`."""
        try:
            yield HostedMeetings(self.hosted.host, self.arrange)
        finally:
            self.hosted.host.tell(Disband())

    def fill_allocator(self, sizes: tuple[int, ...]) -> None:
        """Fill memory that the allocators will give to the next call with NaN, in the backend's process."""
        self.hosted.fill_allocator(sizes)

    @contextmanager
    def limit_threads(self, threads: int) -> Iterator[int]:
        """Limit the backend to a number of threads in its process, and restore it afterwards."""
        try:
            yield self.hosted.limit_threads(threads)
        finally:
            self.hosted.limit_threads(None)

    def watch_threads(self, call: Call, counts: Sequence[int]) -> Turning:
        """Change the number of threads of a call; the system says which threads of the backend's process work."""
        return observe_threads(HostMeter(self), call, counts)


@dataclass(frozen=True, slots=True)
class HostMeter:
    """The threads of the backend's process, whose processor time the system reports to this one."""

    subject: HostedUnderTest

    @property
    def switch(self) -> bool:
        """True if the backend sets its number of threads itself."""
        return has_thread_switch(self.subject.backend)

    def limit(self, threads: int) -> AbstractContextManager[int]:
        """Limit the backend in its process."""
        return self.subject.limit_threads(threads)

    def read(self) -> tuple[int, int]:
        """Return ns so far of all threads of the process, and of the first, which calls, when it waits for requests."""
        pid = self.subject.hosted.host.process.pid
        wait_until_asleep(pid)
        return process_ns(pid), first_thread_ns(pid)
