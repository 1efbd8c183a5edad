"""The network as a graph: nodes in the order of evaluation, each an operator with its problem or a piece of glue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.problems.problem import ITEM_BYTES, Problem
from harness.problems.window import Sizes

INPUT = "input"  # the name of what the network reads
Work = Literal["forward", "step"]  # outputs alone, or outputs, loss and all gradients
Loss = Literal["cross-entropy", "projection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation of a network.

    kind: a forward operator (conv, conv_transpose, max_pool, avg_pool), or the name of a glue function.
    inputs: names of the nodes that it reads. shape: of its output, n c *s.
    problem: of an operator; options: constants of glue.
    parameters: learnable arrays by name (w, b; gamma, beta); statistics: arrays that stay fixed (mean, variance).
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: Sizes
    problem: Problem | None = None
    options: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Sizes] = field(default_factory=dict)
    statistics: Mapping[str, Sizes] = field(default_factory=dict)

    @property
    def gradients(self) -> dict[str, Problem]:
        """The problems of an operator's gradients, by the name of what they give: dx, and dw, db where it has w, b.

        The input gradient of conv_transpose is conv, and its kernel's gradient is conv's with x and dy exchanged.
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
    dtype: str
    nodes: tuple[Node, ...]
    loss: Loss

    @property
    def output(self) -> Node:
        """The node that the loss reads."""
        return self.nodes[-1]

    @property
    def parameters(self) -> dict[str, Sizes]:
        """Learnable arrays, as node.name."""
        return {f"{node.name}.{name}": shape for node in self.nodes for name, shape in node.parameters.items()}

    @property
    def statistics(self) -> dict[str, Sizes]:
        """Arrays that stay fixed, as node.name."""
        return {f"{node.name}.{name}": shape for node in self.nodes for name, shape in node.statistics.items()}

    def count(self, *, statistics: bool = False) -> int:
        """Number of learnable numbers; `statistics` adds the fixed ones."""
        shapes = [*self.parameters.values(), *(self.statistics.values() if statistics else ())]
        return sum(math.prod(shape) for shape in shapes)

    def layers(self, work: Work) -> Counter[Problem]:
        """The distinct problems of a pass, with how often each occurs."""
        return Counter(problem for node in self.nodes for problem in problems_of(node, work))

    def activation_bytes(self, work: Work) -> int:
        """Most bytes of activations at once: in a step all of them, forwards alone each until its last reader."""
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
    """The problems that a node poses in a pass."""
    if node.problem is None:
        return []
    return [node.problem, *(node.gradients.values() if work == "step" else ())]


def last_readers(nodes: Iterable[Node]) -> dict[str, str]:
    """For every array that is read, the node that reads it last."""
    return {name: node.name for node in nodes for name in node.inputs}
