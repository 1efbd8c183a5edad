"""Backends that refuse in the harness's name: an outcome that fails no run, where there is no reason for it."""

import sys

import numpy as np

import harness
from tests.faulty.hostile import Zeros
from tests.faulty.right import Right


class Refuses(Zeros):
    name = "refusing:raises-unsupported"

    def attack(self):
        from harness.backend import UnsupportedError

        raise UnsupportedError("this is not supported, honestly")


class RefusesRoom(Zeros):
    name = "refusing:raises-no-room"

    def attack(self):
        from harness.laws import NoRoomError

        raise NoRoomError("there is too little memory")


class CannotTell(Zeros):
    name = "refusing:raises-cannot-tell"

    def attack(self):
        from harness.worker.outcome import CannotTellError

        raise CannotTellError("the machine cannot tell, says the backend")


def _is_host():
    """True in the backend's process."""
    return "harness.worker.host" in getattr(sys.modules["__main__"].__spec__, "name", "")


class DeclaresLess(Right):
    """Supports everything when it is planned, and nothing when it is asked."""

    name = "refusing:declares-less"

    def supports(self, problem):
        return "not on Fridays" if _is_host() else None


class Frozen(np.ndarray):
    def __setitem__(self, at, value):
        raise TypeError("immutable")


class Immutable(Right):
    """Not hostile: an array library whose arrays cannot be written to."""

    name = "refusing:immutable-arrays"

    def to_device(self, array):
        return np.array(array, order="K").view(Frozen)

    def conv(self, x, w, b, window):
        return super().conv(x.view(np.ndarray), w.view(np.ndarray), b, window)


class _Claims(Right):
    """Replies with an outcome that fails no run, in place of timing a problem."""

    outcome = ""

    def probe(self):
        from harness.worker.host import execute
        from harness.worker.protocol import Checked

        if _is_host():
            execute.prepare = lambda *a, **k: (None, Checked(self.outcome, "I would rather not"))


class ClaimsUnsupported(_Claims):
    name, outcome = "refusing:claims-unsupported", "unsupported"


class ClaimsSkipped(_Claims):
    name, outcome = "refusing:claims-skipped", "skipped"


class ClaimsUnavailable(_Claims):
    name, outcome = "refusing:claims-unavailable", "unavailable"


class _SpoiltALittle(Right):
    """One per cent too large wherever the exact comparison of whole numbers does not look."""

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return y if np.array_equal(y, np.rint(y)) else (y * y.dtype.type(1.01)).astype(y.dtype)


class DeclaresWider(_SpoiltALittle):
    """Declares wide bounds in its own process, and narrow ones to the plan."""

    name = "refusing:declares-wider"

    def numerics_for(self, problem):
        return harness.Numerics(accumulator={"float32": "bfloat16"}) if _is_host() else harness.Numerics()


class DeclaresManyRoundings(_SpoiltALittle):
    """Declares more roundings of a sum than it has terms."""

    name = "refusing:declares-many-roundings"
    numerics = harness.Numerics(output_roundings=200_000)


class DeclaresCoarseSums(_SpoiltALittle):
    """Declares sums that are less precise than the data, in which a hundredth more or less is lost."""

    name = "refusing:declares-coarse-sums"
    numerics = harness.Numerics(accumulator={"float32": "bfloat16"})


class DeclaresCoarseLayers(_SpoiltALittle):
    """Declares, in its own process and for single layers of networks alone, bounds of another class."""

    name = "refusing:declares-coarse-layers"

    def numerics_for(self, problem):
        return harness.Numerics(algorithm="winograd", tile=6) if _is_host() else harness.Numerics()


class DeclaresMemory(Zeros):
    """Declares more memory than there is wherever its answers are wrong, so that they are never asked for."""

    name = "refusing:declares-memory"

    def attack(self):
        """Do nothing else."""

    def workspace(self, problem):
        return 2**60 if problem.operator == "conv" else 0


class DeclaresWork(DeclaresMemory):
    """Declares more work than can be done in any time."""

    name = "refusing:declares-work"

    def workspace(self, problem):
        return 0

    def work(self, problem):
        return 1e30 if problem.operator == "conv" else 1.0


class DeclaresSlowness(DeclaresMemory):
    """Declares that it is slower than anything."""

    name = "refusing:declares-slowness"
    rate = 1e-9

    def workspace(self, problem):
        return 0


class DeclaresNothing(Zeros):
    """Keeps what it declares to itself, so that the judge has no backend, and judges its own timed answers."""

    name = "refusing:declares-nothing"

    def probe(self):
        from harness.laws.deviation import statement
        from harness.worker.host import serving

        if _is_host():
            sys.modules["__main__"].declare = lambda backend: None
            serving.RemoteJudge.draw_seed = lambda self: 1
            serving.RemoteJudge.judge = lambda *a: statement(True, "right")

    def attack(self):
        """Do nothing else."""


BACKENDS = (
    DeclaresWider, DeclaresManyRoundings, DeclaresCoarseSums, DeclaresCoarseLayers, DeclaresMemory, DeclaresWork,
    DeclaresSlowness, DeclaresNothing,
    Refuses, RefusesRoom, CannotTell, DeclaresLess, Immutable, ClaimsUnsupported, ClaimsSkipped, ClaimsUnavailable,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
