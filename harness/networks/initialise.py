"""Values of a network: parameters, statistics, an input and a target, all from the problem's seed.

The variance of kernels keeps the size of activations constant: 2/fan-in before a ReLU (He, Zhang, Ren and Sun 2015,
section 2.2), else 1/fan-in. The input of a softmax is half as large, because maxima and additions increase activations
on the way, and a saturated softmax has no gradient.
"""

from __future__ import annotations

import math

import numpy as np

from harness.networks.graph import INPUT, Network, Node
from harness.networks.problem import NetworkProblem
from harness.problems.arrays import Array
from harness.problems.numerics import dtype_of
from harness.problems.seeds import seeded_generator

TARGET = "target"


def make_values(problem: NetworkProblem) -> dict[str, Array]:
    """Draw the parameters and statistics as node.name, in the problem's dtype."""
    network, dtype = problem.network, dtype_of(problem.dtype)
    powers = _powers(network)
    return {
        f"{node.name}.{name}": _draw(node, name, shape, problem.seed, powers[node.name]).astype(dtype)
        for node in network.nodes
        for name, shape in (*node.parameters.items(), *node.statistics.items())
    }


def make_ends(problem: NetworkProblem) -> dict[str, Array]:
    """Draw the input, and in a step the target: random one-hot labels, or random numbers for a projection."""
    network, dtype = problem.network, dtype_of(problem.dtype)
    found = {INPUT: seeded_generator(problem.seed, INPUT).standard_normal(network.input).astype(dtype)}
    if problem.work == "step":
        shape, rng = network.output.shape, seeded_generator(problem.seed, TARGET)
        if network.loss == "projection":
            target = rng.standard_normal(shape)
        else:
            labels = rng.integers(shape[1], size=(shape[0], 1, *shape[2:]))
            target = np.zeros(shape)
            np.put_along_axis(target, labels, 1.0, axis=1)
        found[TARGET] = target.astype(dtype)
    return found


def _powers(network: Network) -> dict[str, float]:
    """Variance of each node's kernel times its fan-in."""
    rectified = _before_rectifier(network)
    found = {node.name: 2.0 if node.name in rectified else 1.0 for node in network.nodes}
    if network.loss == "cross-entropy":
        found[network.output.name] = 0.25
    return found


def _before_rectifier(network: Network) -> frozenset[str]:
    """Nodes whose output reaches a ReLU before another kernel."""
    readers: dict[str, list[Node]] = {}
    for node in network.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    found: set[str] = set()
    for node in reversed(network.nodes):
        for reader in readers.get(node.name, []):
            if reader.kind == "relu" or ("w" not in reader.parameters and reader.name in found):
                found.add(node.name)
    return frozenset(found)


def _draw(node: Node, name: str, shape: tuple[int, ...], seed: int, power: float) -> Array:
    rng = seeded_generator(seed, f"{node.name}.{name}")
    if name == "w":
        assert node.problem is not None
        if node.problem.operator.spec.transposed:
            fan = node.problem.x[1] // node.problem.window.groups * math.prod(node.problem.kernel)
            fan = max(1, fan // math.prod(node.problem.window.stride))
        else:
            fan = math.prod(shape[1:])
        return rng.standard_normal(shape) * math.sqrt(power / fan)
    if name == "gamma":
        return node.options["gain"] * rng.uniform(0.75, 1.25, shape)
    if name == "variance":
        return rng.uniform(0.75, 1.25, shape)
    return 0.1 * rng.standard_normal(shape)  # b, beta, mean
