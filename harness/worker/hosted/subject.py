"""A backend under test in another process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from harness.laws.subject import BackendUnderTest, PreparedCall, check_form, unturned
from harness.laws.threads import Turning, has_thread_switch, observe_threads
from harness.measure.processor_time import first_thread_ns, process_ns, wait_until_asleep
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays
from harness.problems.problem import Problem
from harness.problems.reference import turn
from harness.worker.hosted.backend import HeldCall, HostedBackend


@dataclass(frozen=True, slots=True)
class HeldPreparedCall(PreparedCall):
    """A call in the backend's process; it is made and its outputs are fetched by one message."""

    call: HeldCall

    def answer(self) -> dict[str, Array]:
        """Call once; return the outputs by name. Raises ValueError for a wrong shape or dtype."""
        outputs = self.call.fetch()
        for name, a in outputs.items():
            check_form(self.problem, name, a)
        return turn(self.problem, outputs)


class HostedUnderTest(BackendUnderTest):
    """A hosted backend as seen by laws; calls take as few messages as possible."""

    def __init__(self, backend: HostedBackend, problem: Problem) -> None:
        """See `BackendUnderTest`."""
        super().__init__(backend, problem)
        self.hosted = backend

    def devices(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return arrays of the backend's own type, in the problem's dtype and memory layout."""
        return dict(self.hosted.to_devices(self.arrange(problem, arrays)))

    def plain(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Return the call of the backend's plain methods on its own arrays, which are not copied."""
        return HeldPreparedCall(problem, self.backend, self.hosted.plain(unturned(problem), devices))

    def prepare_devices(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Prepare the timed call on the backend's own arrays."""
        return HeldPreparedCall(problem, self.backend, self.hosted.prepare(unturned(problem), devices))

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
        for name, a in outputs.items():
            check_form(problem, name, a)
        return turn(problem, outputs)

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
