"""One problem made ready to be timed in this process: a pool of inputs whose contents rotate, and verified answers.

Calls are bound to arrays of their own, one set for each member of the pool. Between blocks the contents of the arrays
that a call must read anew (all but w and b, which a plan may keep in its own form) move on to the next member, in
place: an answer remembered by address, or computed while planning, is then a wrong answer. The contents beyond the
first come from a seed that nobody knew before.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from numpy.typing import NDArray

from harness.checking.deviation import Deviation
from harness.checking.subject import Subject
from harness.network.subject import NetworkSubject
from harness.plan.task import Task, estimate_workspace
from harness.plugins.route import UnsupportedError
from harness.record.run import Pass
from harness.timing.block import Ready, calibrate, make_ready, time_block
from harness.timing.clocks import choose_clock, clocks_disagree, elapsed_disagrees
from harness.timing.memory import MemoryMeter
from harness.worker.protocol import Prepare, Sample, Sampled
from harness.worker.trial import Member, Trial, choose_trial, equal_outputs

Array = NDArray[Any]
POOL = 2


class LieError(Exception):
    """A time cannot be true."""


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


@dataclass(slots=True, kw_only=True)
class Session:
    """What the process holds between the requests about one problem."""

    problem: Task
    trial: Trial
    contents: list[Content]
    members: list[Member]
    devices: list[dict[str, Any]]  # the arrays that the members' calls are bound to
    ready: Ready
    deviation: Deviation
    facts: Pass
    turn: int = 0  # member i holds contents[(i + turn) % POOL]
    verify_ns: int = field(default=0)

    def content_of(self, member: int) -> Content:
        """What a member's arrays hold now."""
        return self.contents[(member + self.turn) % len(self.contents)]

    def rotate(self) -> None:
        """Move every member's contents on, in place; w and b stay."""
        self.turn += 1
        for member, arrays in enumerate(self.devices):
            fill(arrays, self.content_of(member).device)

    def disagree(self, device_ns: float, host_ns: float) -> str:
        """Why the two clocks of a sample cannot both be right; empty where they can."""
        if self.facts.clock == "host":
            return elapsed_disagrees(device_ns, host_ns, self.ready.clock.launch_ns)
        return clocks_disagree(device_ns, host_ns, self.ready.clock.launch_ns)

    def check(self, member: int, result: Any, when: str) -> None:
        """Compare a result with its verified outputs, bit for bit or else afresh. Raises WrongAnswerError."""
        begun = time.perf_counter_ns()
        content, outputs = self.content_of(member), self.members[member].fetch(result)
        if not equal_outputs(outputs, content.outputs):
            deviation = self.trial.judge(content.host, outputs)
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


def open_session(subject: Subject | NetworkSubject, request: Prepare) -> Session:
    """Draw inputs, plan, call once and verify, for every member of the pool; then see how long a call takes.

    Raises WrongAnswerError where an answer is wrong.
    """
    begun, backend, trial = time.perf_counter_ns(), subject.backend, choose_trial(subject)
    meter, first = MemoryMeter(backend.device), trial.draw(None)
    secret = trial.draw(secrets.randbits(30))
    hosts = [first, *({**first, **{k: a for k, a in secret.items() if not trial.keeps(k)}} for _ in range(POOL - 1))]
    contents, members, devices, notes, times = [], [], [], [], []
    kept = trial.own({name: a for name, a in first.items() if trial.keeps(name)})
    for host in hosts:
        moving = {name: a for name, a in host.items() if not trial.keeps(name)}
        arrays = trial.own(moving) | kept
        with meter:
            prepared, prepare_ns = time_once(partial(trial.bind, arrays))
            result, first_ns = time_once(prepared.run)
        outputs = prepared.fetch(result)
        deviation, verify_ns = time_once(partial(trial.judge, host, outputs))
        if not deviation.passed:
            raise WrongAnswerError(deviation, "")
        contents.append(Content(host, trial.own(moving), outputs))
        members.append(prepared)
        devices.append(arrays)
        notes.append(deviation)
        times.append((prepare_ns, first_ns, verify_ns))
    clock = choose_clock(backend.clock, backend.synchronize, backend.device)
    ready = make_ready([member.call for member in members], clock, request.mode, backend.device)
    ready = calibrate(ready, request.slowdown)
    facts = Pass(
        number=request.number, process=os.getpid(), loops=ready.loops, warmups=ready.warmups, clock=clock.name,
        device=backend.device, prepare_ns=times[0][0], first_call_ns=times[0][1], samples_ns=(),
        verify_ns=sum(one[2] for one in times), spent_ns=time.perf_counter_ns() - begun, mode=request.mode,
        memory_bytes=meter.peak_bytes, workspace_bytes=estimate_workspace(backend, subject.problem),
    )  # fmt: skip
    return Session(
        problem=subject.problem, trial=trial, contents=contents, members=members, devices=devices, ready=ready,
        deviation=notes[0], facts=facts,
    )  # fmt: skip


def sample(session: Session, request: Sample) -> Sampled:
    """Rotate the inputs, warm up, time a block, and verify the last answer of every member.

    Raises WrongAnswerError where one is wrong, LieError where the clocks disagree.
    """
    begun, verified = time.perf_counter_ns(), session.verify_ns
    session.rotate()
    block = time_block(session.ready, request.budget_ns, request.warm_ns, request.least)
    lies = [session.disagree(device_ns, host_ns) for device_ns, host_ns in block.clocks]
    if all(lies):  # one interrupted sample is no lie
        raise LieError(lies[0])
    for member, result in block.results.items():
        session.check(member, result, "in a timed call")
    return Sampled(
        samples_ns=block.samples_ns,
        host_ns=sum(host_ns for _, host_ns in block.clocks), warmups=block.warmups, timed_ns=block.timed_ns,
        verify_ns=session.verify_ns - verified, spent_ns=time.perf_counter_ns() - begun, gpu=block.gpu,
    )  # fmt: skip


def time_once(call: Callable[[], Any]) -> tuple[Any, int]:
    """Result and duration in ns of one call."""
    start = time.perf_counter_ns()
    result = call()
    return result, time.perf_counter_ns() - start
