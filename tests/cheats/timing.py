"""Backends whose answers are right and whose times are not: what they do in the timed region is not the work."""

import itertools
import threading
import time

import numpy as np

import harness
from harness.problems import bind_operator
from tests.faulty.right import Right


class Cheat(Right):
    """Base: `prepare` returns a call of the cheat's own kind."""

    def prepare(self, problem, arrays):
        return self.cheat(problem, arrays, bind_operator(self, problem, arrays))

    def cheat(self, problem, arrays, call):
        raise NotImplementedError


class Remembers(Cheat):
    """Base: the answer to arrays that were seen before, by some key, is taken from a drawer."""

    def cheat(self, problem, arrays, call):
        drawer = {}

        def remember():
            key = tuple(map(self.key, arrays.values()))
            if key not in drawer:
                drawer[key] = call()
            return drawer[key]

        return remember

    def key(self, a):
        raise NotImplementedError


class RemembersAddress(Remembers):
    """By where they lie (gpu-mode#162)."""

    name = "cheat:remembers-address"

    def key(self, a):
        return id(a)


class RemembersContents(Remembers):
    """By all of their contents, which is right, and fast only on inputs that come again."""

    name = "cheat:remembers-contents"

    def key(self, a):
        return a.tobytes()


class RemembersFingerprint(Remembers):
    """By three of their elements (flashinfer-bench#21)."""

    name = "cheat:remembers-fingerprint"

    def key(self, a):
        return a.reshape(-1)[:: max(1, a.size // 2)].tobytes()


class PlansTheAnswer(Cheat):
    """The answer is computed while planning, which is not timed."""

    name = "cheat:plans-the-answer"

    def cheat(self, problem, arrays, call):
        answer = call()
        return lambda: answer


class Lazy(Cheat):
    """A call returns a promise; the work is done at the first access (gpu-mode#162)."""

    name = "cheat:lazy"

    class Promise:
        def __init__(self, call, problem):
            self.call, self.shape, self.dtype, self.ndim = call, problem.y, np.dtype(problem.dtype), len(problem.y)

        def __array__(self, dtype=None, copy=None):
            return np.asarray(self.call(), dtype=dtype)

    def cheat(self, problem, arrays, call):
        return lambda: self.Promise(call, problem)

    def to_host(self, array):
        return np.asarray(array)


class Unfinished(Cheat):
    """The work is left to a thread, for which `synchronize` does not wait (KernelBench#82, another stream)."""

    name = "cheat:unfinished"
    late_s = 0.002

    def cheat(self, problem, arrays, call):
        calls = itertools.count()

        def work(y):
            time.sleep(self.late_s)
            y[...] = call()

        def leave():
            if next(calls) == 0:  # the first one is checked
                return call()
            y = np.zeros(problem.y, dtype=problem.dtype)
            threading.Thread(target=work, args=(y,)).start()
            return y

        return leave


class UnfinishedForLong(Unfinished):
    """The same on a machine that lets the thread wait."""

    name = "cheat:unfinished-for-long"
    late_s = 1.0  # the threads of earlier calls still sleep then, and do not keep the harness from its first look


class PatchedClock(Cheat):
    """The process's clocks stand still nine tenths of the time, while the backend computes."""

    name = "cheat:patched-clock"

    def cheat(self, problem, arrays, call):
        import harness.measure.block
        import harness.measure.clocks
        import harness.worker.host.timed_problem

        real = time.perf_counter_ns
        begun = real()

        def slow():
            return begun + (real() - begun) // 10

        time.perf_counter_ns = slow
        for module in (harness.measure.block, harness.measure.clocks, harness.worker.host.timed_problem):
            for name, value in list(vars(module).items()):
                if value is real:
                    setattr(module, name, slow)
        return call


class Honest(Cheat):
    """None of it."""

    name = "cheat:honest"

    def cheat(self, problem, arrays, call):
        return call


@harness.hookimpl
def register_backends(register):
    for kind in (RemembersAddress, RemembersContents, RemembersFingerprint, PlansTheAnswer, Lazy, Unfinished,
                 UnfinishedForLong, PatchedClock, Honest):  # fmt: skip
        register(kind())
