"""How far rounding may carry a whole network: the answer of the network itself to noise of the size of each rounding.

The network is evaluated in float64, and again with random noise added to what every operator and every piece of glue
gives, as large as the rounding errors that the backend's class of algorithm commits there (Monte Carlo arithmetic,
Parker 1997; that roundings behave like random variables: Higham and Mary 2019). Every layer adds its share and passes
on what it got, so the bound grows with depth as this network makes it grow. For each array t, with D the root mean
square over NOISE_DRAWS of ||t noisy - t||:
    ||got - t|| <= LAMBDA (D + u ||t||).
Noise of an operator with sums of K products a b: sqrt(K) u max(rms(y), sqrt(K) rms(a) rms(b)) for direct and gemm,
with log2(points) for sqrt(K) in fft and the constant of the tile in winograd, and u_in of rounded inputs beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.laws.error_bounds import FACTORS, LAMBDA, WINOGRAD, input_rounding
from harness.networks.evaluate import Compute, Tape, backward, forward
from harness.networks.graph import INPUT, Network, Node, Work, problems_of
from harness.networks.initialise import TARGET
from harness.problems import reference
from harness.problems.accumulation import longest_sum
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem

Array = NDArray[Any]
NumericsFor = Callable[[Node, Problem], Numerics]
NOISE_DRAWS = 2
GLUE_ROUNDINGS = 8  # roundings of one piece of glue, powers and exponentials among them


def compute_reference(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Compute the outputs of an operator by the reference, in float64: a `Compute`.

    node: not read. problem: what is asked. arrays: inputs by name.
    """
    return reference.compute(problem, arrays)


def follow(compute: Compute, decisions: Mapping[str, Array]) -> Compute:
    """The same, but maxima take the elements that were taken before."""

    def followed(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        if problem.operator is not Operator.max_pool:
            return compute(node, problem, arrays)
        return {"y": take_elements(arrays["x"], decisions[node.name]), "indices": decisions[node.name]}

    return followed


def take_elements(x: Array, indices: Array) -> Array:
    """Take the elements of every map at flat places; x n c *s, indices n c *p."""
    flat = x.reshape(*x.shape[:2], -1)
    return np.take_along_axis(flat, indices.reshape(*x.shape[:2], -1), axis=2).reshape(indices.shape)


def evaluate(
    network: Network,
    compute: Compute,
    values: Mapping[str, Array],
    ends: Mapping[str, Array],
    decisions: Mapping[str, Array] | None = None,
    touch: Callable[[str, Array], Array] = lambda name, a: a,
) -> Tape:
    """Forwards, and backwards where there is a target, in float64; decisions are followed where they are given."""
    wide = {name: a.astype(np.float64) for name, a in values.items()}
    compute = compute if decisions is None else follow(compute, decisions)
    tape = forward(network, compute, wide, ends[INPUT].astype(np.float64), decisions=decisions, touch=touch)
    if TARGET in ends:
        backward(network, compute, wide, tape, ends[TARGET].astype(np.float64), touch=touch)
    return tape


def arrays_of(tape: Tape) -> dict[str, Any]:
    """Every array that two evaluations are compared in: outputs, loss, error terms, gradients."""
    found = {f"y of {name}": a for name, a in tape.outputs.items() if name != INPUT}
    found |= {f"error of {name}": a for name, a in tape.errors.items()} | tape.gradients
    return found if tape.loss is None else found | {"loss": np.asarray(tape.loss, dtype=np.float64)}


def response(
    network: Network,
    numerics_for: NumericsFor,
    values: Mapping[str, Array],
    ends: Mapping[str, Array],
    truth: Tape,
    decisions: Mapping[str, Array],
    seed: int,
) -> dict[str, float]:
    """D for every array of `arrays_of`: how far noise of the size of the roundings moves it."""
    wanted, squares = arrays_of(truth), dict.fromkeys(arrays_of(truth), 0.0)
    u = FORMATS[network.dtype].u
    for draw in range(NOISE_DRAWS):
        rng = np.random.default_rng((seed, draw))

        def touch(name: str, a: Array, rng: np.random.Generator = rng) -> Array:
            return add_relative_noise(rng, a, GLUE_ROUNDINGS * u)

        noisy = evaluate(network, compute_noisily(numerics_for, rng), values, ends, decisions, touch)
        for name, a in arrays_of(noisy).items():
            squares[name] += float(np.sum((a - wanted[name]) ** 2)) / NOISE_DRAWS
    return {name: math.sqrt(square) for name, square in squares.items()}


def compute_noisily(numerics_for: NumericsFor, rng: np.random.Generator) -> Compute:
    """Make a `Compute` of the reference, with noise as large as roundings on every sum; selections stay exact."""

    def noisy(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        outputs = compute_reference(node, problem, arrays)
        name = problem.operator.outputs[0]
        size = rounding_size(problem, numerics_for(node, problem), arrays, outputs[name])
        if size:
            outputs[name] = outputs[name] + size * draw_noise(rng, outputs[name].shape)
        return outputs

    return noisy


def add_relative_noise(rng: np.random.Generator, a: Array, size: float) -> Array:
    """Add normal noise to every element of an array.

    rng: draws the noise. a: any shape. size: standard deviation of the noise, relative to the element.
    """
    return a + (size * a) * draw_noise(rng, a.shape)


def draw_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers; float32 is as good here and drawn in half the time."""
    return rng.standard_normal(shape, dtype=np.float32)


def rounding_size(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], y: Array) -> float:
    """Standard size of the rounding errors of one operator; 0 for a selection."""
    if problem.operator is Operator.max_pool:
        return 0.0
    length, u, out = longest_sum(problem), numerics.sums_in(problem.dtype).u, FORMATS[problem.dtype].u
    size, spread = root_mean_square(y), math.sqrt(length)
    if problem.operator in FACTORS:
        first, second = FACTORS[problem.operator]
        size = max(size, spread * root_mean_square(arrays[first]) * root_mean_square(arrays[second]))
    else:
        size = max(size, root_mean_square(next(iter(arrays.values()))))
    if numerics.algorithm == "fft":
        reach = problem.window.reach(problem.kernel)
        points = math.prod(n + r for n, r in zip(problem.forward_spatial, reach, strict=True))
        spread = max(spread, math.log2(max(2, points)))
    elif numerics.algorithm == "winograd":
        spread = max(spread, WINOGRAD[numerics.tile])
    # Tensor cores and truncating accumulators lose a full unit in the last place, not half of one.
    sums = (2 if numerics.rounds_input_to else 1) * u * spread * size
    return sums + (2 * input_rounding(problem, numerics) + numerics.output_roundings * out) * size


def root_mean_square(a: Array) -> float:
    """sqrt(mean of a^2)."""
    return math.sqrt(float(np.mean(np.square(a, dtype=np.float64)))) if a.size else 0.0


def allowed(wanted: Array, moved: float, u: float) -> float:
    """The bound on ||got - wanted||."""
    return LAMBDA * (moved + u * float(np.linalg.norm(wanted)))


def depth_bound(network: Network, work: Work, numerics_for: NumericsFor) -> float:
    """Bound on ||a - b|| / ||b|| of two passes of one implementation that sums in another order each time.

    LAMBDA times the sum of sqrt(K) u over all operators, as if every layer passed on all it got.
    """
    total = 0.0
    for node in network.nodes:
        for problem in problems_of(node, work):
            total += math.sqrt(longest_sum(problem)) * numerics_for(node, problem).sums_in(problem.dtype).u
    return LAMBDA * total
