"""The network as a graph: nodes in evaluation order, each an operator with its problem or another operation."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from harness.problems.numerics import Dtype
from harness.problems.operator import Operator
from harness.problems.problem import ITEM_BYTES, Problem
from harness.problems.window import Sizes

INPUT = "input"  # name of the network's input
Work = Literal["forward", "step"]  # outputs alone, or outputs, loss and all gradients
WORKS: tuple[Work, ...] = get_args(Work)
Glue = Literal[
    "relu", "sigmoid", "tanh", "lrn", "norm", "scale", "add", "concat", "crop", "expand",
]  # fmt: skip
Loss = Literal["cross-entropy", "projection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation of a network.

    kind: a forward operator (conv, conv_transpose, max_pool, avg_pool), or a key of `elementwise.GLUE`.
    inputs: names of the input nodes. shape: output shape, n c *s.
    problem: set for operators. options: constants of other operations.
    parameters, statistics: shapes by name of the learnable arrays (w, b; gamma, beta) and of the fixed ones (mean,
        variance).
    """

    name: str
    kind: Operator | Glue
    inputs: tuple[str, ...]
    shape: Sizes
    problem: Problem | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Sizes] = field(default_factory=dict)
    statistics: Mapping[str, Sizes] = field(default_factory=dict)

    @property
    def gradients(self) -> dict[str, Problem]:
        """The problems of an operator's gradients, keyed by dx, and dw and db if it has w and b.

        The input gradient of conv_transpose is conv; its kernel gradient is that of conv with x and dy exchanged.
        """
        problem = self.problem
        if problem is None:
            return {}
        gradients = problem.operator.spec.gradients
        return {one.name: one.problem(problem) for one in gradients if one.name != "db" or problem.bias}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A graph for one batch size, input size and dtype; the last node is the output."""

    name: str
    input: Sizes
    dtype: Dtype
    nodes: tuple[Node, ...]
    loss: Loss

    @property
    def output(self) -> Node:
        """The output node, which the loss reads."""
        return self.nodes[-1]

    @property
    def parameters(self) -> dict[str, Sizes]:
        """Shapes of the learnable arrays, as node.name."""
        return {f"{node.name}.{name}": shape for node in self.nodes for name, shape in node.parameters.items()}

    @property
    def statistics(self) -> dict[str, Sizes]:
        """Shapes of the fixed arrays, as node.name."""
        return {f"{node.name}.{name}": shape for node in self.nodes for name, shape in node.statistics.items()}

    def count(self, *, statistics: bool = False) -> int:
        """Return the number of learnable numbers; `statistics` adds the fixed ones."""
        shapes = [*self.parameters.values(), *(self.statistics.values() if statistics else ())]
        return sum(math.prod(shape) for shape in shapes)

    def layers(self, work: Work) -> Counter[Problem]:
        """Count the distinct problems of a pass."""
        return Counter(problem for node in self.nodes for problem in problems_of(node, work))

    def activation_bytes(self, work: Work) -> int:
        """Return the peak bytes of activations: all of them in a step, each until its last reader in a forward pass."""
        item = ITEM_BYTES[self.dtype]
        sizes = {INPUT: math.prod(self.input)} | {node.name: math.prod(node.shape) for node in self.nodes}
        if work == "step":
            return item * sum(sizes.values())
        last = last_readers(self.nodes)
        held, most = sizes[INPUT], 0
        for node in self.nodes:
            held += sizes[node.name]
            most = max(most, held)
            held -= sum(sizes[name] for name in {*node.inputs} if last[name] == node.name)
        return item * most


def problems_of(node: Node, work: Work) -> list[Problem]:
    """Return the problems of a node in a pass."""
    if node.problem is None:
        return []
    return [node.problem, *(node.gradients.values() if work == "step" else ())]


def last_readers(nodes: Iterable[Node]) -> dict[str, str]:
    """Map every array that is read to the node that reads it last."""
    return {name: node.name for node in nodes for name in node.inputs}
