"""Backends that attack the harness instead of computing: each answers zeros, or writes where it must not."""

import builtins
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import threading
import time

import numpy as np

import harness
from harness.errors import UsageError
from tests.faulty.right import Right


class Zeros(Right):
    """Wrong everywhere: only a judge that was reached passes it."""

    def conv(self, x, w, b, window):
        self.attack()
        return np.zeros_like(super().conv(x, w, b, window))

    def attack(self):
        """Do what the subclass is about."""


def _accept(*arguments, **keywords):
    return harness.Deviation(kind="exact", worst=0.0, compared=1)


class PatchesComparison(Zeros):
    name = "hostile:patches-comparison"

    def attack(self):
        from harness.laws import deviation, error_bounds, subject

        deviation.Deviation.passed = True
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith(("harness", "suites")):
                for name in ("compare_arrays", "compare", "check_outputs", "judge_output", "worst_of", "statement"):
                    if hasattr(module, name):
                        setattr(module, name, _accept)
        error_bounds.LAMBDA = float("inf")
        subject.check_form = _accept


class PatchesNumpy(Zeros):
    name = "hostile:patches-numpy"

    def attack(self):
        np.array_equal = lambda *a, **k: True
        np.isnan = lambda a, *r, **k: np.zeros(np.shape(a), bool)
        np.max = np.abs = np.subtract = lambda *a, **k: np.float64(0)
        builtins.max = lambda *a, **k: 0.0


class PatchesLater(Zeros):
    name = "hostile:patches-later"

    def probe(self):
        threading.Thread(target=PatchesComparison.attack, args=(self,), daemon=True).start()


class Traces(Zeros):
    name = "hostile:traces"

    def attack(self):
        for one in gc.get_objects():
            if isinstance(one, harness.Deviation):
                object.__setattr__(one, "worst", 0.0)
        sys.settrace(lambda *a: None)


def _channel():
    """The socket on which the backend's process is asked."""
    for descriptor in range(3, 64):
        try:
            end = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        if end.family == socket.AF_UNIX:
            return end
    raise AssertionError("no socket")


class WritesReply(Zeros):
    name = "hostile:writes-a-reply"

    def attack(self):
        _channel().sendall(b"\x00" * 12)


class WritesGarbage(Zeros):
    name = "hostile:writes-garbage"

    def attack(self):
        _channel().sendall(b"\xff" * 4)


class ClosesAll(Zeros):
    name = "hostile:closes-all-descriptors"

    def attack(self):
        os.closerange(0, 256)


class Exits(Zeros):
    name = "hostile:exits-with-0"

    def attack(self):
        os._exit(0)


class ExitsPolitely(Zeros):
    name = "hostile:sys-exit-0"

    def attack(self):
        sys.exit(0)


class Interrupts(Zeros):
    name = "hostile:keyboard-interrupt"

    def attack(self):
        raise KeyboardInterrupt


class KillsJudge(Zeros):
    name = "hostile:kills-its-parent"

    def attack(self):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


class RaisesOurs(Zeros):
    name = "hostile:raises-usage-error"

    def attack(self):
        raise UsageError("use it in another way")


class _RudeError(Exception):
    def __str__(self):
        raise ValueError("no text")


class RaisesRudely(Zeros):
    name = "hostile:raises-what-has-no-text"

    def attack(self):
        raise _RudeError


class RaisesSurrogates(Zeros):
    name = "hostile:raises-surrogates"

    def attack(self):
        raise ValueError("\ud800 \x1b[31m")


class AnswersStrangely(Right):
    name = "hostile:object-array"

    def conv(self, x, w, b, window):
        return np.full(super().conv(x, w, b, window).shape, None, dtype=object)


class Equal(np.ndarray):
    def __eq__(self, other):
        return np.ones(self.shape, bool)

    def __sub__(self, other):
        return np.zeros(self.shape)


class AnswersSubclass(Right):
    name = "hostile:equals-everything"

    def conv(self, x, w, b, window):
        return np.zeros_like(super().conv(x, w, b, window)).view(Equal)


class WritesAround(Right):
    """Right answers, but a byte beyond its input is written."""

    name = "hostile:writes-beyond-its-input"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        end = x.__array_interface__["data"][0] + x.nbytes
        ctypes.memset(end, 0, 1)
        return y


class WritesBefore(Right):
    name = "hostile:writes-before-its-input"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        ctypes.memset(x.__array_interface__["data"][0] - 1, 0, 1)
        return y


class HoldsInterpreter(Right):
    """Never returns, and no other thread of its process runs."""

    name = "hostile:holds-the-interpreter"

    def conv(self, x, w, b, window):
        with open(os.environ["HOSTILE_BEGAN"], "w"):
            ctypes.PyDLL(None).sleep(600)


class CheatsWhenTimed(Zeros):
    """Zeros, and a comparison in its own process that accepts them."""

    name = "hostile:accepts-itself-when-timed"

    def attack(self):
        from harness.worker import judging

        judging.OwnJudge.judge = _accept
        PatchesComparison.attack(self)


class ClaimsTimes(Zeros):
    """Replies that a problem is prepared, without asking for a judgement."""

    name = "hostile:claims-times"

    def attack(self):
        from harness.worker.host import execute
        from harness.worker.protocol import Checked

        execute.prepare = lambda *a, **k: (None, Checked("passed", None))
        raise ValueError("asked again, I shall say that all is well")


class AccusesItself(Zeros):
    """Zeros, and an accusation that no other process repeats, so that the machine would not be able to tell."""

    name = "hostile:accuses-itself"

    def attack(self):
        """Zeros are all that it does in a call."""

    def probe(self):
        from harness.worker.host import execute
        from harness.worker.protocol import Checked

        prepare = execute.prepare

        def accuse(*arguments):
            prepare(*arguments)
            return None, Checked("error", f"process {os.getpid()} says that it lies", accuses=True)

        execute.prepare = accuse


class InventsInputs(Right):
    """Right answers, on inputs that it has chosen itself."""

    name = "hostile:invents-inputs"

    def probe(self):
        from harness.worker.host.remote_judge import RemoteJudge

        RemoteJudge.draw_seed = lambda judge: 7


class ShowsNothing(Right):
    """Right answers, and none of them shown to its judge."""

    name = "hostile:shows-nothing"

    def probe(self):
        from harness.worker.host.remote_judge import RemoteJudge

        judge = RemoteJudge.judge
        RemoteJudge.judge = lambda self, contents, outputs: judge(self, contents, {})


class Prints(Right):
    """Prints where its output goes to, then more than a log takes, and dies."""

    name = "hostile:prints"

    def conv(self, x, w, b, window):
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                print("it has", os.readlink(f"/proc/self/fd/{descriptor}"), file=sys.stderr)
        sys.stderr.flush()
        for _ in range(2**5):
            os.write(1, b"many words " * 10**5)
        os.write(2, b"its last words\n")
        os.kill(os.getpid(), signal.SIGSEGV)


class _Scales(Right):
    """Right answers, and times of calls that were never measured."""

    timed = 1

    def probe(self):
        import msgspec

        from harness.worker.host import execute

        sample = execute.sample

        def claim(session, request):
            found = sample(session, request)
            return msgspec.structs.replace(
                found, samples_ns=tuple(one / 2 for one in found.samples_ns), timed_ns=found.timed_ns // self.timed
            )

        execute.sample = claim


class HalvesSamples(_Scales):
    name = "hostile:halves-samples"


class HalvesTimes(_Scales):
    name, timed = "hostile:halves-all-times", 2


BACKENDS = (
    PatchesComparison, PatchesNumpy, PatchesLater, Traces, WritesReply, WritesGarbage, ClosesAll,
    Exits, ExitsPolitely, Interrupts, KillsJudge, RaisesOurs, RaisesRudely, RaisesSurrogates,
    AnswersStrangely, AnswersSubclass, WritesAround, WritesBefore, HoldsInterpreter, CheatsWhenTimed, AccusesItself,
    ClaimsTimes, InventsInputs, ShowsNothing, Prints, HalvesSamples, HalvesTimes,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
