"""One problem made ready to be timed in this process: a pool of inputs whose contents move on, and verified answers.

Calls are bound to arrays of their own, one set for each member of the pool. Between blocks the contents of the arrays
that a call must read anew (all but w and b, which a plan may keep in its own form) move on to the next member, in
place: an answer remembered by address, or computed while planning, is then a wrong answer. The contents beyond the
first come from a seed that nobody knew before. Within a block every call that is timed by itself gets contents that
were never there (`harness.worker.renewal`): nothing can be taken from an earlier answer, not even a part.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from numpy.typing import NDArray

from harness.backend.routing import UnsupportedError
from harness.laws.deviation import Deviation
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.measure.block import Look, Ready, Timed, calibrate, make_ready, time_block
from harness.measure.clocks import choose_clock, clocks_disagree, elapsed_disagrees, wait_for
from harness.measure.memory import MemoryMeter
from harness.plan.task import Task, estimate_workspace
from harness.record.run import Pass
from harness.worker.protocol import Prepare, Sample, Sampled
from harness.worker.renewal import Renewal, make_renewal
from harness.worker.timed_subject import Member, TimedNetwork, TimedSubject, choose_timed_subject, equal_outputs

Array = NDArray[Any]
POOL = 2
TRIES = 3  # of a block in which every sample was interrupted, before its clock is called a liar
BETWEEN_NS = 500  # between the readings of two clocks around one call of several


class LieError(Exception):
    """A time cannot be true; `by_time` where nothing but other times says so, which must be seen again to stand."""

    def __init__(self, reason: str, *, by_time: bool = False) -> None:
        super().__init__(reason)
        self.by_time = by_time


class CannotTellError(Exception):
    """Times are too uneven to say whether they are true."""


class WrongAnswerError(Exception):
    """An answer of a call that is timed is not what its inputs ask for."""

    def __init__(self, deviation: Deviation, when: str) -> None:
        super().__init__(f"{when}: {deviation.describe()}" if when else deviation.describe())
        self.deviation = deviation


@dataclass(frozen=True, slots=True)
class Content:
    """One set of inputs: on the host, what calls read anew on the device, and the verified outputs."""

    host: dict[str, Array]
    device: dict[str, Any]
    outputs: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Seen:
    """A call of a block that was looked at: its member, its outputs, and what its arrays held."""

    member: int
    outputs: dict[str, Array]
    host: dict[str, Array]
    renewal: Renewal | None
    word: int


@dataclass(slots=True, kw_only=True)
class Session:
    """What the process holds between the requests about one problem.

    held: on the host, what each member's arrays were filled with last. renewals: how they are renewed, if they are.
    settle: waits until a device has written the contents, so that no time of a call holds a part of it.
    """

    problem: Task
    timed: TimedSubject
    contents: list[Content]
    members: list[Member]
    devices: list[dict[str, Any]]  # the arrays that the members' calls are bound to
    held: list[dict[str, Array]]
    renewals: list[Renewal | None]
    settle: Callable[[], None]
    ready: Ready
    deviation: Deviation
    facts: Pass = field(init=False)
    turn: int = 0  # member i was filled with contents[(i + turn) % POOL] before its block
    verify_ns: int = field(default=0)
    seen: Seen | None = field(default=None)

    @property
    def renewed(self) -> bool:
        """Whether contents can be renewed in place."""
        return all(renewal is not None for renewal in self.renewals)

    @property
    def never_repeats(self) -> bool:
        """Whether every timed call has contents of its own."""
        return self.renewed and (self.ready.loops == 1 or self.ready.apart)

    def content_of(self, member: int) -> Content:
        """What a member's arrays were filled with before the block."""
        return self.contents[(member + self.turn) % len(self.contents)]

    def rotate(self) -> None:
        """Move every member's verified contents on, in place; w and b stay."""
        self.turn += 1
        self.restore()

    def restore(self) -> None:
        """Fill every member's arrays with its verified contents again."""
        for member in range(len(self.members)):
            content = self.content_of(member)
            self._fill(member, content.host, content.device)

    def renew(self, member: int) -> None:
        """Give a member's arrays contents that were never there, in place where they can be renewed."""
        renewal = self.renewals[member]
        if renewal is not None and not renewal.spent:
            renewal.renew()
        else:
            self._draw(member, new=True)
        self.settle()

    def repeat(self, member: int) -> None:
        """Write the contents of a member's arrays once more, by the very work with which `renew` writes others."""
        renewal = self.renewals[member]
        if renewal is not None:
            renewal.repeat()
        else:
            self._draw(member, new=False)
        self.settle()

    def _draw(self, member: int, *, new: bool) -> None:
        """Draw contents from a seed that nobody knew before, and fill a member's arrays with them or with the old."""
        timed, old = self.timed, self.held[member]
        drawn = {name: a for name, a in timed.draw(secrets.randbits(30)).items() if not timed.keeps(name)}
        choices = (timed.own({name: old[name] for name in drawn}), timed.own(drawn))
        self._fill(member, old | drawn if new else old, choices[new])

    def _fill(self, member: int, host: dict[str, Array], device: Mapping[str, Any]) -> None:
        fill(self.devices[member], device)
        self.held[member], renewal = host, self.renewals[member]
        if renewal is not None:
            renewal.word = 0
            renewal.used.clear()

    def disagree(self, device_ns: float, host_ns: float) -> str:
        """Why the two clocks of a sample cannot both be right; empty where they can."""
        if self.facts.clock == "host":
            between = BETWEEN_NS * self.ready.loops if self.ready.apart else 0
            return elapsed_disagrees(device_ns, host_ns, self.ready.clock.launch_ns + between)
        return clocks_disagree(device_ns, host_ns, self.ready.clock.launch_ns)

    def look(self, member: int, result: Any) -> None:
        """Keep the outputs of a call and what its arrays hold, for `check_seen`."""
        begun = time.perf_counter_ns()
        renewal = self.renewals[member]
        outputs = self.members[member].fetch(result)
        self.seen = Seen(member, outputs, self.held[member], renewal, renewal.word if renewal else 0)
        self.verify_ns += time.perf_counter_ns() - begun

    def check_seen(self, when: str) -> None:
        """Compare what was looked at last with what its inputs ask for. Raises WrongAnswerError."""
        if self.seen is not None:
            seen, self.seen = self.seen, None
            self._compare(seen, when)

    def check(self, member: int, result: Any, when: str) -> None:
        """Compare a result with what its inputs ask for, as they are now. Raises WrongAnswerError."""
        self.look(member, result)
        self.check_seen(when)

    def _compare(self, seen: Seen, when: str) -> None:
        """Bit for bit with verified outputs of the same contents, or else afresh."""
        begun = time.perf_counter_ns()
        content = next((c for c in self.contents if c.host is seen.host and not seen.word), None)
        if content is None or not equal_outputs(seen.outputs, content.outputs):
            host = combine_all(seen.host, seen.renewal, seen.word)
            deviation = self.timed.judge(host, seen.outputs, None if content else secrets.randbits(30))
            if not deviation.passed:
                raise WrongAnswerError(deviation, when)
        self.verify_ns += time.perf_counter_ns() - begun


def fill(arrays: Mapping[str, Any], contents: Mapping[str, Any]) -> None:
    """Overwrite the arrays that calls read anew with other contents. Raises UnsupportedError where they are fixed."""
    for name, fresh in contents.items():
        try:
            arrays[name][...] = fresh
        except TypeError:
            raise UnsupportedError(
                f"{type(fresh).__name__} cannot be filled in place, and a time whose inputs stay the same is not taken"
            ) from None


def open_session(subject: BackendUnderTest | NetworkUnderTest, request: Prepare) -> Session:
    """Draw inputs, plan, call once and verify, for every member of the pool; then see how long a call takes.

    Raises WrongAnswerError where an answer is wrong.
    """
    begun, backend, timed = time.perf_counter_ns(), subject.backend, choose_timed_subject(subject)
    meter, first = MemoryMeter(backend.device), timed.draw(None)
    secret = timed.draw(secrets.randbits(30))
    hosts = [first, *({**first, **{k: a for k, a in secret.items() if not timed.keeps(k)}} for _ in range(POOL - 1))]
    contents, members, devices, notes, times = [], [], [], [], []
    kept = timed.own({name: a for name, a in first.items() if timed.keeps(name)})
    for host in hosts:
        moving = {name: a for name, a in host.items() if not timed.keeps(name)}
        arrays = timed.own(moving) | kept
        with meter:
            prepared, prepare_ns = time_once(partial(timed.bind, arrays))
            result, first_ns = time_once(prepared.run)
        outputs = prepared.fetch(result)
        deviation, verify_ns = time_once(partial(timed.judge, host, outputs))
        if not deviation.passed:
            raise WrongAnswerError(deviation, "")
        contents.append(Content(host, timed.own(moving), outputs))
        members.append(prepared)
        devices.append(arrays)
        notes.append(deviation)
        times.append((prepare_ns, first_ns, verify_ns))
    clock = choose_clock(backend.clock, backend.synchronize, backend.device)
    session = Session(
        problem=subject.problem, timed=timed, contents=contents, members=members, devices=devices, held=list(hosts),
        renewals=[make_renewal(arrays, subject.problem.dtype, timed.regime) for arrays in devices],
        settle=wait_for(backend.device, backend.synchronize) if backend.device != "cpu" else _nothing,
        ready=make_ready([member.call for member in members], clock, request.mode, backend.device),
        deviation=notes[0],
    )  # fmt: skip
    if session.renewed:  # calls that are queued on a device would wait for each other if they were timed one by one
        session.ready = replace(session.ready, renew=session.renew, apart=clock.name == "host")
    session.ready = ready = calibrate(session.ready, request.slowdown)
    if session.renewed:
        session.restore()
    session.facts = Pass(
        number=request.number, process=os.getpid(), loops=ready.loops, warmups=ready.warmups, clock=clock.name,
        device=backend.device, prepare_ns=times[0][0], first_call_ns=times[0][1], samples_ns=(),
        verify_ns=sum(one[2] for one in times), spent_ns=time.perf_counter_ns() - begun, mode=request.mode,
        memory_bytes=meter.peak_bytes, workspace_bytes=estimate_workspace(backend, subject.problem),
    )  # fmt: skip
    return session


def sample(session: Session, request: Sample) -> Sampled:
    """Move the inputs on, warm up, time a block, and verify the answer of a call that nobody can tell beforehand.

    Raises WrongAnswerError where it is wrong, LieError where the clocks disagree.
    """
    begun, verified = time.perf_counter_ns(), session.verify_ns
    session.rotate()
    whole = isinstance(session.timed, TimedNetwork)  # verifying a whole network afresh takes too long
    first = bool(secrets.randbelow(2))
    if whole and first:
        check_known(session)
    block = time_truly(session, request, None if whole else session.look)
    session.check_seen("in a timed call")
    if whole and not first:
        session.rotate()
        check_known(session)
    return Sampled(
        samples_ns=block.samples_ns,
        host_ns=sum(host_ns for _, host_ns in block.clocks), warmups=block.warmups, timed_ns=block.timed_ns,
        verify_ns=session.verify_ns - verified, spent_ns=time.perf_counter_ns() - begun,
        cpu_ns=block.cpu_ns, span_ns=block.span_ns, waited_ns=block.waited_ns, gpu=block.gpu,
    )  # fmt: skip


def time_truly(session: Session, request: Sample, look: Look | None) -> Timed:
    """Time a block, again where its clocks disagree. Raises LieError where they do so in every sample of all tries."""
    for _ in range(TRIES):
        block = time_block(session.ready, request.budget_ns, request.warm_ns, request.least, look)
        lies = [session.disagree(device_ns, host_ns) for device_ns, host_ns in block.clocks]
        if not all(lies):  # one interrupted sample is no lie
            return block
    raise LieError(lies[0], by_time=True)


def check_known(session: Session) -> None:
    """Call on verified contents, untimed, and compare bit for bit. Raises WrongAnswerError."""
    member = secrets.randbelow(len(session.members))
    session.check(member, session.members[member].run(), "in a timed call")


def _nothing() -> None:
    """Do nothing: a processor's stores are there when they are done."""


def combine_all(host: Mapping[str, Array], renewal: Renewal | None, word: int) -> dict[str, Array]:
    """What arrays held that were filled with these and renewed by this word."""
    return dict(host) if renewal is None else renewal.apply(host, word)


def time_once(call: Callable[[], Any]) -> tuple[Any, int]:
    """Result and duration in ns of one call."""
    start = time.perf_counter_ns()
    result = call()
    return result, time.perf_counter_ns() - start
