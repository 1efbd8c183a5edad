"""Laws of whole networks: every layer, all gradients, and the loss as a function of everything."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness import Attachments, Deviation, NetworkProblem, Operator, Problem, network_law, statement
from harness.laws import NetworkUnderTest, copy_to_host, take_elements, verify_network, verify_network_layers
from harness.networks import INPUT, LOSSES, TARGET, Compute, Node, Tape, forward
from harness.problems import FORMATS, Array, DeviceArrays, find_namespace

STEPS = tuple(2.0**-k for k in range(6, 19, 2))  # of the Taylor test, each a quarter of the one before
ORDER = 1.8  # of 2 that the remainder has
ROUNDINGS = 4096  # units of the loss that rounding may hide in a difference of two of them


def _plain(problem: NetworkProblem) -> bool:
    return problem.work == "step" and not problem.mixed and problem.dtype != "float64"


@network_law(tolerance="structure", when=lambda p: _plain(p) and p.architecture.published is not None)
def parameters_are_those_published(subject: NetworkUnderTest, problem: NetworkProblem) -> Deviation:
    """sum over layers of |dw| + |db| + |dgamma| + |dbeta| = the published number of parameters

    Counted on the graph at its native size, where every layer must chain; fixed statistics count where the published
    number has them.
    """
    architecture = problem.architecture
    network = problem.with_(size=0, n=1).network
    count = network.count(statistics=architecture.counts == "all")
    found = statement(count == architecture.published, f"got {count} parameters, wanted {architecture.published}")
    return replace(found, attachments=Attachments(figures={"parameters": float(count)}))


@network_law(tolerance="bound", when=_plain)
def error_terms_layer_by_layer(subject: NetworkUnderTest, problem: NetworkProblem) -> Deviation:
    """delta_l = f'(Z_l) * sum rot180(W) wide delta_(l+1), or up(delta_(l+1)); dw_l = x_l correlated with delta_l

    (specification 1.12 to 1.17). Every operator of the pass, forwards and backwards, is compared with the reference
    on the very arrays that it was given, so that the first wrong layer is named and no other is blamed.
    """
    values, ends = subject.draw()
    return verify_network_layers(subject, subject.to_device(values), subject.to_device(ends))[0]


@network_law(tolerance="norm", when=_plain, role="network")
def network_equals_autograd(subject: NetworkUnderTest, problem: NetworkProblem) -> Deviation:
    """||t - t64|| <= 8 (D + u ||t64||) for every output, error term and gradient t, and for the loss

    t64: by torch and its own automatic differentiation in float64, or by the reference where torch is absent. D: how
    far t64 moves when every layer adds noise of the size of its roundings, so the bound grows with depth as the network
    makes it grow. Both follow the same rectifiers and maxima; each choice that the truth would not make must be one
    that rounding explains.
    """
    values, ends = subject.draw()
    return verify_network(subject, subject.evaluate(values, ends), values, ends)


@network_law(tolerance="norm", when=lambda p: p.work == "step" and bool(p.mixed))
def mixed_backends_agree(subject: NetworkUnderTest, problem: NetworkProblem) -> Deviation:
    """the same network with every other operator by another backend: ||t - t64|| <= 8 (D + u ||t64||) still

    The partner also stands in for what the backend lacks. Arrays go to and fro between the two, forwards and backwards.
    """
    values, ends = subject.draw()
    return verify_network(subject, subject.evaluate(values, ends), values, ends)


@network_law(tolerance="structure", when=lambda p: p.work == "step" and not p.mixed and p.dtype == "float64")
def loss_follows_its_gradient(subject: NetworkUnderTest, problem: NetworkProblem) -> Deviation:
    """L(theta + h v) - L(theta) - h <dL/dtheta, v> = O(h^2), theta all parameters and the input

    The Taylor test, on the backend alone and without a reference: from one h to a quarter of it the remainder must fall
    by 4^1.8 at least, down to where rounding hides it, as a gradient that is wrong anywhere leaves a remainder of O(h).
    Rectifiers and maxima keep what they chose at h = 0, on which the loss is smooth.
    """
    values, ends = subject.draw()
    tape = subject.evaluate(values, ends)
    rng = np.random.default_rng(problem.seed + 1)
    theta = {name: values[name] for name in subject.network.parameters} | {INPUT: ends[INPUT]}
    direction = {name: _size(a) * rng.standard_normal(a.shape) for name, a in theta.items()}
    slope = math.fsum(float(np.vdot(_gradient_of(tape, name), v)) for name, v in direction.items())
    base = _loss(subject, tape.decisions, values, ends)
    remainders = []
    for h in STEPS:
        moved = {name: a + h * direction[name] for name, a in theta.items()}
        loss = _loss(subject, tape.decisions, values | moved, ends | {INPUT: moved[INPUT]})
        remainders.append(abs(loss - base - h * slope))
    floor = ROUNDINGS * FORMATS[problem.dtype].u * abs(base)
    return judge_remainders(remainders, [h * abs(slope) for h in STEPS], floor)


def _size(a: Array) -> float:
    """Root mean square, 1 for zeros: steps are relative to the arrays that they change."""
    return float(np.sqrt(np.mean(a * a))) or 1.0


def _gradient_of(tape: Tape, name: str) -> Array:
    node, _, short = name.rpartition(".")
    return np.asarray(tape.gradients[f"{node}.d{short}" if node else "dx"])


def _loss(
    subject: NetworkUnderTest, decisions: Mapping[str, Array], values: Mapping[str, Array], ends: Mapping[str, Array]
) -> float:
    """The loss with the decisions of another pass."""
    backend = subject.backend
    devices = subject.to_device(
        {name: values[name] for name in (*subject.network.parameters, *subject.network.statistics)}
    )
    chosen = {name: backend.to_device(a) for name, a in decisions.items()}
    x, target = backend.to_device(ends[INPUT]), backend.to_device(ends[TARGET])
    tape = forward(subject.network, _follow(subject, decisions), devices, x, decisions=chosen, keep=False)
    y = tape.outputs[subject.network.output.name]
    loss, _ = LOSSES[subject.network.loss](find_namespace(y), y, target)
    backend.synchronize()
    return float(copy_to_host(backend, loss))


def _follow(subject: NetworkUnderTest, decisions: Mapping[str, Array]) -> Compute:
    """The backend's operators, with maxima as they were taken before."""

    def compute(node: Node, problem: Problem, arrays: DeviceArrays) -> DeviceArrays:
        if problem.operator is not Operator.max_pool:
            return subject.compute(node, problem, arrays)
        taken = take_elements(copy_to_host(subject.backend, arrays["x"]), decisions[node.name])
        return {"y": subject.backend.to_device(taken)}

    return compute


def judge_remainders(remainders: list[float], firsts: list[float], floor: float) -> Deviation:
    """Compare the order of the last two decreases that end above the floor with 2.

    remainders, firsts: of second and first order, for each step size. floor: rounding errors of the loss.
    A remainder hidden by rounding has every order. Steps for which rounding hides the whole change of the loss prove
    nothing.
    """
    pairs = [(before, after) for before, after in itertools.pairwise(remainders) if min(before, after) > floor]
    falls = [math.log2(before / after) / 2 for before, after in pairs]
    order = min(falls[-2:], default=math.inf)
    smallest = min(
        (remainder / first for remainder, first in zip(remainders, firsts, strict=True) if first > 0), default=0.0
    )
    text = f"remainder of order {order:.3g} in h, wanted 2; at its smallest {smallest:.2g} of the change of the loss"
    return replace(
        statement(order >= ORDER, text), worst=0.0 if math.isinf(order) else ORDER / max(order, 1e-9),
        compared=sum(max(pair) > floor for pair in zip(remainders, firsts, strict=True)),
    )  # fmt: skip


LAWS = (
    parameters_are_those_published,
    error_terms_layer_by_layer,
    network_equals_autograd,
    mixed_backends_agree,
    loss_follows_its_gradient,
)
