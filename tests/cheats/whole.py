"""Backends that deceive where whole networks are timed: right where a pass is verified, and not in the timed pass.

Networks call the plain methods of a backend, not what it has prepared, and every timed pass has inputs of its own.
"""

import inspect
import threading
import time

import numpy as np

import harness
from tests.faulty.cheating import Later
from tests.faulty.right import Right

TIMER = "_take_sample"  # the function of the harness that times calls, as a cheat would look for it
WORK_S = 0.02  # of each gradient that comes later: its length is the same on every machine, and most of a pass
LATEST_S = 1.0  # after which a thread works, also if its result was not read
FIRST = 20  # convolutions of the passes that are verified before any is timed


def is_timed():
    """True in a call that is timed, by the names of the functions that have called this one."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_name != TIMER:
        frame = frame.f_back
    return frame is not None


def halve(a):
    """The numbers in half precision."""
    return a.astype(np.float16).astype(a.dtype)


class WrongWhenTimed(Right):
    """Half precision in timed passes alone."""

    name = "cheat:wrong-when-timed"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return halve(y) if is_timed() else y


class SkipsWhenTimed(Right):
    """Kernels have no gradient in timed passes alone."""

    name = "cheat:skips-when-timed"

    def conv_weight_grad(self, dy, x, w_shape, window):
        return np.zeros(w_shape, x.dtype) if is_timed() else super().conv_weight_grad(dy, x, w_shape, window)


class RightOnSeen(Right):
    """Half precision on inputs that were not among the first ones."""

    name = "cheat:right-on-seen"

    def __init__(self):
        self.seen, self.calls = set(), 0

    def conv(self, x, w, b, window):
        y, key = super().conv(x, w, b, window), x.tobytes()
        self.calls += 1
        if self.calls <= FIRST:
            self.seen.add(key)
        return y if key in self.seen else halve(y)


class WrongInLaterPasses(WrongWhenTimed):
    """The same from some timed passes on."""

    name, passes = "cheat:wrong-in-later-passes", 0

    def conv(self, x, w, b, window):
        self.passes += is_timed()
        return super().conv(x, w, b, window) if self.passes > FIRST else Right.conv(self, x, w, b, window)


class Postponed(Right):
    """Base: the gradient of a kernel, which nothing in a pass reads, comes later."""

    def postpone(self, compute, w_shape, dtype):
        raise NotImplementedError

    def conv_weight_grad(self, dy, x, w_shape, window):
        held = dy.copy(), x.copy()

        def compute():
            time.sleep(WORK_S)
            return Right.conv_weight_grad(self, *held, w_shape, window)

        return self.postpone(compute, w_shape, x.dtype)


class LazyGradients(Postponed):
    """It is computed when it is read."""

    name = "cheat:lazy-gradients"

    def postpone(self, compute, w_shape, dtype):
        return Later(w_shape, dtype, compute)


class LazyGradientsWhenTimed(LazyGradients):
    """The same in timed passes alone."""

    name = "cheat:lazy-gradients-when-timed"

    def postpone(self, compute, w_shape, dtype):
        return super().postpone(compute, w_shape, dtype) if is_timed() else compute()


class GradientsInAThread(Postponed):
    """A thread fills it in after the call: the first reading is too early, on every machine."""

    name, when_timed = "cheat:gradients-in-a-thread", False

    def __init__(self):
        self.pending = {}  # by the address of a gradient: the gradient, and what lets its thread go on

    def postpone(self, compute, w_shape, dtype):
        if self.when_timed and not is_timed():
            return compute()
        dw, is_read = np.zeros(w_shape, dtype), threading.Event()
        self.pending[id(dw)] = dw, is_read

        def fill():
            is_read.wait(LATEST_S)
            dw[...] = compute()
            self.pending.pop(id(dw), None)

        threading.Thread(target=fill, daemon=True).start()
        return dw

    def to_host(self, array):
        copy = np.array(array)
        if found := self.pending.get(id(array)):
            found[1].set()
        return copy


class GradientsInAThreadWhenTimed(GradientsInAThread):
    """The same in timed passes alone."""

    name, when_timed = "cheat:gradients-in-a-thread-when-timed", True


class GivesTheLastGradient(Right):
    """In timed passes, the gradient of a kernel is that of the pass before."""

    name = "cheat:gives-the-last-gradient"

    def __init__(self):
        self.known = {}

    def conv_weight_grad(self, dy, x, w_shape, window):
        if not (is_timed() and w_shape in self.known):
            self.known[w_shape] = super().conv_weight_grad(dy, x, w_shape, window)
        return self.known[w_shape].copy()


class SlowUntilTimed(Right):
    """Honest: its first calls take longer."""

    name = "cheat:slow-until-timed"

    def conv(self, x, w, b, window):
        if not is_timed():
            time.sleep(0.001)
        return super().conv(x, w, b, window)


WRONG_WHEN_TIMED = (
    WrongWhenTimed, SkipsWhenTimed, RightOnSeen, GradientsInAThreadWhenTimed, GivesTheLastGradient,
)  # fmt: skip
LATE = (LazyGradients, LazyGradientsWhenTimed, GradientsInAThread)


@harness.hookimpl
def register_backends(register):
    for kind in (*WRONG_WHEN_TIMED, *LATE, SlowUntilTimed):  # WrongInLaterPasses is found by chance
        register(kind())
