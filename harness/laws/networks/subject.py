"""A backend under test on a whole network: the interface for network laws and verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import bring_outputs
from harness.backend.refusals import name_problem
from harness.backend.routing import find_route, run
from harness.backend.watched import watch
from harness.laws.subject import BackendUnderTest
from harness.networks.evaluate import Compute, Tape, backward, forward
from harness.networks.graph import INPUT, Network, Node, problems_of
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import NetworkProblem
from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.calling import name_outputs
from harness.problems.numerics import Numerics, dtype_of
from harness.problems.problem import Problem


class NetworkUnderTest:
    """One backend, or two that alternate from operator to operator, on the network of a problem."""

    def __init__(self, backend: Backend, problem: NetworkProblem, partner: Backend | None = None) -> None:
        self.backend, self.problem, self.partner = backend, problem, partner
        self.theirs = frozenset() if partner is None else _shares(backend, problem)

    @property
    def network(self) -> Network:
        """Graph of the network."""
        return self.problem.network

    def watch(self) -> None:
        """From now on take a refusal that a backend's own method raises for an error of the backend."""
        self.backend = watch(self.backend)
        self.partner = None if self.partner is None else watch(self.partner)

    def alone(self, backend: Backend, problem: Problem) -> BackendUnderTest:
        """Return one of the backends as seen by laws of one operator."""
        return BackendUnderTest(backend, problem)

    def numerics_for(self, node: Node, problem: Problem) -> Numerics:
        """Return the numerics that the backend of a node declares for one of its problems."""
        return self.computer(node).numerics_for(problem)

    def computer(self, node: Node) -> Backend:
        """Return the backend that computes a node."""
        return self.partner if self.partner is not None and node.name in self.theirs else self.backend

    def draw(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Return values, and input and target, on the host."""
        return make_values(self.problem), make_ends(self.problem)

    def to_device(self, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return arrays of the backend's own type."""
        return {name: self.backend.to_device(a) for name, a in arrays.items()}

    def compute(self, node: Node, problem: Problem, arrays: DeviceArrays) -> DeviceArrays:
        """Compute one operator by the plain methods of its backend. Raises ValueError if an output has the wrong shape.

        node: of the graph.
        problem: one of the node's problems.
        arrays: inputs by name, of the first backend's type, as are the returned outputs.
        """
        mine, theirs = self.backend, self.computer(node)
        if theirs is not mine:
            arrays = {name: theirs.to_device(copy_to_host(mine, a)) for name, a in arrays.items()}
        with name_problem(theirs, problem):
            outputs = bring_outputs(theirs, name_outputs(problem, run(theirs, problem, arrays)))
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
        self, values: DeviceArrays, ends: DeviceArrays, compute: Compute | None = None, *, keep: bool = True
    ) -> Tape:
        """Run the pass that the problem specifies, on the backend's own arrays.

        values: parameters and statistics by name.
        ends: input and, for a training step, target.
        compute: runs one operator; None for this subject's `compute`.
        keep: whether to keep all outputs and error terms, or to drop each after its last use.
        """
        compute = compute or self.compute
        step = self.problem.work == "step"
        tape = forward(self.network, compute, values, ends[INPUT], touch=self.touch, keep=keep or step)
        if not step:
            return tape
        return backward(self.network, compute, values, tape, ends[TARGET], touch=self.touch, keep=keep)

    def touch(self, name: str, a: DeviceArray) -> DeviceArray:
        """Return the array that is used for the result of an operation between operators: the result itself."""
        return a

    def evaluate(self, values: Mapping[str, Array], ends: Mapping[str, Array]) -> Tape:
        """Run the pass from and to the host. Raises ValueError if an array is not of the problem's dtype."""
        tape = self.run(self.to_device(values), self.to_device(ends))
        self.backend.synchronize()
        return self.fetch(tape)

    def fetch(self, tape: Tape) -> Tape:
        """Return a tape on the host. Raises ValueError if an array is not of the problem's dtype."""

        def bring(arrays: DeviceArrays) -> dict[str, Array]:
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
        """Return output, loss and gradients of a tape by name, on the host."""
        return {name: copy_to_host(self.backend, a) for name, a in self.name_results(tape).items()}

    def name_results(self, tape: Tape) -> dict[str, DeviceArray]:
        """Return output, loss and gradients of a tape by name, as they are."""
        found = {"y": tape.outputs[self.network.output.name], **tape.gradients}
        if tape.loss is not None:
            found["loss"] = tape.loss
        return found


def _shares(backend: Backend, problem: NetworkProblem) -> frozenset[str]:
    """Return the nodes that a partner computes: every other operator, and all that the backend lacks."""
    operators = [node for node in problem.network.nodes if node.problem is not None]
    lacking = {
        node.name for node in operators
        if any(find_route(backend, one).kind == "unsupported" for one in problems_of(node, problem.work))
    }  # fmt: skip
    return frozenset({node.name for node in operators[1::2]} | lacking)


def copy_to_host(backend: Backend, a: DeviceArray) -> Array:
    """Return a copy as a NumPy array."""
    return np.array(backend.to_host(a))


@dataclass(frozen=True, slots=True)
class PreparedPass:
    """A timed pass: `call` returns the tape on the device."""

    subject: NetworkUnderTest
    call: Callable[[], Tape]

    def run(self) -> Tape:
        """Call once and wait until every queued operation has ended."""
        tape = self.call()
        self.subject.backend.synchronize()
        return tape

    def fetch(self, tape: Tape) -> dict[str, Array]:
        """Return output, loss and gradients by name, on the host."""
        return self.subject.fetch_results(tape)

    def accept(self, copies: Mapping[str, Array]) -> dict[str, Array]:
        """Return output, loss and gradients by name from copies of a tape's arrays."""
        return dict(copies)
