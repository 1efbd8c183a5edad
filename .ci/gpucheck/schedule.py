"""Parts of a check under one clock: the most important first, none begun that does not fit, none past the end."""

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
GRACE_S = 12.0  # for a part that is asked to end, to write down what it has
SHORT_GRACE_S = 4.0  # the same where the whole check is asked to end: what asks often kills soon after
POLL_S = 0.1
PR_SET_PDEATHSIG = 1  # prctl.h


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part: a command, and what it may take.

    needs: backends of which at least one must be available; none where the part runs anywhere.
    estimate_s: with less time left it is not begun. limit_s: after so long it is asked to end.
    run: name of the folder of a run of the harness that it writes, to be read afterwards; empty where it writes none.
    wrong: exit codes that say that something is wrong with what is checked, rather than with the part.
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
    """What became of a part; facts: what it found, as JSON has it."""

    name: str
    title: str
    state: State
    reason: str = ""
    seconds: float = 0.0
    exit_code: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Clock:
    """Time that is left until a moment; `now` is the time of the system, or of a test.

    stopped: the signal that asked the check to end; empty while none did.
    """

    end: float
    now: Callable[[], float] = time.monotonic
    stopped: str = ""

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return self.end - self.now()

    def listen(self) -> None:
        """Let SIGINT, SIGTERM and SIGHUP end the check in good order; the second signal ends it at once.

        One that is ignored, such as SIGHUP below nohup, stays ignored. A shell lets background commands ignore SIGINT.
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
    """What becomes of a part without running it; None where it is to run.

    unavailable: reason by name of each backend that cannot run here. stopped: signal that asked the check to end.
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
    """Run a part to its end, or until its limit or the time that is left; then ask it to end, and end it.

    clock: of the check, whose end by a signal is the part's end too.
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
    """Before a part's command: heed interrupts, whatever this process ignores, and end where the check is killed."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # killed before it was asked
        os._exit(1)


def judge(part: Part, code: int) -> tuple[State, str]:
    """State and reason of a part that ended by itself, by its exit code."""
    if code == 0:
        return "good", ""
    if code in part.wrong:
        return "wrong", f"exit code {code}"
    return "broken", f"exit code {code}" if code >= 0 else f"ended by signal {-code}"


def _wait(process: subprocess.Popen[bytes], seconds: float, clock: Clock | None = None) -> int | None:
    """The exit code; None where it takes longer, or the check is asked to end."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not (clock and clock.stopped):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=min(left, POLL_S))
    return process.poll()


def end_session(session: int) -> None:
    """Kill what is left of a session: a command, and what it started in process groups of their own."""
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def session_members(session: int) -> list[int]:
    """Processes of a session, as Linux tells them."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(int(name)) == session:
                    found.append(int(name))
    return found


def exit_code(ended: Sequence[Ended]) -> int:
    """1 where something is wrong or broken; else 4 where a part did not run to its end; else 0."""
    states = {one.state for one in ended}
    if states & {"wrong", "broken"}:
        return 1
    return 0 if states <= {"good"} and ended else 4
