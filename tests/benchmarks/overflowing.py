"""PyTorch with addresses of 32 bits, for suite `limits` at its real size; each must fail where arrays are that large.

python -m harness run limits --plugin ./tests/benchmarks/overflowing.py --backend torch:wraps --backend torch:loses
"""

from math import prod

import harness
from backends.torch_cudnn import Torch
from harness.problems.calling import name_outputs
from harness.problems.tile import memory_order

LIMIT = 2**31


def in_memory(a, layout):
    """A tensor as one axis, in the order of memory and without a copy."""
    return a.permute(memory_order(tuple(a.shape), layout)).view(-1)


class Wraps(Torch):
    """Reads element i of its first input from i mod 2^31."""

    name = "torch:wraps"

    def prepare(self, problem, arrays):
        call = super().prepare(problem, arrays)
        large = [a for a in arrays.values() if prod(a.shape) > LIMIT]

        def wrapped():
            kept = []
            for flat in (in_memory(a, problem.layout) for a in large):
                kept.append(flat[LIMIT:].clone())
                flat[LIMIT:] = flat[: kept[-1].shape[0]]
            result = call()
            for a, tail in zip(large, kept, strict=True):
                in_memory(a, problem.layout)[LIMIT:] = tail
            return result

        return wrapped


class Loses(Torch):
    """Never writes beyond the first 2^31 elements of an output, where zeros lie."""

    name = "torch:loses"

    def prepare(self, problem, arrays):
        call = super().prepare(problem, arrays)

        def losing():
            result = call()
            for a in name_outputs(problem, result).values():
                if prod(a.shape) > LIMIT:
                    in_memory(a, "channels-first" if a.is_contiguous() else "channels-last")[LIMIT:] = 0
            return result

        return losing


@harness.hookimpl
def register_backends(register):
    """Register both."""
    register(Wraps())
    register(Loses())
