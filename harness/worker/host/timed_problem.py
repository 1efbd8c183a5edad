"""One problem prepared for timing in this process: a pool of inputs with rotating contents, and verified answers.

Each member of the pool is a call bound to its own set of arrays. Between blocks, the contents of the arrays that a call
must read anew (all but w and b, which a plan may keep in its own form) move on to the next member, in place: an answer
cached by address, or computed while planning, is then wrong. Contents beyond the first are drawn from a secret seed.
Within a block, every call that is timed by itself gets contents that were never used before (`renewal`): no part of an
earlier answer can be reused.
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from harness.backend.copying import CopiedCall
from harness.laws.deviation import Deviation, statement
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.measure.block import LONG_NS, Ready, Timed, calibrate, make_ready, time_block
from harness.measure.clocks import choose_clock, clocks_disagree, elapsed_disagrees, wait_for
from harness.measure.memory import MemoryMeter
from harness.measure.pairs import LEAST_SIGNS
from harness.plan.task import Task, estimate_workspace
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.record.passes import Pass
from harness.worker.host.fetches import Fetches, look_at
from harness.worker.host.makings import Making, remake
from harness.worker.host.renewal import Renewal, make_renewal
from harness.worker.judging import POOL, Contents, Judge, OwnJudge
from harness.worker.outcome import LieError, WrongAnswerError
from harness.worker.protocol import Prepare, Sample, Sampled
from harness.worker.timed_subject import Member, TimedNetwork, TimedSubject, choose_timed_subject

TRIES = 3  # of a block whose clocks disagree in every sample, before they are reported
# Of a network, whose timed passes are verified in the first block and in few others: the judge takes some passes' time.
VERIFIED_ONE_IN = 3
BETWEEN_NS = 500  # allowed per call between the readings of two clocks, if the calls of a sample are timed one by one


@dataclass(frozen=True, slots=True)
class Drawn:
    """Input arrays on the host that every call reads anew, drawn from a seed (None: the problem's own)."""

    seed: int | None
    arrays: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Content:
    """Verified contents of the inputs that calls read anew: on the host, and on the device."""

    drawn: Drawn
    device: dict[str, DeviceArray]


@dataclass(frozen=True, slots=True)
class Seen:
    """A call of a block, kept for verification: its outputs, and what its arrays held."""

    outputs: dict[str, Array]
    contents: Contents


@dataclass(slots=True, kw_only=True)
class Session:
    """State of the process between the requests about one problem.

    held: what each member's arrays were filled with last, on the host.
    renewals: of each member's arrays; None if they cannot be renewed.
    copies: what copies the arrays of each member for its call; None if the call reads the arrays themselves.
    settle: waits until the device has written the contents, so that no part of the writing is timed with a call.
    verify_ns: time spent on verification in blocks so far.
    seen: call kept for verification; None if there is none. verifies: True if one of the calls that are looked at is.
    fetches: of the calls of the block that were looked at.
    makings: of the arrays of the block's calls, where these read copies.
    like: outputs of the last call that was looked at, on the host; at first those of a verified call.
    """

    problem: Task
    timed: TimedSubject
    contents: list[Content]
    members: list[Member]
    devices: list[dict[str, DeviceArray]]  # the arrays that the members' calls are bound to
    held: list[Drawn]
    judge: Judge
    renewals: list[Renewal | None]
    copies: list[CopiedCall | None]
    settle: Callable[[], None]
    ready: Ready
    deviation: Deviation
    facts: Pass = field(init=False)
    turn: int = 0  # member i was filled with contents[(i + turn) % POOL] before its block
    verify_ns: int = field(default=0)
    seen: Seen | None = field(default=None)
    verifies: bool = True
    fetches: list[Fetches] = field(default_factory=list)
    makings: list[Making] = field(default_factory=list)
    like: dict[str, Array]

    @property
    def renewed(self) -> bool:
        """True if the contents of all members can be renewed in place."""
        return all(renewal is not None for renewal in self.renewals)

    @property
    def never_repeats(self) -> bool:
        """True if every timed call gets its own contents."""
        return self.renewed and (self.ready.loops == 1 or self.ready.apart)

    @property
    def looks_at_all(self) -> bool:
        """True if calls are so long that every one of them is looked at: a block has few of them."""
        return self.ready.loops == 1 and self.ready.single_ns > LONG_NS

    def contents_of_call(self, member: int) -> Contents:
        """Return what a member's arrays hold now."""
        renewal, seed = self.renewals[member], self.held[member].seed
        if renewal is None:
            return Contents(seed=seed)
        return Contents(seed=seed, renewed=tuple(renewal.words), word=renewal.word)

    def content_of(self, member: int) -> Content:
        """Return the contents that a member's arrays were filled with before the block."""
        return self.contents[(member + self.turn) % len(self.contents)]

    def rotate(self) -> None:
        """Move every member's verified contents on to the next member, in place; w and b stay."""
        self.turn += 1
        self.restore()

    def restore(self) -> None:
        """Fill every member's arrays with its verified contents again."""
        for member in range(len(self.members)):
            content = self.content_of(member)
            self._fill(member, content.drawn, content.device)

    def renew(self, member: int) -> None:
        """Fill a member's arrays with contents that were never used, in place if they can be renewed."""
        renewal = self.renewals[member]
        if renewal is not None and not renewal.spent:
            renewal.renew()
            self.refresh(member)
        else:
            self._draw(member, new=True)
        self.settle()

    def repeat(self, member: int) -> None:
        """Write the contents of a member's arrays once more, with exactly the work by which `renew` writes new ones."""
        renewal = self.renewals[member]
        if renewal is not None:
            renewal.repeat()
            self.refresh(member, new=False)
        else:
            self._draw(member, new=False)
        self.settle()

    def refresh(self, member: int, *, new: bool = True) -> None:
        """Let a member's call read what its arrays hold now, where it reads copies.

        new: False does the same work and leaves the copies that the call has seen.
        """
        copied = self.copies[member]
        if copied is not None:
            self.makings.append(remake(copied, new=new))

    def _draw(self, member: int, *, new: bool) -> None:
        """Draw contents from a secret seed, and fill a member's arrays with them (`new`) or with the old ones."""
        old, drawn = self.held[member], draw(self.timed, self.judge.draw_seed())
        choices = (self.timed.own(old.arrays), self.timed.own(drawn.arrays))
        self._fill(member, drawn if new else old, choices[new], new=new)

    def _fill(self, member: int, drawn: Drawn, device: DeviceArrays, *, new: bool = True) -> None:
        fill(self.devices[member], device)
        self.refresh(member, new=new)
        self.held[member], renewal = drawn, self.renewals[member]
        if renewal is not None:
            renewal.word = 0
            renewal.used.clear()

    def disagree(self, device_ns: float, host_ns: float) -> str | None:
        """Return why the two clocks of a sample cannot both be right; None if they can."""
        if self.facts.clock == "host":
            between = BETWEEN_NS * self.ready.loops if self.ready.apart else 0
            return elapsed_disagrees(device_ns, host_ns, self.ready.clock.launch_ns + between)
        return clocks_disagree(device_ns, host_ns, self.ready.clock.launch_ns)

    def look(self, member: int, result: Outputs, call_ns: float, flush: Callable[[], object] | None = None) -> None:
        """Take the outputs of a timed call, for `check_seen`; compare the time of that with equal arrays.

        member: index of the call in the pool. result: of the call. call_ns: time of the call.
        flush: overwrites caches before each copy; None leaves them.
        """
        begun = time.perf_counter_ns()
        plain_first = bool(secrets.randbelow(2))  # a backend does not know which of the two is copied first
        outputs, fetches = look_at(self.timed, self.members[member], result, call_ns, self.like, plain_first, flush)
        chosen = not self.looks_at_all or secrets.randbelow(len(self.fetches) + 1) == 0  # reservoir sampling
        if chosen and self.verifies:
            self.seen = Seen(outputs, self.contents_of_call(member))
        self.fetches.append(fetches)
        self.like = outputs
        self.verify_ns += time.perf_counter_ns() - begun

    def check_seen(self, when: str) -> None:
        """Verify the call that was kept last against its inputs. Raises WrongAnswerError."""
        if self.seen is not None:
            seen, self.seen = self.seen, None
            self._compare(seen, when)

    def check(self, member: int, result: Outputs, when: str) -> None:
        """Verify a result against the present contents of its inputs. Raises WrongAnswerError.

        member: index of the call in the pool.
        when: context for the error text.
        """
        self._compare(Seen(self.members[member].fetch(result), self.contents_of_call(member)), when)

    def _compare(self, seen: Seen, when: str) -> None:
        begun = time.perf_counter_ns()
        deviation = self.judge.judge(seen.contents, seen.outputs)
        self.verify_ns += time.perf_counter_ns() - begun
        if not deviation.passed:
            raise WrongAnswerError(deviation, when)


def draw(timed: TimedSubject, seed: int | None) -> Drawn:
    """Draw the arrays that calls read anew."""
    return Drawn(seed, {name: a for name, a in timed.draw(seed).items() if not timed.keeps(name)})


def fill(arrays: DeviceArrays, contents: DeviceArrays) -> None:
    """Overwrite the arrays that calls read anew with other contents."""
    for name, fresh in contents.items():
        arrays[name][...] = fresh


def open_session(subject: BackendUnderTest | NetworkUnderTest, request: Prepare, judge: Judge | None = None) -> Session:
    """Draw inputs, plan, call once and verify for every member of the pool, then calibrate the time of a call.

    subject: backend under test on a problem.
    request: of the run.
    judge: None judges in this process.
    Raises WrongAnswerError for a wrong answer.
    """
    begun, backend, timed = time.perf_counter_ns(), subject.backend, choose_timed_subject(subject)
    judge, meter = judge or OwnJudge(timed), MemoryMeter(backend.device)
    seeds = (None, *(judge.draw_seed() for _ in range(POOL - 1)))
    contents, members, devices, notes, times, copies = [], [], [], [], [], []
    kept = timed.own({name: a for name, a in timed.draw(None).items() if timed.keeps(name)})
    for seed in seeds:
        drawn = draw(timed, seed)
        arrays = timed.own(drawn.arrays) | kept
        with meter:
            prepared, prepare_ns = time_once(partial(timed.bind, arrays))
            prepared, copied = timed.take_copies(prepared)
            result, first_ns = time_once(prepared.run)
        outputs = prepared.fetch(result)
        deviation, verify_ns = time_once(partial(judge.judge, Contents(seed=seed), outputs))
        if not deviation.passed:
            raise WrongAnswerError(deviation, "")
        if copied is not None and (written := copied.find_written()):
            raise WrongAnswerError(statement(False, f"inputs changed by the call: {', '.join(written)}"), "")
        contents.append(Content(drawn, timed.own(drawn.arrays)))
        members.append(prepared)
        copies.append(copied)
        devices.append(arrays)
        notes.append(deviation)
        times.append((prepare_ns, first_ns, verify_ns))
    clock = choose_clock(backend.clock, backend.synchronize, backend.device)
    session = Session(
        problem=subject.problem, timed=timed, contents=contents, members=members, devices=devices,
        held=[content.drawn for content in contents], judge=judge,
        renewals=[make_renewal(arrays, subject.problem.dtype, timed.regime) for arrays in devices],
        copies=copies, settle=wait_for(backend.device, backend.synchronize) if backend.device != "cpu" else _nothing,
        ready=make_ready([member.call for member in members], clock, request.mode, backend.device),
        deviation=notes[0], like=outputs,
    )  # fmt: skip
    if session.renewed:  # calls queued on a device would wait for each other if they were timed one by one
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
    """Rotate the inputs, warm up, time a block, and verify the answer of a call chosen at random.

    Raises WrongAnswerError if it is wrong, LieError if the clocks disagree.
    """
    begun, verified = time.perf_counter_ns(), session.verify_ns
    session.makings.clear()
    session.rotate()
    session.fetches.clear()
    whole = isinstance(session.timed, TimedNetwork)
    first = bool(secrets.randbelow(2))
    session.verifies = not whole or session.turn == 1 or secrets.randbelow(VERIFIED_ONE_IN) == 0
    if whole and first:
        check_known(session)
    block = time_truly(session, request)
    session.check_seen("in a timed call")
    session.verifies = not whole  # closer looks, which may follow, are about times
    if whole and not first:
        session.rotate()
        check_known(session)
    return Sampled(
        samples_ns=block.samples_ns,
        host_ns=sum(host_ns for _, host_ns in block.clocks), warmups=block.warmups, timed_ns=block.timed_ns,
        verify_ns=session.verify_ns - verified, spent_ns=time.perf_counter_ns() - begun,
        begun_ns=begun, cpu_ns=block.cpu_ns, span_ns=block.span_ns, waited_ns=block.waited_ns, gpu=block.gpu,
    )  # fmt: skip


def time_truly(session: Session, request: Sample) -> Timed:
    """Time a block, repeated if its clocks disagree in every sample.

    session: the prepared problem, which looks at some of the timed calls.
    request: of the run.
    Raises LieError if they disagree in every sample of TRIES blocks, and in so many that it is no chance.
    """
    samples = 0
    for blocks in itertools.count(1):
        block = time_block(
            session.ready, request.budget_ns, request.warm_ns, request.least, session.look, int(session.looks_at_all)
        )
        lies = [session.disagree(device_ns, host_ns) for device_ns, host_ns in block.clocks]
        found = [lie for lie in lies if lie is not None]
        if not found or len(found) < len(lies):  # a single sample may have been interrupted
            return block
        samples += len(lies)
        if blocks >= TRIES and samples >= LEAST_SIGNS:
            raise LieError(found[0])
    raise AssertionError("blocks have samples")


def check_known(session: Session) -> None:
    """Call on verified contents, untimed, and compare with the verified outputs. Raises WrongAnswerError."""
    member = secrets.randbelow(len(session.members))
    session.check(member, session.members[member].run(), "in a timed call")


def _nothing() -> None:
    """Do nothing: stores of a processor are complete when they return."""


def time_once(call: Call) -> tuple[Outputs, int]:
    """Return the result and the duration in ns of one call."""
    start = time.perf_counter_ns()
    result = call()
    return result, time.perf_counter_ns() - start
