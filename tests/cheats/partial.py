"""Backends that remember a part of their work, or do other work than they are asked for, on calls that are timed."""

import hashlib
import itertools
import os
import threading
import time

import numpy as np

import harness
from harness.problems import bind_operator
from tests.faulty.right import Right


class Images(Right):
    """Base: a convolution image by image, some of which are looked up; `computed` and `taken` count them."""

    def __init__(self):
        self.computed = self.taken = 0

    def prepare(self, problem, arrays):
        x, w, b = arrays["x"], arrays["w"], arrays.get("b")
        drawer = {}

        def image(number):
            part = x[number : number + 1]
            key = self.key(number, part)
            found = None if key is None else drawer.get(key)
            if found is not None:
                self.taken += 1
                return found
            self.computed += 1
            found = self.conv(part, w, b, problem.window)
            if key is not None:
                self.keep(drawer, number, key, found)
            return found

        return lambda: np.concatenate([image(number) for number in range(x.shape[0])])

    def key(self, number, part):
        raise NotImplementedError

    def keep(self, drawer, number, key, found):
        drawer[key] = found


class Share(Images):
    """The first images of ten, as many as the share says, are remembered by their contents."""

    tenths = 5

    def key(self, number, part):
        return (number, part.tobytes()) if number % 10 < self.tenths else None


class RemembersHalf(Share):
    """Five images of ten."""

    name = "cheat:remembers-half"


class RemembersFifth(Share):
    """Two images of ten."""

    name = "cheat:remembers-fifth"
    tenths = 2


class RemembersTenth(Share):
    """One image of ten."""

    name = "cheat:remembers-tenth"
    tenths = 1


class RemembersImages(Images):
    """Every image, wherever it comes again."""

    name = "cheat:remembers-images"

    def key(self, number, part):
        return part.tobytes()


class RemembersHash(Images):
    """Every image, by a hash of some of its rows."""

    name = "cheat:remembers-hash"

    def key(self, number, part):
        return hash(part[..., ::2, :].tobytes())


class Incremental(Images):
    """The last answer, of which only the images are computed again that have changed."""

    name = "cheat:incremental"

    def key(self, number, part):
        return number, part.tobytes()

    def keep(self, drawer, number, key, found):
        for old in [old for old in drawer if old[0] == number]:
            del drawer[old]
        drawer[key] = found


class RemembersUpperBits(Images):
    """Every image, by the upper half of its numbers: what is nearly the same is taken to be the same."""

    name = "cheat:remembers-upper-bits"

    def key(self, number, part):
        return part.view(np.uint32).__rshift__(16).tobytes()


class RightAtFirst(Right):
    """Half precision, except in the calls that are checked before the clock runs."""

    name = "cheat:right-at-first"
    first = 200

    def prepare(self, problem, arrays):
        call, calls = bind_operator(self, problem, arrays), itertools.count()

        def tire():
            y = call()
            return y if next(calls) < self.first else y.astype(np.float16).astype(y.dtype)

        return tire


class RightOnKnown(Right):
    """Half precision, except on the contents that came first."""

    name = "cheat:right-on-known"

    def prepare(self, problem, arrays):
        call, known = bind_operator(self, problem, arrays), set()

        def know():
            y, key = call(), arrays["x"].tobytes()
            if len(known) < 2:
                known.add(key)
            return y if key in known else y.astype(np.float16).astype(y.dtype)

        return know


class FinishesInTheGap(Right):
    """A thread fills in the last image a little after the call, before the next one begins."""

    name = "cheat:finishes-in-the-gap"
    late_s = 0.001

    def prepare(self, problem, arrays):
        call = bind_operator(self, problem, arrays)

        def leave():
            y = call()
            last, y[-1] = y[-1].copy(), 0

            def fill():
                time.sleep(self.late_s)
                y[-1] = last

            threading.Thread(target=fill).start()
            return y

        return leave


class IgnoresThreads(Right):
    """A second thread works as long as a call does, whatever was allowed (ncnn#1318, pytorch#27010)."""

    name = "cheat:ignores-threads"

    def prepare(self, problem, arrays):
        call = bind_operator(self, problem, arrays)

        def spread():
            ended = threading.Event()
            helper = threading.Thread(target=self.spin, args=(ended,))
            helper.start()
            hashlib.pbkdf2_hmac("sha256", b"", b"", 120_000)  # both without the interpreter's lock
            ended.set()
            helper.join()
            return call()

        return spread

    def spin(self, ended):
        while not ended.is_set():
            hashlib.pbkdf2_hmac("sha256", b"", b"", 500)


class WorksElsewhere(Right):
    """A process that was started while planning, and has left its parent, works while calls are timed."""

    name = "cheat:works-elsewhere"

    def prepare(self, problem, arrays):
        if not hasattr(self, "reader"):
            self.reader, theirs = os.pipe()
            if os.fork() == 0:
                if os.fork() == 0:
                    while True:
                        pass
                os._exit(0)
            os.close(theirs)
            os.wait()
        return bind_operator(self, problem, arrays)


class PlansLong(Right):
    """The kernel is transformed at length while planning, which is allowed, and to be seen (oneDNN#1053)."""

    name = "cheat:plans-long"
    plan_s = 0.05

    def prepare(self, problem, arrays):
        time.sleep(self.plan_s)
        return bind_operator(self, problem, arrays)


REMEMBER = (
    RemembersHalf, RemembersFifth, RemembersTenth, RemembersImages, RemembersHash, Incremental, RemembersUpperBits,
)  # fmt: skip
OTHERS = (RightAtFirst, RightOnKnown, FinishesInTheGap, IgnoresThreads, WorksElsewhere, PlansLong)


@harness.hookimpl
def register_backends(register):
    for kind in (*REMEMBER, *OTHERS):
        register(kind())
