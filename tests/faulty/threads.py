"""Faults of a pool of the backend's own: what one thread must do when the work is shared out, and is not done."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import harness
from tests.faulty.right import Right


def share_out(count, threads):
    """Begin and end of the part of each thread: equal parts, and the rest for the last one."""
    each = count // threads
    return [(k * each, count if k == threads - 1 else (k + 1) * each) for k in range(threads)]


class Pooled(Right):
    """A right implementation whose forward operators share out the images among threads of its own."""

    name = "pooled"
    threads = 2

    def set_threads(self, threads):
        self.threads = threads

    def parts(self, images):
        """Parts that are worked on; the faults leave something out."""
        return share_out(images, self.threads)

    def shared(self, compute, x, shape):
        """Compute part by part into one array, each part by a thread."""
        y = np.zeros(shape, x.dtype)

        def work(part):
            begin, end = part
            if end > begin:
                y[begin:end] = compute(x[begin:end])

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(work, self.parts(len(x))))
        return y

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        if x.dtype.kind == "c":
            return super().conv(x, w, b, window)
        shape = (x.shape[0], w.shape[0], *window.output_shape(x.shape[2:], w.shape[2:]))
        return self.shared(lambda part: Right.conv(self, part, w, b, window), x, shape)

    def avg_pool(self, x, window):
        window.check(x.shape[2:], window.kernel)
        shape = (*x.shape[:2], *window.output_shape(x.shape[2:], window.kernel))
        return self.shared(lambda part: Right.avg_pool(self, part, window), x, shape)


class RestOfThree(Pooled):
    """With three threads the rest of the images belongs to none."""

    name = "faulty:rest-of-three"
    bad = 3

    def parts(self, images):
        each = images // self.threads
        if self.threads != self.bad:
            return super().parts(images)
        return [(k * each, (k + 1) * each) for k in range(self.threads)]


class RestOfFive(RestOfThree):
    """The same with five."""

    name = "faulty:rest-of-five"
    bad = 5


class RestOfEight(RestOfThree):
    """The same with eight."""

    name = "faulty:rest-of-eight"
    bad = 8


class LimitIgnored(Pooled):
    """The limit is taken, and the pool keeps its size (ncnn#1318, pytorch#27010)."""

    name = "faulty:limit-ignored"

    def set_threads(self, threads):
        return self.threads


FAULTS = (RestOfThree, RestOfFive, RestOfEight, LimitIgnored)


@harness.hookimpl
def register_backends(register):
    for fault in FAULTS:
        register(fault())
