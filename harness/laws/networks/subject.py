"""A backend seen through a whole network: what network laws and verification talk to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.backend.base import Backend
from harness.backend.routing import find_route, run
from harness.networks.evaluate import Compute, Tape, backward, forward
from harness.networks.graph import INPUT, Network, Node, problems_of
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import NetworkProblem
from harness.problems.calling import name_outputs
from harness.problems.numerics import Numerics, dtype_of
from harness.problems.problem import Problem

Array = NDArray[Any]


class NetworkUnderTest:
    """One backend, or two that take turns from operator to operator, on the network of a problem."""

    def __init__(self, backend: Backend, problem: NetworkProblem, partner: Backend | None = None) -> None:
        self.backend, self.problem, self.partner = backend, problem, partner
        self.theirs = frozenset() if partner is None else _shares(backend, problem)

    @property
    def network(self) -> Network:
        """The graph."""
        return self.problem.network

    def numerics_for(self, node: Node, problem: Problem) -> Numerics:
        """What the backend that computes a node declares for one of its problems."""
        return self.computer(node).numerics_for(problem)

    def computer(self, node: Node) -> Backend:
        """The backend that computes a node."""
        return self.partner if self.partner is not None and node.name in self.theirs else self.backend

    def draw(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Values, and input and target, on the host."""
        return make_values(self.problem), make_ends(self.problem)

    def to_device(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Arrays of the backend's own kind."""
        return {name: self.backend.to_device(a) for name, a in arrays.items()}

    def compute(self, node: Node, problem: Problem, arrays: Mapping[str, Any]) -> Mapping[str, Any]:
        """Compute one operator by the backend's plain methods; gives outputs by name.

        node: of the network. problem: what the node asks. arrays: its inputs by name, on the device.
        Raises ValueError where an output has the wrong shape.
        """
        mine, theirs = self.backend, self.computer(node)
        if theirs is not mine:
            arrays = {name: theirs.to_device(copy_to_host(mine, a)) for name, a in arrays.items()}
        outputs = name_outputs(problem, run(theirs, problem, arrays))
        for name, a in outputs.items():
            if tuple(a.shape) != problem.shapes[name]:
                raise ValueError(
                    f"{node.name}: {problem.operator} gave {name} of shape {tuple(a.shape)}, "
                    f"wanted {problem.shapes[name]}"
                )
        if theirs is not mine:
            outputs = {name: mine.to_device(copy_to_host(theirs, a)) for name, a in outputs.items()}
        return outputs

    def run(
        self, values: Mapping[str, Any], ends: Mapping[str, Any], compute: Compute | None = None, *, keep: bool = True
    ) -> Tape:
        """Run the pass that the problem asks for, on the backend's own arrays.

        values: parameters and statistics by node.name. ends: input and target. compute: what computes operators; None
        for this backend. keep: hold every array, or drop each after its last reader.
        """
        compute = compute or self.compute
        step = self.problem.work == "step"
        tape = forward(self.network, compute, values, ends[INPUT], keep=keep or step)
        return backward(self.network, compute, values, tape, ends[TARGET], keep=keep) if step else tape

    def evaluate(self, values: Mapping[str, Array], ends: Mapping[str, Array]) -> Tape:
        """The same from and to the host. Raises ValueError where something is not of the problem's dtype."""
        tape = self.run(self.to_device(values), self.to_device(ends))
        self.backend.synchronize()
        return self.fetch(tape)

    def fetch(self, tape: Tape) -> Tape:
        """A tape on the host."""

        def bring(arrays: Mapping[str, Any]) -> dict[str, Array]:
            return {name: copy_to_host(self.backend, a) for name, a in arrays.items()}

        found = Tape(
            outputs=bring(tape.outputs), decisions=bring(tape.decisions), errors=bring(tape.errors),
            gradients=bring(tape.gradients),
            loss=None if tape.loss is None else float(copy_to_host(self.backend, tape.loss)),
        )  # fmt: skip
        wanted = dtype_of(self.problem.dtype)
        for name, a in (found.outputs | found.errors | found.gradients).items():
            if a.dtype != wanted:
                raise ValueError(f"{name} is {a.dtype}, wanted {wanted}")
        return found

    def fetch_results(self, tape: Tape) -> dict[str, Array]:
        """Output, loss and gradients of a tape by name, on the host."""
        found = {"y": tape.outputs[self.network.output.name], **tape.gradients}
        if tape.loss is not None:
            found["loss"] = tape.loss
        return {name: copy_to_host(self.backend, a) for name, a in found.items()}


def _shares(backend: Backend, problem: NetworkProblem) -> frozenset[str]:
    """Nodes that a partner computes: every other operator, and those that the backend lacks."""
    operators = [node for node in problem.network.nodes if node.problem is not None]
    lacking = {
        node.name for node in operators
        if any(find_route(backend, one).kind == "unsupported" for one in problems_of(node, problem.work))
    }  # fmt: skip
    return frozenset({node.name for node in operators[1::2]} | lacking)


def copy_to_host(backend: Backend, a: Any) -> Array:
    """Copy one of a backend's arrays to the host, as a NumPy array."""
    return np.array(backend.to_host(a))


@dataclass(frozen=True, slots=True)
class PreparedPass:
    """A pass that is timed: `call` gives the tape on the device."""

    subject: NetworkUnderTest
    call: Callable[[], Tape]

    def run(self) -> Tape:
        """Call once and wait until every queued operation has ended."""
        tape = self.call()
        self.subject.backend.synchronize()
        return tape

    def fetch(self, tape: Tape) -> dict[str, Array]:
        """Output, loss and gradients by name, on the host."""
        return self.subject.fetch_results(tape)
