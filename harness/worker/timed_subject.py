"""Subjects of a timed session: one operator or a whole network, with one interface to draw, bind and judge it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import CopiedCall
from harness.backend.routing import Route
from harness.laws.attachments import Attachments
from harness.laws.deviation import Deviation, worst_of
from harness.laws.networks.error_bounds import depth_bound
from harness.laws.networks.subject import NetworkUnderTest, PreparedPass
from harness.laws.networks.verify import compare_norms, verify_network_layers
from harness.laws.subject import BackendUnderTest, PreparedCall
from harness.laws.verify import verify
from harness.networks.graph import INPUT
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import NetworkProblem
from harness.problems.arrays import Array, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import name_outputs
from harness.problems.data import make_arrays
from harness.problems.problem import Problem, Regime

KEPT = frozenset({"w", "b"})  # inputs that a plan may keep in its own form


class Member(Protocol):
    """A call bound to arrays: `call` and the synchronisation after it are timed, `fetch` copies outputs to the host."""

    @property
    def call(self) -> Outputs:
        """Call without arguments."""

    def run(self) -> Outputs:
        """Call once and wait until every queued operation has ended."""

    def fetch(self, result: Outputs) -> dict[str, Array]:
        """Return the outputs by name, on the host."""

    def accept(self, copies: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name from copies of a result's arrays. Raises ValueError for a wrong shape or dtype."""


class TimedSubject(Protocol):
    """One problem on one backend."""

    @property
    def subject(self) -> BackendUnderTest | NetworkUnderTest:
        """Backend under test."""

    @property
    def backend(self) -> Backend:
        """Backend that is timed."""

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Return host arrays from a seed, None for the problem's own; from another seed at least arrays that change."""

    def keeps(self, name: str) -> bool:
        """Return True if a plan may keep an array in its own form; all others change between blocks."""

    def own(self, host: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return device arrays that share no memory with the host arrays, so that they can be filled again."""

    def bind(self, devices: DeviceArrays) -> Member:
        """Plan the timed call on these device arrays."""

    def take_copies(self, member: Member) -> tuple[Member, CopiedCall | None]:
        """Return a member whose call copies nothing, and what copies its arrays outside of it; None if nothing does."""

    def name_arrays(self, result: Outputs) -> dict[str, DeviceArray]:
        """Return the output arrays of a call by name, on the device."""

    def name_again(self, arrays: Mapping[str, DeviceArray]) -> Callable[[], dict[str, DeviceArray]]:
        """Return a function that returns these arrays by name, with as much work as `name_arrays` has for a result."""

    @property
    def regime(self) -> Regime:
        """Data regime of the arrays that calls read anew."""

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Return the deviation of outputs from the right answer for these host arrays.

        seed: for the random checks of a large problem, if it must be secret; None uses the problem's own.
        """


@dataclass(frozen=True, slots=True)
class TimedOperator:
    """One operator."""

    subject: BackendUnderTest
    problem: Problem

    @property
    def backend(self) -> Backend:
        """Backend that is timed."""
        return self.subject.backend

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Return the input arrays of the problem, from its own seed or another one."""
        return make_arrays(self.problem if seed is None else self.problem.with_(seed=seed))

    def keeps(self, name: str) -> bool:
        """Return True for kernels and biases."""
        return name in KEPT

    def own(self, host: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return copies on the device, in the problem's dtype and memory layout."""
        return self.subject.devices(self.problem, {name: a.copy(order="K") for name, a in host.items()})

    def bind(self, devices: DeviceArrays) -> PreparedCall:
        """Return the backend's own plan."""
        return self.subject.prepare_devices(self.problem, devices)

    def take_copies(self, member: Member) -> tuple[Member, CopiedCall | None]:
        """Return the call on copies, and what makes them."""
        assert isinstance(member, PreparedCall)
        copied = member.call if isinstance(member.call, CopiedCall) else None
        return (member, None) if copied is None else (replace(member, call=copied.timed), copied)

    def name_arrays(self, result: Outputs) -> dict[str, DeviceArray]:
        """Return the outputs."""
        return name_outputs(self.problem, result)

    def name_again(self, arrays: Mapping[str, DeviceArray]) -> Callable[[], dict[str, DeviceArray]]:
        """Return a function that names them as the outputs of a call."""
        first, *others = arrays.values()
        return partial(self.name_arrays, (first, *others) if others else first)

    @property
    def regime(self) -> Regime:
        """Data regime of the problem."""
        return self.problem.data

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Compare with the reference, within the error bound of the declared algorithm class.

        host, outputs: by name.
        seed: for the random checks of a large problem; None uses the problem's own.
        """
        problem = self.problem if seed is None else self.problem.with_(seed=seed)
        return verify(problem, self.subject.numerics(self.problem), host, outputs)


@dataclass(frozen=True, slots=True)
class TimedNetwork:
    """A whole network, computed by the plain methods of the backend: no plan outlives a call."""

    subject: NetworkUnderTest

    @property
    def backend(self) -> Backend:
        """Backend that is timed."""
        return self.subject.backend

    def draw(self, seed: int | None) -> dict[str, Array]:
        """Return parameters, statistics, input and target; for another seed only the last two, which alone change."""
        problem = self.subject.problem
        return make_values(problem) | make_ends(problem) if seed is None else make_ends(problem.with_(seed=seed))

    def keeps(self, name: str) -> bool:
        """Return True for parameters and statistics."""
        return name not in (INPUT, TARGET)

    def own(self, host: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return copies on the device."""
        return self.subject.to_device({name: a.copy() for name, a in host.items()})

    def bind(self, devices: DeviceArrays) -> PreparedPass:
        """Return a pass on these arrays."""
        return PreparedPass(self.subject, partial(self.subject.run, devices, devices, keep=False))

    def take_copies(self, member: Member) -> tuple[Member, CopiedCall | None]:
        """Return the pass itself: no arrays of a network that is timed are copied (`find_untimed`)."""
        return member, None

    def name_arrays(self, result: Outputs) -> dict[str, DeviceArray]:
        """Return output, loss and gradients."""
        return self.subject.name_results(result)

    def name_again(self, arrays: Mapping[str, DeviceArray]) -> Callable[[], dict[str, DeviceArray]]:
        """Return a function that returns them; the names of a tape's results cost nothing."""
        return partial(dict, arrays)

    @property
    def regime(self) -> Regime:
        """Data regime of the input."""
        return "normal"

    def judge(self, host: Mapping[str, Array], outputs: Mapping[str, Array], seed: int | None = None) -> Deviation:
        """Verify each layer of a second pass on the same arrays with the reference, and compare the two passes.

        host, outputs: by name.
        seed: not used.
        """
        devices = self.own(host)
        layers, tape = verify_network_layers(self.subject, devices, devices)
        again = self.subject.fetch_results(tape)
        bound = depth_bound(self.subject.network, self.subject.problem.work, self.subject.numerics_for)
        parts = [compare_norms(f"{name} of a timed call", outputs[name], a, bound) for name, a in again.items()]
        return replace(worst_of(layers, *parts), attachments=describe_network(self.subject.problem))


def describe_network(problem: NetworkProblem) -> Attachments:
    """Return parameters, operations, activation bytes and layers for reports, which do not know the graph."""
    network = problem.network
    figures = {
        "parameters": float(network.count()), "operations": float(problem.flops),
        "activation bytes": float(network.activation_bytes(problem.work)),
    }  # fmt: skip
    return Attachments(figures=figures, parts={one.line: count for one, count in network.layers(problem.work).items()})


def choose_timed_subject(subject: BackendUnderTest | NetworkUnderTest) -> TimedSubject:
    """Return the timed form of a backend under test: one operator or a whole network."""
    if isinstance(subject, NetworkUnderTest):
        return TimedNetwork(subject)
    return TimedOperator(subject, subject.problem)


def find_untimed(problem: Problem | NetworkProblem, route: Route, copies: bool, *, counted: bool = False) -> str | None:
    """Return why calls of a backend have no times of their own; None if they have.

    problem, route: what is to be timed. copies: whether arrays of the backend, or of the partner in a mixed network,
    cannot be written in place. counted: whether instructions are to be counted instead.
    """
    if not copies:
        return None
    copied = "its arrays cannot be written in place, so that the harness copies them"
    if counted:
        return f"its instructions are not counted: {copied} for each call"
    if isinstance(problem, NetworkProblem):
        return f"a network is not timed: {copied} in the middle of each pass"
    if route.kind == "derived":
        return f"a derived operator is not timed: {copied} in the middle of each call"
    return None


def equal_outputs(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    """Return True if all outputs are equal bit for bit."""
    return all(np.array_equal(first[name], a) for name, a in second.items())
