"""Error bounds of whole networks: the response of the network itself to noise of the size of each rounding error.

The network is evaluated in float64, and again with random noise added to the outputs of every operator and every
element-wise operation, as large as the rounding errors of the backend's algorithm class there (Monte Carlo arithmetic,
Parker 1997; for rounding errors as random variables, Higham and Mary 2019). Every layer adds its share and passes on
its input's, so the bound grows with depth as this network makes it grow. For each array t, with D the root mean
square over DRAWS of ||t noisy - t||:
    ||got - t|| <= LAMBDA (D + u ||t||).
Noise of an operator with sums of K products a b: (q u + 2 u_in + r u_out) max(rms(y), sqrt(K) rms(a) rms(b)), with
q = sqrt(K) for direct and gemm, at least log2(points) for fft and the constant of the tile for winograd, u_in for
rounded inputs (else 0), and r roundings of the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from harness.laws.error_bounds import LAMBDA, WINOGRAD, count_roundings, input_rounding
from harness.networks.evaluate import Compute, Tape, backward, forward
from harness.networks.graph import INPUT, Network, Node, Work, problems_of
from harness.networks.initialise import TARGET
from harness.problems import reference
from harness.problems.accumulation import longest_sum
from harness.problems.arrays import Array
from harness.problems.numerics import FORMATS, Numerics
from harness.problems.problem import Problem

NumericsFor = Callable[[Node, Problem], Numerics]
NOISE_DRAWS = 2
GLUE_ROUNDINGS = 8  # rounding errors of one element-wise operation, including powers and exponentials


def compute_reference(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs of an operator computed by the reference, in float64.

    node: ignored; part of the interface of a `Compute`.
    problem, arrays: of the operator, inputs by name.
    """
    return reference.compute(problem, arrays)


def follow(compute: Compute, decisions: Mapping[str, Array]) -> Compute:
    """Return the same computation, but with maxima replaced by the elements that were chosen before."""

    def followed(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        if not problem.operator.spec.selects:
            return compute(node, problem, arrays)
        return {"y": take_elements(arrays["x"], decisions[node.name]), "indices": decisions[node.name]}

    return followed


def take_elements(x: Array, indices: Array) -> Array:
    """Return the elements of every map at flat places; x n c *s, indices n c *p."""
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
    """Run forwards, and backwards if there is a target, in float64.

    compute: runs one operator.
    values: parameters and statistics by name.
    ends: input and, for a training step, target.
    decisions: choices of maxima and rectifiers to follow; None decides anew.
    touch: called with name and value of each array; returns the array that replaces it.
    """
    wide = {name: a.astype(np.float64) for name, a in values.items()}
    compute = compute if decisions is None else follow(compute, decisions)
    tape = forward(network, compute, wide, ends[INPUT].astype(np.float64), decisions=decisions, touch=touch)
    if TARGET in ends:
        backward(network, compute, wide, tape, ends[TARGET].astype(np.float64), touch=touch)
    return tape


def arrays_of(tape: Tape) -> dict[str, Array]:
    """Return all arrays in which two evaluations are compared: outputs, loss, error terms, gradients."""
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
    """Return D for every array of `arrays_of`: how far noise of the size of the rounding errors moves it.

    numerics_for: declared numerics for each node and problem.
    values: parameters and statistics by name.
    ends: input and, for a training step, target.
    truth: evaluation in float64.
    decisions: of maxima and rectifiers, as made by the backend.
    seed: of the noise.
    """
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
    """Return the reference with noise as large as rounding errors added to every sum; selections stay exact."""

    def noisy(node: Node, problem: Problem, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        outputs = compute_reference(node, problem, arrays)
        name = problem.operator.outputs[0]
        size = rounding_size(problem, numerics_for(node, problem), arrays, outputs[name])
        if size:
            outputs[name] = outputs[name] + size * draw_noise(rng, outputs[name].shape)
        return outputs

    return noisy


def add_relative_noise(rng: np.random.Generator, a: Array, size: float) -> Array:
    """Return an array with noise on every element, of standard size `size` relative to the element.

    rng: source of the noise.
    a: array. size: relative size of the noise.
    """
    return a + (size * a) * draw_noise(rng, a.shape)


def draw_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return normal numbers; float32 suffices here and is drawn in half the time."""
    return rng.standard_normal(shape, dtype=np.float32)


def rounding_size(problem: Problem, numerics: Numerics, arrays: Mapping[str, Array], y: Array) -> float:
    """Standard size of the rounding errors of one operator; 0 for a selection.

    problem: the operator's. numerics: as declared by the backend. arrays: inputs by name. y: output.
    """
    if problem.operator.spec.selects:
        return 0.0
    length, u, out = longest_sum(problem), numerics.sums_in(problem.dtype).u, FORMATS[problem.dtype].u
    size, spread = root_mean_square(y), math.sqrt(length)
    if problem.operator.spec.multiplies:
        first, second = problem.operator.spec.factors
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
    sums = (2 if input_rounding(problem, numerics) else 1) * u * spread * size
    return sums + (2 * input_rounding(problem, numerics) + count_roundings(problem, numerics) * out) * size


def root_mean_square(a: Array) -> float:
    """Return sqrt(mean of a^2)."""
    return math.sqrt(float(np.mean(np.square(a, dtype=np.float64)))) if a.size else 0.0


def allowed(wanted: Array, moved: float, u: float) -> float:
    """Return the bound on ||got - wanted||.

    moved: D, the response to noise.
    u: unit roundoff of the network's dtype.
    """
    return LAMBDA * (moved + u * float(np.linalg.norm(wanted)))


def depth_bound(network: Network, work: Work, numerics_for: NumericsFor) -> float:
    """Return the bound on ||a - b|| / ||b|| of two passes of one implementation that sums in a different order each.

    work: forwards or a training step.
    numerics_for: declared numerics for each node and problem.
    The bound is LAMBDA times the sum of sqrt(K) u over all operators, as if every layer passed on its whole input
    error.
    """
    total = 0.0
    for node in network.nodes:
        for problem in problems_of(node, work):
            total += math.sqrt(longest_sum(problem)) * numerics_for(node, problem).sums_in(problem.dtype).u
    return LAMBDA * total
