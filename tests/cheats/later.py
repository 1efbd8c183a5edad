"""Backends that are honest when they are asked first, and later leave their work undone until a result is read."""

import os
import random
import time
from pathlib import Path

import harness
from harness.problems import bind_operator
from tests.faulty.cheating import Later
from tests.faulty.right import Right

HONEST_CALLS = 60  # those of preparing a call, and of the questions that are asked then
QUICK_S = 0.001
SPENT_S = 0.0001  # in a call whose work is left undone, or it would be faster than the machine can be
COUNTED = "CHEAT_COUNTS_PROCESSES_IN"  # variable of the environment


class TurnsLazy(Right):
    """Base: a prepared call that leaves its work undone whenever `is_lazy` says so, from HONEST_CALLS on."""

    honest, make = HONEST_CALLS, Later

    def prepare(self, problem, arrays):
        call, self.calls, self.last_s = bind_operator(self, problem, arrays), 0, 0.0

        def leave():
            self.calls += 1
            quick, self.last_s = time.monotonic() - self.last_s < QUICK_S, time.monotonic()
            if self.calls <= self.honest or not self.is_lazy(quick):
                return call()
            until = time.perf_counter() + SPENT_S
            while time.perf_counter() < until:
                pass
            held = {name: a.copy() for name, a in arrays.items() if a is not None}  # or the next contents were read
            return self.make(problem.y, arrays["x"].dtype, bind_operator(self, problem, held))

        return leave

    def is_lazy(self, quick):
        raise NotImplementedError


class LazyLater(TurnsLazy):
    """In every call but the first ones."""

    name = "cheat:lazy-later"

    def is_lazy(self, quick):
        return True


class LazyHalf(TurnsLazy):
    """In every other call."""

    name = "cheat:lazy-half"

    def is_lazy(self, quick):
        return self.calls % 2 == 0


class LazyAtRandom(TurnsLazy):
    """In a call of five, by chance."""

    name = "cheat:lazy-at-random"

    def is_lazy(self, quick):
        return random.random() < 0.2


class LazyWhenQuick(TurnsLazy):
    """In calls that follow each other as quickly as timed ones do."""

    name = "cheat:lazy-when-quick"

    def is_lazy(self, quick):
        return quick


class LazyInLongCalls(LazyAtRandom):
    """The same in calls of 30 ms, of which a block has two."""

    name, honest, call_s = "cheat:lazy-in-long-calls", 0, 0.03

    def conv(self, *arguments):
        time.sleep(self.call_s)
        return super().conv(*arguments)


class LazyUntilRead(TurnsLazy):
    """In every call until a result is read, and then in none for a while."""

    name, while_s, read_s = "cheat:lazy-until-read", 0.01, 0.0

    def is_lazy(self, quick):
        return time.monotonic() - self.read_s > self.while_s

    def to_host(self, array):
        self.read_s = time.monotonic() if isinstance(array, Later) else self.read_s
        return array


class LazyInShape(TurnsLazy):
    """In every call; the work is done when a result is asked for its shape, and reading it is quick."""

    name = "cheat:lazy-in-shape"

    class Shaped(Later):
        def __init__(self, shape, dtype, compute):
            self.known, self.dtype, self.ndim, self.compute = None, dtype, len(shape), compute

        @property
        def shape(self):
            self.known = self.compute() if self.known is None else self.known
            return self.known.shape

        def __array__(self, dtype=None, copy=None):
            assert self.shape
            return self.known

    make = Shaped

    def is_lazy(self, quick):
        return True


class LazyUntilStored(TurnsLazy):
    """In every call; the work is done when another array is stored or brought to the host, whichever comes first."""

    name, left = "cheat:lazy-until-stored", None

    def is_lazy(self, quick):
        return True

    def make(self, shape, dtype, compute):
        self.left = self.Once(shape, dtype, compute)
        return self.left

    class Once(Later):
        known = None

        def finish(self):
            self.known = self.compute() if self.known is None else self.known
            return self.known

        def __array__(self, dtype=None, copy=None):
            return self.finish()

    def to_device(self, array):
        self.finish()
        return array

    def to_host(self, array):
        self.finish()
        return array

    def finish(self):
        if self.left is not None:
            self.left.finish()


class LazyUntilAnythingIsRead(LazyUntilStored):
    """The same, when any array is brought to the host."""

    name = "cheat:lazy-until-anything-is-read"

    def to_device(self, array):
        return array


class LazyInPasses(TurnsLazy):
    """In some of its processes, which it counts in a file; `passes` says in which, from 1."""

    honest, passes = 0, ()

    def __init__(self):
        self.file, self.number = Path(os.environ.get(COUNTED, os.devnull)), 0

    def prepare(self, problem, arrays):
        if not self.number:
            with self.file.open("ab") as file:
                file.write(b"x")
            self.number = self.file.stat().st_size
        return super().prepare(problem, arrays)

    def is_lazy(self, quick):
        return self.number in self.passes


class LazyFromSecondPass(LazyInPasses):
    """From the second process on."""

    name, passes = "cheat:lazy-from-second-pass", range(2, 10_000)


class LazyFromFifthPass(LazyInPasses):
    """From the fifth process on."""

    name, passes = "cheat:lazy-from-fifth-pass", range(5, 10_000)


class LazyEveryOtherPass(LazyInPasses):
    """In every other process, beginning with the second."""

    name, passes = "cheat:lazy-every-other-pass", range(2, 10_000, 2)


class RemembersLater(Right):
    """The last answer is given again for the same contents, once the first calls have been made."""

    name = "cheat:remembers-later"

    def prepare(self, problem, arrays):
        call, calls, known = bind_operator(self, problem, arrays), [0], {}

        def remember():
            calls[0] += 1
            key = arrays["x"].tobytes()
            if calls[0] <= HONEST_CALLS or key not in known:
                known.clear()
                known[key] = call()
            return known[key].copy()

        return remember


IN_CALLS = (
    LazyLater, LazyHalf, LazyAtRandom, LazyWhenQuick, LazyInLongCalls, LazyUntilRead, LazyInShape, LazyUntilStored,
)  # fmt: skip
IN_PASSES = (LazyFromSecondPass, LazyFromFifthPass, LazyEveryOtherPass)


@harness.hookimpl
def register_backends(register):
    for kind in (*IN_CALLS, LazyUntilAnythingIsRead, *IN_PASSES, RemembersLater):
        register(kind())
