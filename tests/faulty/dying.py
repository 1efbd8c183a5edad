"""Backends that die, hang, eat memory, raise, or print into the pipe's neighbourhood."""

import ctypes
import os
import signal
import sys
import time

import numpy as np

import harness
from tests.faulty.right import Right

TRIGGER = 7  # the number of images on which they misbehave


class Dying(Right):
    def conv(self, x, w, b, window):
        if x.shape[0] == TRIGGER:
            self.misbehave()
        return super().conv(x, w, b, window)

    def misbehave(self):
        raise NotImplementedError


class Crashes(Dying):
    name = "dying:crashes"

    def misbehave(self):
        ctypes.string_at(0)


class Exits(Dying):
    name = "dying:exits"

    def misbehave(self):
        os._exit(3)


class ExitsOnGradients(Right):
    name = "dying:exits-on-gradients"

    def conv_input_grad(self, dy, w, x_shape, window):
        os._exit(4)


class Hangs(Dying):
    name = "dying:hangs"

    def misbehave(self):
        time.sleep(600)


class EatsMemory(Dying):
    name = "dying:eats-memory"

    def misbehave(self):
        kept = []
        while True:
            kept.append(np.ones(2**21))
            time.sleep(0.01)


class KillsItself(Dying):
    """As if the system had killed it for want of memory."""

    name = "dying:kills-itself"

    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Raises(Dying):
    name = "dying:raises"

    def misbehave(self):
        raise ArithmeticError("no such tile")


class Prints(Right):
    name = "dying:prints"

    def conv(self, x, w, b, window):
        print("noise on standard output")
        print("noise on standard error", file=sys.stderr)
        return super().conv(x, w, b, window)


class WrongShape(Right):
    name = "dying:wrong-shape"

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, window)[..., :-1]


class WrongDtype(Right):
    name = "dying:wrong-dtype"

    def conv(self, x, w, b, window):
        return super().conv(x, w, b, window).astype(np.float64)


class GivesNone(Right):
    name = "dying:gives-none"

    def conv(self, x, w, b, window):
        return None


class CrashesInProbe(Right):
    name = "dying:crashes-in-probe"

    def probe(self):
        ctypes.string_at(0)


class Unavailable(Right):
    name = "dying:unavailable"

    def probe(self):
        return "no such device"


@harness.hookimpl
def register_backends(register):
    for backend in (
        Crashes, Exits, ExitsOnGradients, Hangs, EatsMemory, KillsItself, Raises, Prints, WrongShape, WrongDtype,
        GivesNone, CrashesInProbe, Unavailable,
    ):  # fmt: skip
        register(backend())
