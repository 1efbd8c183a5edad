"""Backends whose addresses overflow from a given element on: reads and writes that wrap, are lost, or hit garbage."""

import math

import numpy as np

from harness.problems.tile import memory_order
from tests.faulty.right import Right


def flat(a, layout="channels-first"):
    """Copy of the elements in the order of memory."""
    return np.ascontiguousarray(np.transpose(a, memory_order(a.shape, layout))).reshape(-1)


def unflat(elements, shape, layout="channels-first"):
    order = memory_order(shape, layout)
    return np.transpose(elements.reshape([shape[axis] for axis in order]), np.argsort(order))


def reads_wrapped(elements, limit):
    """Element i is read from i mod limit."""
    return elements[np.arange(elements.size) % limit]


def writes_wrapped(elements, limit):
    """Element i is written to i mod limit; what lies beyond stays 0."""
    out = np.zeros_like(elements)
    for start in range(0, elements.size, limit):
        part = elements[start : start + limit]
        out[: part.size] = part
    return out


def loses_the_rest(elements, limit):
    """Elements beyond the limit are never written."""
    return np.where(np.arange(elements.size) < limit, elements, 0).astype(elements.dtype)


def gives_garbage(elements, limit):
    """Beyond the limit an offset turns negative, and finds what lies elsewhere."""
    other = np.random.default_rng(5).integers(-3, 3, size=elements.size, endpoint=True).astype(elements.dtype)
    return np.where(np.arange(elements.size) < limit, elements, other)


READS = (reads_wrapped, loses_the_rest, gives_garbage)
WRITES = (writes_wrapped, loses_the_rest, gives_garbage)


class Overflowing(Right):
    """The right answer, with the addresses of one array spoilt from a limit on."""

    def __init__(self, operator, array, spoil, limit, layout="channels-first"):
        self.operator, self.array, self.spoil, self.limit, self.layout = operator, array, spoil, limit, layout

    def _spoilt(self, a):
        return unflat(self.spoil(flat(a, self.layout), self.limit), a.shape, self.layout)

    def prepare(self, problem, arrays):
        arrays = dict(arrays)
        if self.array in arrays:
            arrays[self.array] = self._spoilt(arrays[self.array])
            return super().prepare(problem, arrays)
        call, names = super().prepare(problem, arrays), problem.operator.outputs

        def spoilt():
            result = call()
            outputs = result if len(names) > 1 else (result,)
            done = tuple(self._spoilt(a) if n == self.array else a for n, a in zip(names, outputs, strict=True))
            return done if len(names) > 1 else done[0]

        return spoilt


def size_of(problem, name):
    return math.prod(problem.shapes[name])
