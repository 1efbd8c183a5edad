"""A network whose operators a backend computes in its own process, one after the other.

The graph, and everything between operators, is evaluated by the judge with NumPy. Every operator gets its inputs as
arrays of the judge, so that no step of the pass but the operator itself can be reached by the backend.
"""

from __future__ import annotations

import numpy as np

from harness.backend.base import Backend
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import check_form
from harness.networks.graph import Node
from harness.networks.problem import NetworkProblem
from harness.problems.arrays import Array, DeviceArray, DeviceArrays, Outputs
from harness.problems.numerics import dtype_of
from harness.problems.problem import Problem
from harness.worker.hosted.backend import HostedBackend
from harness.worker.hosted.subject import HostedUnderTest


class GraphBackend(HostedBackend):
    """A hosted backend that takes and returns arrays of the judge.

    rounded: narrow dtype whose numbers the graph holds as float32, because NumPy would sum in that dtype itself; None
        if the graph has its own dtype.
    """

    rounded: np.dtype | None = None

    def to_device(self, array: Array) -> DeviceArray:
        """Return the array as the graph holds it."""
        return array.astype(np.float32) if self.rounded is not None and array.dtype == self.rounded else array

    def to_host(self, array: DeviceArray) -> Array:
        """Return an array of the graph in the problem's dtype."""
        given = np.asarray(array)
        return given.astype(self.rounded) if self.rounded is not None and given.dtype == np.float32 else given

    def synchronize(self, result: Outputs = None) -> None:
        """Do nothing: every call has waited for its end."""


class HostedNetworkUnderTest(NetworkUnderTest):
    """A network whose operators are computed in other processes, in one for each backend."""

    def __init__(self, backend: GraphBackend, problem: NetworkProblem, partner: GraphBackend | None = None) -> None:
        """See `NetworkUnderTest`."""
        super().__init__(backend, problem, partner)
        self.graph, self.hosted = backend, {backend.name: backend}
        if partner is not None:
            self.hosted[partner.name] = partner
        for one in self.hosted.values():
            one.rounded = dtype_of("bfloat16") if problem.dtype == "bfloat16" else None

    def alone(self, backend: Backend, problem: Problem) -> HostedUnderTest:
        """Return one of the backends as seen by laws of one operator."""
        return HostedUnderTest(self.hosted[backend.name], problem)

    def touch(self, name: str, a: DeviceArray) -> DeviceArray:
        """Return the result of an operation between operators, rounded to the dtype of the network."""
        return self.graph.to_device(self.graph.to_host(a)) if self.graph.rounded is not None else a

    def compute(self, node: Node, problem: Problem, arrays: DeviceArrays) -> DeviceArrays:
        """Compute one operator in the process of its backend.

        node: of the graph.
        problem: one of the node's problems.
        arrays: inputs by name.
        Raises ValueError if an output has the wrong shape or dtype.
        """
        given = {name: self.graph.to_host(a) for name, a in arrays.items() if a is not None}
        outputs = self.hosted[self.computer(node).name].compute(problem, given)
        for name, a in outputs.items():
            try:
                check_form(problem, name, a)
            except ValueError as error:
                raise ValueError(f"{node.name}: {error}") from None
        return {name: self.graph.to_device(a) for name, a in outputs.items()}
