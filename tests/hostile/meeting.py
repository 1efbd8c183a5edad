"""Backends whose calls disturb each other, and which hide it in their process."""

import threading

import numpy as np

import harness
from harness.laws.meeting import Interruption, Overlapping
from tests.faulty import state
from tests.faulty.hostile import PatchesComparison
from tests.faulty.right import Right
from tests.faulty.state import SharedScratch


class ApprovesItself(SharedScratch):
    """Replaces comparisons in its process, those of the law too."""

    name = "meeting:approves-itself"

    def conv(self, x, w, b, window):
        PatchesComparison.attack(self)
        np.array_equal = lambda *a, **k: True
        return super().conv(x, w, b, window)


class PlansShareScratch(state.PlansShareScratch):
    """Plans of convolutions share their workspace."""

    name = "meeting:plans-share-scratch"
    operator, shared = harness.Operator.conv, "x"


class ExitsInAThread(Right):
    """Ends every other thread that calls it, without an answer."""

    name = "meeting:exits-in-a-thread"

    def conv(self, x, w, b, window):
        if threading.current_thread() is not threading.main_thread():
            raise SystemExit
        return super().conv(x, w, b, window)


class _Claims(SharedScratch):
    """Replaces what lets calls meet in its process."""

    def probe(self):
        from harness.worker.host import meeting

        self.replace(meeting)

    def replace(self, meeting):
        """Do what the subclass is about."""


class LeavesAnswersOut(_Claims):
    """Claims one answer of each call, made alone."""

    name = "meeting:leaves-answers-out"

    def replace(self, meeting):
        meeting.interrupt = lambda pool, first, *others: Interruption(_call(first), (), 0)
        meeting.overlap = lambda makes: Overlapping(tuple((_call(make),) for make in makes), ended=True)


class StopsNowhere(_Claims):
    """Says that a call ran lines, and stops it at none."""

    name = "meeting:stops-nowhere"

    def replace(self, meeting):
        meeting.interrupt = lambda pool, first, *others: Interruption(_call(first), (), 9)


class LeavesStopsOut(_Claims):
    """Stops a call, and leaves out what was called there."""

    name = "meeting:leaves-stops-out"

    def replace(self, meeting):
        interrupt = meeting.interrupt

        def claim(*arguments):
            found = interrupt(*arguments)
            return Interruption(found.answer, tuple(type(one)(one.place, ()) for one in found.stops), found.lines)

        meeting.interrupt = claim


def _call(make):
    call = make()
    return call.fetch(call.run())


BACKENDS = (ApprovesItself, PlansShareScratch, ExitsInAThread, LeavesAnswersOut, StopsNowhere, LeavesStopsOut)


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
