"""Backends whose library refuses in a call what they support: some rightly, others to hide what they cannot do."""

import sys

import numpy as np

import harness
from tests.faulty.right import Right


class LacksError(Exception):
    """The exception of a library for something that it does not support."""


class _Declining(Right):
    def refusal_types(self):
        return (LacksError,)


class LacksDilation(_Declining):
    """Honest: its library has no dilation, of which `supports` says nothing."""

    name = "declining:dilation"

    def conv(self, x, w, b, window):
        if max(window.dilation) > 1:
            raise LacksError("no dilation in this library")
        return super().conv(x, w, b, window)


class LacksAll(_Declining):
    name = "declining:all"

    def conv(self, x, w, b, window):
        raise LacksError("nothing in this library")


class DeclinesWholeNumbers(_Declining):
    """Refuses the data on which comparisons are exact."""

    name = "declining:whole-numbers"

    def conv(self, x, w, b, window):
        if np.array_equal(x, np.rint(x)):
            raise LacksError("no whole numbers in this library")
        return super().conv(x, w, b, window)


class DeclinesFractions(_Declining):
    """Refuses all data but those on which comparisons are exact."""

    name = "declining:fractions"

    def conv(self, x, w, b, window):
        if not np.array_equal(x, np.rint(x)):
            raise LacksError("whole numbers alone in this library")
        return super().conv(x, w, b, window)


class LacksBias(_Declining):
    """Honest: its library adds no bias, of which `supports` says nothing."""

    name = "declining:bias"

    def conv(self, x, w, b, window):
        if b is not None:
            raise LacksError("no bias in this library")
        return super().conv(x, w, b, window)


class DeclinesTimes(_Declining):
    """Refuses in the timed call alone."""

    name = "declining:times"

    def prepare(self, problem, arrays):
        def call():
            raise LacksError("no hurry in this library")

        return call


class DeclinesLater(_Declining):
    """Refuses in a timed call after right answers."""

    name = "declining:later"

    def prepare(self, problem, arrays):
        call, calls = super().prepare(problem, arrays), [0]

        def counted():
            calls[0] += 1
            if calls[0] > 40:
                raise LacksError("tired")
            return call()

        return counted


class NamesTooMuch(_Declining):
    """Calls every ValueError a refusal."""

    name = "declining:too-much"

    def refusal_types(self):
        return (ValueError,)

    def conv(self, x, w, b, window):
        raise ValueError("an error like any other")


class PretendsUnsupported(_Declining):
    """Lets its process answer that a timed call was refused."""

    name = "declining:pretends"

    def probe(self):
        from harness.record.run import REFUSED
        from harness.worker.host import execute
        from harness.worker.protocol import Checked

        if "harness.worker.host" in getattr(sys.modules["__main__"].__spec__, "name", ""):
            execute.prepare = lambda *a, **k: (None, Checked("unsupported", f"{REFUSED}: I would rather not"))


BACKENDS = (
    LacksDilation, LacksBias, LacksAll, DeclinesWholeNumbers, DeclinesFractions, DeclinesTimes, DeclinesLater,
    NamesTooMuch, PretendsUnsupported,
)  # fmt: skip


FEW = harness.Suite(
    name="declining", kind="correctness", description="few laws", problems=tuple,
    laws=("agrees-with-reference", "bias-shifts", "bias-gradient-is-sum", "illegal-windows-are-refused"),
)  # fmt: skip


@harness.hookimpl
def register_suites(register):
    register(FEW)


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
