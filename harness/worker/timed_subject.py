"""What a session times: one operator or a whole network, drawn, bound to arrays, and judged in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.backend.base import Backend
from harness.laws.deviation import Deviation, worst_of
from harness.laws.exhibit import Exhibit
from harness.laws.networks.error_bounds import depth_bound
from harness.laws.networks.subject import NetworkUnderTest, PreparedPass
from harness.laws.networks.verify import compare_norms, verify_network_layers
from harness.laws.subject import BackendUnderTest, PreparedCall
from harness.laws.verify import verify
from harness.networks.graph import INPUT
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import NetworkProblem
from harness.problems.data import make_arrays
from harness.problems.problem import Problem

Array = NDArray[Any]
KEPT = frozenset({"w", "b"})  # what a plan may keep in a form of its own


class Member(Protocol):
    """A call bound to arrays: `call` and `synchronize` are what is timed, `fetch` brings the outputs to the host."""

    @property
    def call(self) -> Any:
        """The call without arguments."""

    def run(self) -> Any:
        """Call once and wait until every queued operation has ended."""

    def fetch(self, result: Any) -> dict[str, Array]:
        """Outputs by name, on the host."""


class TimedSubject(Protocol):
    """One problem on one backend."""

    @property
    def subject(self) -> BackendUnderTest | NetworkUnderTest:
        """The backend as its problem sees it."""

    @property
    def backend(self) -> Backend:
        """Whose time it is."""

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Arrays on the host, from the problem's own seed; of another one at least those that it does not keep."""

    def keeps(self, name: str) -> bool:
        """Whether a plan may keep an array in a form of its own; the others change between blocks."""

    def own(self, host: Mapping[str, Array]) -> dict[str, Any]:
        """Device arrays that share no memory with the host's, so that they can be filled again."""

    def bind(self, devices: Mapping[str, Any]) -> Member:
        """Plan the call that is timed."""

    @property
    def regime(self) -> str:
        """Regime of the data that calls read anew."""

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """How far outputs are from what these arrays ask for.

        seed: of what a large problem is verified by, where nobody is to know it beforehand; else the problem's own.
        """


@dataclass(frozen=True, slots=True)
class TimedOperator:
    """One operator."""

    subject: BackendUnderTest
    problem: Problem

    @property
    def backend(self) -> Backend:
        """Whose time it is."""
        return self.subject.backend

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Arrays of the problem."""
        return make_arrays(self.problem if seed is None else self.problem.with_(seed=seed))

    def keeps(self, name: str) -> bool:
        """Kernels and biases."""
        return name in KEPT

    def own(self, host: Mapping[str, Array]) -> dict[str, Any]:
        """Copies in the problem's dtype and memory layout."""
        return self.subject.devices(self.problem, {name: a.copy(order="K") for name, a in host.items()})

    def bind(self, devices: Mapping[str, Any]) -> PreparedCall:
        """The backend's own plan."""
        return self.subject.prepare_devices(self.problem, devices)

    @property
    def regime(self) -> str:
        """The problem's."""
        return self.problem.data

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Against the reference, within the bound of the declared class."""
        problem = self.problem if seed is None else self.problem.with_(seed=seed)
        return verify(problem, self.subject.numerics(self.problem), host, outputs)


@dataclass(frozen=True, slots=True)
class TimedNetwork:
    """A whole network, by the plain methods of the backend: no plan outlives a call."""

    subject: NetworkUnderTest

    @property
    def backend(self) -> Backend:
        """Whose time it is."""
        return self.subject.backend

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Parameters, statistics, input and target; of another seed the last two, which alone change."""
        problem = self.subject.problem
        return make_values(problem) | make_ends(problem) if seed is None else make_ends(problem.with_(seed=seed))

    def keeps(self, name: str) -> bool:
        """Parameters and statistics."""
        return name not in (INPUT, TARGET)

    def own(self, host: Mapping[str, Array]) -> dict[str, Any]:
        """Copies on the device."""
        return self.subject.to_device({name: a.copy() for name, a in host.items()})

    def bind(self, devices: Mapping[str, Any]) -> PreparedPass:
        """A pass on these arrays."""
        return PreparedPass(self.subject, partial(self.subject.run, devices, devices, keep=False))

    @property
    def regime(self) -> str:
        """Of the input."""
        return "normal"

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Every layer of another pass on the same arrays against the reference, and this pass against that one."""
        devices = self.own(host)
        layers, tape = verify_network_layers(self.subject, devices, devices)
        again = self.subject.fetch_results(tape)
        bound = depth_bound(self.subject.network, self.subject.problem.work, self.subject.numerics_for)
        parts = [compare_norms(f"{name} of a timed call", outputs[name], a, bound) for name, a in again.items()]
        return replace(worst_of(layers, *parts), exhibit=describe_network(self.subject.problem))


def describe_network(problem: NetworkProblem) -> Exhibit:
    """Parameters, activations and layers, for reports, which do not know the graph."""
    network = problem.network
    figures = {
        "parameters": float(network.count()), "operations": float(problem.flops),
        "activation bytes": float(network.activation_bytes(problem.work)),
    }  # fmt: skip
    return Exhibit(figures=figures, parts={one.line: count for one, count in network.layers(problem.work).items()})


def choose_timed_subject(subject: BackendUnderTest | NetworkUnderTest) -> TimedSubject:
    """Choose how the problem of a backend is timed: one operator or a whole network."""
    if isinstance(subject, NetworkUnderTest):
        return TimedNetwork(subject)
    return TimedOperator(subject, subject.problem)


def equal_outputs(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Whether all outputs are the same, bit for bit."""
    return all(np.array_equal(first[name], a) for name, a in second.items())
