"""Meetings of calls in the backend's process. All answers come to the judge, which alone compares them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.laws.meeting import LEAST_CALLS, MOST_CALLS, OVERLAP_S, Caller, Interruption, Overlapping, Stop, Taken
from harness.laws.subject import unturned
from harness.problems.arrays import Array
from harness.problems.problem import Problem
from harness.worker.hosted.prepared import HeldPreparedCall, take_answer
from harness.worker.hosted.process import Host
from harness.worker.hosted.raised import HostError
from harness.worker.wire.arena import Placed
from harness.worker.wire.arguments import Asked
from harness.worker.wire.messages import Interrupt, Met, Overlap, Renew


@dataclass(frozen=True, slots=True)
class HostedMeetings:
    """Lets calls meet in the backend's process.

    What that process says of a meeting is held against what was asked for, so that it cannot leave answers out.

    host: the process.
    arrange: returns arrays of a problem in its dtype and memory layout.
    """

    host: Host
    arrange: Callable[[Problem, Mapping[str, Array]], dict[str, Array]]

    def interrupt(
        self, first: Caller, always: Sequence[Caller], turns: Sequence[Caller], stops: Sequence[int]
    ) -> Interruption:
        """Make calls in the middle of another; see `Meetings`.

        first, always, turns, stops: as there.
        Raises HostDiedError for a reply that cannot be true.
        """
        placed: list[Placed] = []
        request = Interrupt(
            self._write([first], placed)[0], self._write(always, placed), self._write(turns, placed), tuple(stops)
        )
        reply = self.host.expect(self.host.ask_on(request, placed), Interruption)
        turn = itertools.cycle(turns)
        made = [(*itertools.islice(turn, 1), *always) for _ in reply.stops]
        reached = sum(stop <= reply.lines for stop in stops)
        counts = [len(stop.answers) for stop in reply.stops]
        if not min(1, reached) <= len(counts) <= reached or counts != [len(callers) for callers in made]:
            raise self.host.end_unexpected(reply, "the answers of all calls at each stop")
        found = (
            Stop(stop.place, self._read_all(callers, stop.answers))
            for stop, callers in zip(reply.stops, made, strict=True)
        )
        return replace(reply, answer=self._read_all([first], [reply.answer])[0], stops=tuple(found))

    def overlap(self, callers: Sequence[Caller]) -> Overlapping:
        """Make calls at the same time; see `Meetings`. Raises HostDiedError for a reply that cannot be true."""
        placed: list[Placed] = []
        request, begun = Overlap(self._write(callers, placed)), time.perf_counter()
        reply = self.host.expect(self.host.ask_on(request, placed), Overlapping)
        passed_s = time.perf_counter() - begun
        if not reply.ended:
            return Overlapping((), ended=False)
        if len(reply.answers) != len(callers) or not all(_are_enough(some, passed_s) for some in reply.answers):
            raise self.host.end_unexpected(reply, "the answers of all callers")
        found = (
            self._read_all(itertools.repeat(caller), some) for caller, some in zip(callers, reply.answers, strict=True)
        )
        return replace(reply, answers=tuple(found))

    def _write(self, callers: Iterable[Caller], placed: list[Placed]) -> tuple[Met, ...]:
        """Return the calls as the host reads them; arrays for new calls are placed in shared memory, and listed."""
        return tuple(self._write_one(one, placed) for one in callers)

    def _write_one(self, caller: Caller, placed: list[Placed]) -> Met:
        if (call := caller.call) is not None:
            assert isinstance(call, HeldPreparedCall)
            return call.call.request(outputs=True)
        assert caller.arrays is not None
        arrays = self.arrange(caller.problem, caller.arrays)
        new = {name: self.host.place(name, a) for name, a in arrays.items()}
        placed.extend(new.values())
        return Renew(Asked.of(unturned(caller.problem)), new)

    def _read_all(self, callers: Iterable[Caller], answers: Iterable[Taken]) -> tuple[Taken, ...]:
        """Return answers in the form that laws take; an answer in another form is an exception."""
        return tuple(self._read(caller, answer) for caller, answer in zip(callers, answers, strict=False))

    def _read(self, caller: Caller, answer: Taken) -> Taken:
        if isinstance(answer, BaseException):
            return answer
        try:
            return take_answer(caller.problem, self.host.take_outputs(answer, caller.problem.operator.outputs))
        except (HostError, ValueError) as error:
            return error


def _are_enough(answers: Sequence[Taken], passed_s: float) -> bool:
    """True if a caller has made the calls that were asked for, up to the first exception, in the time they need.

    passed_s: by the clock of this process. No margin is needed: the thread of each caller works for OVERLAP_S.
    """
    if answers and isinstance(answers[-1], BaseException):
        return True
    return len(answers) >= LEAST_CALLS and (passed_s >= OVERLAP_S or len(answers) >= MOST_CALLS)
