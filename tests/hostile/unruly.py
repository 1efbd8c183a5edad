"""Backends that end, hang, take too much, change their process, answer strangely or talk, each in one way.

Each misbehaves in a call of `conv`, in a method that declares, or in a timed call; none does anything at import.
"""

import ctypes
import gc
import locale
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings

import numpy as np

import harness
from tests.faulty.right import Right
from tests.hostile.texts import LONG, NASTY

MADE = {}


def act(name, *, wrong=True, late=False):
    """Register a backend that calls the decorated function in `conv`.

    wrong: whether it answers zeros; else it is right. late: whether it acts after it has computed.
    """

    def make(action):
        def conv(self, x, w, b, window):
            y = None
            if late:
                y = Right.conv(self, x, w, b, window)
            action(self)
            y = Right.conv(self, x, w, b, window) if y is None else y
            return np.zeros_like(y) if wrong else y

        MADE[name] = type("Acts", (Right,), {"name": f"unruly:{name}", "conv": conv, "__doc__": action.__doc__})
        return action

    return make


def answer(name):
    """Register a backend whose answer the decorated function makes from the right one and the input."""

    def make(change):
        def conv(self, x, w, b, window):
            return change(Right.conv(self, x, w, b, window), x)

        MADE[name] = type("Answers", (Right,), {"name": f"unruly:{name}", "conv": conv})
        return change

    return make


def method(name, which):
    """Register a backend that is right, and has the decorated function as a method of the name `which`."""

    def make(replaced):
        MADE[name] = type("Declares", (Right,), {"name": f"unruly:{name}", which: replaced})
        return replaced

    return make


# --- the judge touched ---------------------------------------------------------------------------------------------


@act("replaces-clocks")
def _replace_clocks(self):
    for name in ("perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "process_time_ns"):
        setattr(time, name, lambda: 0)


@act("adds-an-audit-hook")
def _audit(self):
    sys.addaudithook(lambda *a: None)


@act("replaces-numpy-testing")
def _testing(self):
    np.testing.assert_allclose = np.testing.assert_array_equal = np.allclose = np.isclose = lambda *a, **k: True


@act("reads-other-memory")
def _read_memory(self):
    """Look in the parent's memory for expected values."""
    try:
        with open(f"/proc/{os.getppid()}/mem", "rb") as file:
            file.seek(0)
            file.read(1)
    except OSError:
        pass


# --- ends ----------------------------------------------------------------------------------------------------------


def _register_signals():
    for name in ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGKILL", "SIGTERM", "SIGPIPE"):
        act(f"dies-by-{name.lower()}")(lambda self, name=name: os.kill(os.getpid(), getattr(signal, name)))


_register_signals()
act("reads-address-0")(lambda self: ctypes.string_at(0))


@act("raises-base-exception")
def _raise_base(self):
    raise BaseException("beyond exceptions")


@act("exits-in-del", late=True)
def _exit_in_del(self):
    class Last:
        def __del__(self):
            os._exit(0)

    Last()
    gc.collect()


@act("exits-in-atexit", wrong=False)
def _exit_at_exit(self):
    import atexit

    atexit.register(os._exit, 0)


@method("sys-exit-in-supports", "supports")
def _exit_in_supports(self, problem):
    sys.exit(0)


@method("raises-in-supports", "supports")
def _raise_in_supports(self, problem):
    raise RuntimeError("cannot say")


@method("sys-exit-in-work", "work")
def _exit_in_work(self, problem):
    sys.exit(0)


@method("raises-in-workspace", "workspace")
def _raise_in_workspace(self, problem):
    raise RuntimeError("cannot say")


@method("raises-in-numerics-for", "numerics_for")
def _raise_in_numerics(self, problem):
    raise RuntimeError("cannot say")


@method("exits-in-probe", "probe")
def _exit_in_probe(self):
    os._exit(0)


@method("raises-in-probe", "probe")
def _raise_in_probe(self):
    raise RuntimeError(NASTY)


# --- hangs ---------------------------------------------------------------------------------------------------------


@act("loops-for-ever")
def _loop(self):
    while True:
        pass


@act("loops-in-c")
def _loop_in_c(self):
    ctypes.PyDLL(None).sleep(600)


@act("stops-itself")
def _stop(self):
    os.kill(os.getpid(), signal.SIGSTOP)


@act("deadlocks")
def _deadlock(self):
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


@method("hangs-in-prepare", "prepare")
def _hang_in_prepare(self, problem, arrays):
    time.sleep(600)


@method("hangs-in-to-host", "to_host")
def _hang_in_to_host(self, a):
    time.sleep(600)


@method("hangs-in-probe", "probe")
def _hang_in_probe(self):
    time.sleep(600)


@method("sleeps-when-timed", "prepare")
def _sleep_when_timed(self, problem, arrays):
    return lambda: time.sleep(600)


# --- takes ---------------------------------------------------------------------------------------------------------


@act("takes-memory-at-once")
def _take_memory(self):
    self.kept = np.ones(2**40 // 8)


@act("takes-memory-in-a-child")
def _take_in_child(self):
    subprocess.run([sys.executable, "-c", "a = bytearray(2**40)\nwhile True: pass"])


@act("takes-memory-slowly")
def _take_slowly(self):
    self.kept = []
    while True:
        self.kept.append(np.ones(2**22))


@act("takes-descriptors")
def _take_descriptors(self):
    self.kept = []
    while True:
        self.kept.append(os.open(os.devnull, os.O_RDONLY))


@act("starts-50-children", wrong=False)
def _start_children(self):
    self.kept = [subprocess.Popen(["sleep", "600"]) for _ in range(50)]


@act("leaves-a-detached-process", wrong=False)
def _detach(self):
    subprocess.Popen(["sleep", "600"], start_new_session=True)


@act("leaves-threads-that-burn", wrong=False)
def _burn(self):
    def burn():
        while True:
            pass

    for _ in range(2):
        threading.Thread(target=burn, daemon=True).start()


@act("fills-its-folder", wrong=False)
def _fill(self):
    with tempfile.TemporaryFile() as file:
        file.write(bytes(2**24))


# --- changes the process -------------------------------------------------------------------------------------------


@act("changes-folder-and-environment", wrong=False)
def _change_process(self):
    os.chdir("/")
    os.umask(0o777)
    os.environ.clear()


@act("works-in-a-removed-folder", wrong=False)
def _remove_folder(self):
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


@act("changes-locale-and-signals", wrong=False)
def _change_locale(self):
    locale.setlocale(locale.LC_ALL, "C")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)


@act("turns-errors-on", wrong=False)
def _raise_errors(self):
    np.seterr(all="raise")
    warnings.simplefilter("error")


@act("lowers-recursion-limit", wrong=False)
def _lower_recursion(self):
    sys.setrecursionlimit(60)


@act("replaces-streams", wrong=False)
def _replace_streams(self):
    sys.stdout = sys.stderr = None


@act("rounds-upwards", wrong=False)
def _round_upwards(self):
    ctypes.CDLL("libm.so.6").fesetround(0x800)


@act("limits-file-size", wrong=False)
def _limit_files(self):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


# --- answers -------------------------------------------------------------------------------------------------------

answer("answers-none")(lambda y, x: None)
answer("answers-a-list")(lambda y, x: y.tolist())
answer("answers-a-scalar")(lambda y, x: 1.0)
answer("answers-float64")(lambda y, x: y.astype(np.float64))
answer("answers-another-shape")(lambda y, x: y[..., :-1])
answer("answers-masked")(lambda y, x: np.ma.masked_all_like(y))
answer("answers-nan")(lambda y, x: np.full_like(y, np.nan))
answer("answers-its-input")(lambda y, x: x)
answer("answers-strides-0")(lambda y, x: np.broadcast_to(y.dtype.type(0), y.shape))
answer("answers-read-only")(lambda y, x: _lock(np.zeros_like(y)))
answer("answers-a-huge-array")(lambda y, x: np.broadcast_to(y.dtype.type(0), (2**40, 2**10)))
answer("answers-strings")(lambda y, x: np.full(y.shape, NASTY))
answer("answers-complex")(lambda y, x: y.astype(np.complex64))


def _lock(a):
    a.flags.writeable = False
    return a


class _Lazy:
    def __init__(self, y):
        self.shape, self.dtype, self.ndim, self.y = y.shape, y.dtype, y.ndim, y

    def __array__(self, dtype=None, copy=None):
        return np.zeros_like(self.y)


answer("answers-lazily")(lambda y, x: _Lazy(y))


@answer("answers-what-changes-later")
def _change_later(y, x):
    threading.Timer(0.0, lambda: y.fill(0)).start()
    time.sleep(0.01)
    return y


# --- says ----------------------------------------------------------------------------------------------------------


def _say(text):
    raise ValueError(text)


act("says-markup")(lambda self: _say(NASTY))
act("says-10-kb")(lambda self: _say(LONG))
act("says-other-alphabets")(lambda self: _say("卷积 ⋆ свёртка \u202eabc"))
act("says-pipes-and-quotes")(lambda self: _say("a | b ` ' \" \\ \n | - |"))
method("says-a-nasty-reason", "probe")(lambda self: NASTY + LONG)


@harness.hookimpl
def register_backends(register):
    for backend in MADE.values():
        register(backend())
