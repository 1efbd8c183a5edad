"""A call on arrays beyond 32-bit addresses, verified by samples and by random contraction of every element.

Memory on the host, in addition to the arrays and the backend's workspace: some blocks of 2^19 elements.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from harness.laws.deviation import Deviation, compare_arrays, worst_of
from harness.laws.error_bounds import LAMBDA, WINOGRAD
from harness.laws.sampling.contraction import contract_problem
from harness.laws.sampling.held import Held, draw_held, dtype_bytes, take_outputs
from harness.laws.sampling.maxima import draw_indices, pool_blocks
from harness.laws.sampling.samples import RECOMPUTED, recompute
from harness.laws.sampling.windows import axes_of
from harness.laws.subject import BackendUnderTest, NotExactError
from harness.problems.accumulation import longest_sum
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.seeds import seeded_generator
from harness.problems.tile import amplitude
from harness.problems.window import Sizes

RANDOM_PLACES = 8  # of every array, in addition to those at its ends and around limits of addresses
SAMPLED_WORK = 2**28  # elements that all samples of the kernel's and the bias's gradient may read
SEARCHED = 1500  # more outputs that are recomputed to name a wrong one


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of addresses, in elements of an array and in bytes; sampled at their halves (signed) and multiples."""

    elements: int = 2**31
    bytes: int = 2**32


def is_beyond_32_bits(problem: Problem, bounds: Bounds = Bounds()) -> bool:
    """Return True if an array of a problem has more elements or more bytes than 32 bits can address."""
    return any(
        math.prod(shape) > bounds.elements or math.prod(shape) * dtype_bytes(problem, name) > bounds.bytes
        for name, shape in problem.shapes.items()
    )


def draw_large_arrays(subject: BackendUnderTest, problem: Problem) -> Held:
    """Draw the inputs; raises NotExactError where the backend's sums are not exact, or outputs cannot be sampled."""
    if problem.operator not in RECOMPUTED:
        raise NotExactError(f"nothing says what one output of {problem.operator} is beside the whole array")
    numerics = subject.numerics(problem)
    check_exact(problem, numerics, subject.backend.name)
    held = draw_held(subject, problem)
    held.rounds = numerics.normwise and not problem.operator.spec.selects
    if "indices" in problem.operator.inputs:
        draw_indices(held)
    return held


def call_on_large_arrays(held: Held) -> None:
    """Run the prepared call and keep its outputs."""
    prepared = held.subject.prepare_devices(held.problem, held.arrays)
    take_outputs(held, prepared.run())


def judge_large_outputs(held: Held, bounds: Bounds = Bounds()) -> Deviation:
    """Compare samples, then every element: maxima one by one, sums by random contraction."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):  # products of a block are too small to share among threads
        return _judge(held, bounds)


def _judge(held: Held, bounds: Bounds) -> Deviation:
    parts = [check_places(held, bounds), *_check_inputs(held, bounds)]
    if held.problem.operator.spec.selects:
        parts.append(_check_maxima(held))
    else:
        parts += check_contraction(held)
    found = worst_of(*parts)
    if not found.passed and all(part.passed for part in parts if part.index):
        named = find_wrong(held)
        if named is not None:
            return replace(named, compared=found.compared, note=f"{named.note}; {found.describe()}".strip("; "))
    return found


def check_exact(problem: Problem, numerics: Numerics, name: str) -> None:
    """Raise NotExactError unless every sum must have the same bits, or round to them, by its shape.

    problem: shapes and dtype. numerics: as declared by the backend. name: of the backend, for the message.
    """
    if problem.operator.spec.selects:
        return
    (largest, share), longest = amplitude(problem), longest_sum(problem)
    bits = min(numerics.sums_in(problem.dtype).bits, FORMATS[problem.dtype].bits)
    most = longest * largest**2 + largest if share == 1.0 else longest * share
    exact = most <= 2.0**bits and _divides_exactly(problem)
    if numerics.normwise and exact:
        exact = _bound_of_norms(problem, numerics, largest) < 0.5
    if not exact:
        raise NotExactError(f"sums of {problem.line} are not exact in {problem.dtype} ({name}, {numerics.algorithm})")


def _divides_exactly(problem: Problem) -> bool:
    """True if every divisor of a mean is a power of two: along an axis it is at most the kernel's size."""
    if problem.operator.spec.sums_exactly:
        return True
    padded = not problem.window.count_include_pad and any(side for pair in problem.window.padding for side in pair)
    inside = padded or problem.window.ceil_mode
    return all(m & (m - 1) == 0 and (m <= 2 or not inside) for m in problem.kernel)


def _bound_of_norms(problem: Problem, numerics: Numerics, largest: int) -> float:
    """Return the bound of a norm-wise algorithm, from the largest norms that the data can have."""
    reach = problem.window.reach(problem.kernel)
    points = math.prod(n + r for n, r in zip(problem.forward_spatial, reach, strict=True))
    factor = WINOGRAD[numerics.tile] if numerics.algorithm == "winograd" else 12.0 * max(1.0, math.log2(points))
    first, second = (math.prod(problem.shapes[name]) for name in (problem.operator.spec.factors * 2)[:2])
    if problem.operator.spec.multiplies and not problem.operator.spec.sums_positions:
        assert problem.w is not None
        first = first // problem.x[0] // problem.window.groups
        second = second // problem.w[1 if problem.operator.spec.scatters else 0]
    sums = numerics.sums_in(problem.dtype).u * factor * math.sqrt(first) * math.sqrt(second) * largest**2
    return sums + FORMATS[problem.dtype].u * LAMBDA


# --- samples -------------------------------------------------------------------------------------------------------


def find_offsets(problem: Problem, name: str, bounds: Bounds) -> list[int]:
    """Return flat offsets of an array to sample: its ends, those around limits of addresses, and random ones.

    name: of the array.
    problem: shapes and dtype. bounds: largest numbers of elements and of bytes that an address of 32 bits reaches.
    """
    size, item = math.prod(problem.shapes[name]), dtype_bytes(problem, name)
    limits = {bounds.elements // 2, bounds.elements, bounds.bytes // 2 // item, bounds.bytes // item}
    around = {k * limit + step for limit in limits for k in (1, 2, 3) for step in (-1, 0, 1)}
    last = [size - 1, size - 1 - math.prod(problem.shapes[name][1:])]
    random = seeded_generator(problem.seed, f"places of {name}").integers(size, size=RANDOM_PLACES)
    return sorted({offset for offset in (0, 1, *last, *around, *map(int, random)) if 0 <= offset < size})


def _check_inputs(held: Held, bounds: Bounds) -> Iterator[Deviation]:
    """Check that the inputs still hold the drawn values at the sampled places."""
    for name, tile in held.tiles.items():
        offsets = find_offsets(held.problem, name, bounds)
        there = [tuple(slice(i, i + 1) for i in held.locate(name, offset)) for offset in offsets]
        got = np.array([float(held.read(name, at).reshape(())) for at in there])
        found = compare_arrays(got, tile.take(np.array(offsets)), what=f"{name} after the call")
        yield replace(found, index=held.locate(name, offsets[found.index[0]]))


def check_places(held: Held, bounds: Bounds) -> Deviation:
    """Recompute outputs at the offsets of every output, and outputs that read the inputs' elements at theirs."""
    problem, places = held.problem, dict[Sizes, None]()
    for name in problem.shapes:
        for offset in find_offsets(problem, name, bounds):
            places[_output_at(held, name, held.locate(name, offset))] = None
    affordable = max(4, SAMPLED_WORK // longest_sum(problem)) if problem.operator.spec.sums_positions else len(places)
    chosen = list(places)[:: max(1, -(-len(places) // affordable))]
    return compare_places(held, chosen)


def compare_places(held: Held, places: list[Sizes]) -> Deviation:
    """Compare the outputs at some indices with recomputed ones."""
    wanted, parts = [recompute(held, at) for at in places], []
    for number, name in enumerate(held.problem.operator.outputs):
        got = [float(held.read(name, tuple(slice(i, i + 1) for i in at)).reshape(())) for at in places]
        found = compare_arrays(np.array(got), np.array([one[number] for one in wanted]), what=name)
        parts.append(replace(found, index=places[found.index[0]], note=""))
    return worst_of(*parts)


def _output_at(held: Held, name: str, at: Sizes) -> Sizes:
    """Return the index of an output that reads, or is, an element of an array; `at` selects among several channels."""
    problem, out = held.problem, held.problem.operator.outputs[0]
    if name in problem.operator.outputs:
        return at
    shape, turn = problem.shapes[out], sum(at)
    if problem.operator is Operator.conv_bias_grad:
        return (at[1],)
    if problem.operator.pools:
        if "indices" in problem.operator.inputs and name != "x":
            index = int(held.read("indices", tuple(slice(i, i + 1) for i in at)).reshape(()))
            return (*at[:2], *map(int, np.unravel_index(max(0, index), shape[2:])))
        return (*at[:2], *_reader(held, name, at[2:], turn)) if name != "x" or out != "dx" else at
    return _convolution_output(held, name, at, shape, turn)


def _convolution_output(held: Held, name: str, at: Sizes, shape: Sizes, turn: int) -> Sizes:
    problem = held.problem
    assert problem.w is not None
    groups = problem.window.groups
    outs, ins = problem.w[0] // groups, problem.w[1]
    if problem.operator is Operator.conv_weight_grad:
        if name == "dy":
            return (at[1], turn % ins, *(turn % m for m in shape[2:]))
        return (at[1] // ins * outs + turn % outs, at[1] % ins, *(turn % m for m in shape[2:]))
    forwards = not problem.operator.spec.scatters
    image, space = turn % shape[0], tuple((turn * 7919) % p for p in shape[2:])
    if name == "b":
        return (image, at[0], *space)
    if name == "w":
        return (image, at[0] if forwards else at[0] // outs * ins + at[1], *space)
    channel = at[1] // ins * outs + turn % outs if forwards else at[1] // outs * ins + turn % ins
    return (at[0], channel, *_reader(held, name, at[2:], turn))


def _reader(held: Held, name: str, place: Sizes, turn: int) -> Sizes:
    """Positions of an output whose window holds a position of the first input; any where there is none."""
    forwards, found = not held.problem.operator.spec.scatters, []
    shape = held.problem.output[2:]
    for axis, at, size in zip(axes_of(held.problem), place, shape, strict=True):
        pairs = axis.readers(at) if forwards else axis.reads(at)
        found.append(pairs[turn % len(pairs)][0] if pairs else min(at, size - 1))
    return tuple(found)


def find_wrong(held: Held) -> Deviation | None:
    """A wrong output by its index, among random ones and those beyond the first half; None where none is met."""
    if held.problem.operator.spec.sums_positions:
        tries = max(8, min(SEARCHED, SAMPLED_WORK // longest_sum(held.problem)))
    else:
        tries = SEARCHED
    name = held.problem.operator.outputs[0]
    size, rng = math.prod(held.problem.shapes[name]), seeded_generator(held.problem.seed, "search")
    offsets = itertools.chain(rng.integers(size, size=tries // 2), rng.integers(size // 2, size, size=tries // 2))
    found = compare_places(held, [held.locate(name, int(offset)) for offset in offsets])
    return None if found.passed else found


# --- every element -------------------------------------------------------------------------------------------------


def _check_maxima(held: Held) -> Deviation:
    """Compare every maximum and every index; stops after the first block that differs."""
    compared = 0
    for box, y, indices in pool_blocks(held, held.subject.numerics(held.problem).ties):
        got = {"y": held.read("y", box).astype(np.float32), "indices": held.read("indices", box)}
        compared += y.size + indices.size
        for name, wanted in (("y", y), ("indices", indices)):
            if not np.array_equal(got[name], wanted):
                found = compare_arrays(got[name], wanted, what=name)
                where = tuple(i + at.start for i, at in zip(found.index, box, strict=True))
                return replace(found, index=where, compared=compared)
    return Deviation(kind="exact", worst=0.0, compared=compared, what="y and indices", index=(0,))


def check_contraction(held: Held) -> Iterator[Deviation]:
    """Compare both sides of the random contraction, in every round."""
    size, what = math.prod(held.problem.output), f"random contraction of {held.problem.operator.outputs[0]}"
    for number, (got, wanted) in enumerate(contract_problem(held)):
        value, apart = (math.nan, math.nan) if got is None else (_as_float(got), _as_float(got - wanted))
        yield Deviation(
            kind="exact", worst=0.0 if got == wanted else math.inf, compared=0 if number else size, what=what,
            got=value, wanted=_as_float(wanted), bound=0.0, note="" if got == wanted else f"apart by {apart:.6g}",
        )  # fmt: skip


def _as_float(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
