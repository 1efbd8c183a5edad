"""Schedule of the check: parts in order, each begun only if it fits into the remaining time, none beyond the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from gpucheck.requirements import ROOT

State = Literal["good", "wrong", "cut", "skipped", "unavailable", "broken"]
GRACE_S = 12.0  # for a part to write its results after it is asked to end
SHORT_GRACE_S = 4.0  # the same if the whole check is asked to end, as a kill often follows soon
POLL_S = 0.1
PR_SET_PDEATHSIG = 1  # prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: a command and its limits.

    needs: backends of which at least one must be available; empty if the part runs anywhere.
    estimate_s: with less time left it is not begun.
    limit_s: after this time it is asked to end.
    run: folder name of the harness run that it writes, to be read afterwards; "" if it writes none.
    wrong: exit codes that mean that the tested code is wrong, rather than the part.
    """

    name: str
    title: str
    command: tuple[str, ...]
    estimate_s: float
    limit_s: float
    needs: tuple[str, ...] = ()
    run: str = ""
    wrong: tuple[int, ...] = (1, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Result of a part.

    facts: what it found, in types of JSON.
    """

    name: str
    title: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Clock:
    """Remaining time until a moment.

    end: the moment, in s as returned by `now`.
    now: time of the system, or of a test.
    stopped: name of the signal that asked the check to end; "" before.
    """

    end: float
    now: Callable[[], float] = time.monotonic
    stopped: str = ""

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return self.end - self.now()

    def listen(self) -> None:
        """Let SIGINT, SIGTERM and SIGHUP end the check in order; the second signal ends it at once.

        An ignored signal, such as SIGHUP under nohup, stays ignored. A shell lets background commands ignore SIGINT.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> None:
        self.stopped = signal.Signals(number).name
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, signal.SIG_DFL)


def decide(part: Part, left_s: float, unavailable: Mapping[str, str], stopped: str = "") -> Ended | None:
    """Return the result of a part that is not run; None if it is to run.

    left_s: remaining seconds.
    unavailable: by name of each backend that cannot run here, the reason.
    stopped: name of the signal that asked the check to end; "" before.
    """
    if part.needs and all(name in unavailable for name in part.needs):
        same = {
            reason: [n for n in part.needs if unavailable[n] == reason] for reason in map(unavailable.get, part.needs)
        }
        text = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in same.items())
        return Ended(name=part.name, title=part.title, state="unavailable", reason=text)
    if stopped:
        return Ended(name=part.name, title=part.title, state="skipped", reason=f"the check was ended by {stopped}")
    if left_s < part.estimate_s:
        reason = f"{max(0.0, left_s):.0f} s were left, and it takes about {part.estimate_s:.0f} s"
        return Ended(name=part.name, title=part.title, state="skipped", reason=reason)
    return None


def run_part(
    part: Part,
    left_s: float,
    log: Path,
    environment: Mapping[str, str],
    grace_s: float = GRACE_S,
    clock: Clock | None = None,
) -> Ended:
    """Run a part until it ends, or until its limit or the remaining time; then interrupt it, and kill it.

    left_s: remaining seconds, including the grace time.
    log: file for its output.
    environment: its variables.
    grace_s: seconds between the interrupt and the kill.
    clock: of the check; a signal that ends the check ends the part too.
    """  # fmt: skip
    limit_s, begun = max(1.0, min(part.limit_s, left_s - grace_s)), time.monotonic()
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                part.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env=dict(environment), cwd=ROOT, start_new_session=True, preexec_fn=partial(_begin, os.getpid()),
            )  # fmt: skip
        except OSError as error:
            return Ended(name=part.name, title=part.title, state="broken", reason=f"{part.command[0]}: {error}")
        cut = ""
        if _wait(process, limit_s, clock) is None:
            cut = _describe_cut(limit_s, clock)
            process.send_signal(signal.SIGINT)
            _wait(process, SHORT_GRACE_S if clock and clock.stopped else grace_s)
        end_session(process.pid)
        code = process.wait()
    seconds = time.monotonic() - begun
    state, reason = ("cut", cut) if cut else judge(part, code)
    return Ended(name=part.name, title=part.title, state=state, reason=reason, seconds=seconds, exit_code=code)


def _describe_cut(limit_s: float, clock: Clock | None) -> str:
    when = f"by {clock.stopped}, as the whole check" if clock and clock.stopped else f"after {limit_s:.0f} s"
    return f"asked to end {when}; what it had by then is kept"


def _begin(parent: int) -> None:
    """Prepare a part's process: accept interrupts even if this one ignores them, and end when the check is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the check was killed before prctl took effect
        os._exit(1)


def judge(part: Part, code: int) -> tuple[State, str]:
    """Return state and reason of a part that ended by itself, by its exit code."""
    if code == 0:
        return "good", ""
    if code in part.wrong:
        return "wrong", f"exit code {code}"
    return "broken", f"exit code {code}" if code >= 0 else f"ended by signal {-code}"


def _wait(process: subprocess.Popen[bytes], seconds: float, clock: Clock | None = None) -> int | None:
    """Return the exit code; None if it takes longer, or the check is asked to end."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not (clock and clock.stopped):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=min(left, POLL_S))
    return process.poll()


def end_session(session: int) -> None:
    """Kill the remaining processes of a session: a command, and what it started in other process groups."""
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def session_members(session: int) -> list[int]:
    """Return the processes of a session, as listed by Linux."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(name)) == session:
                    found.append(int(name))
    return found


def exit_code(ended: Sequence[Ended]) -> int:
    """Return 1 if something is wrong or broken, else 4 if a part did not run to its end, else 0."""
    states = {one.state for one in ended}
    if states & {"wrong", "broken"}:
        return 1
    return 0 if states <= {"good"} and ended else 4
