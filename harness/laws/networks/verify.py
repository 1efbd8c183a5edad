"""Verification of a whole network: layer by layer against the reference, and as a whole against float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from harness.laws.deviation import Deviation, compare_arrays, statement, worst_of
from harness.laws.error_bounds import LAMBDA
from harness.laws.networks.error_bounds import allowed, arrays_of, compute_reference, evaluate, response, take_elements
from harness.laws.networks.subject import NetworkUnderTest, copy_to_host
from harness.laws.verify import verify
from harness.networks.evaluate import Tape
from harness.networks.graph import INPUT, Node
from harness.networks.initialise import TARGET
from harness.problems import reference
from harness.problems.arrays import Array, DeviceArrays
from harness.problems.numerics import FORMATS
from harness.problems.problem import Problem


def verify_network_layers(
    subject: NetworkUnderTest, values: DeviceArrays, ends: DeviceArrays
) -> tuple[Deviation, Tape]:
    """Run a pass and compare every operator in it with the reference, on the same arrays.

    values, ends: on the device.
    Returns the worst deviation, with the name of the layer, and the tape on the device.
    subject: the backend on the network.
    """
    found: list[Deviation] = []

    def witness(node: Node, problem: Problem, arrays: DeviceArrays) -> DeviceArrays:
        outputs = subject.compute(node, problem, arrays)
        given = {name: copy_to_host(subject.backend, a) for name, a in arrays.items() if a is not None}
        got = {name: copy_to_host(subject.backend, a) for name, a in outputs.items()}
        deviation = verify(problem, subject.numerics_for(node, problem), given, got)
        found.append(replace(deviation, what=f"{node.name}, {problem.operator}: {deviation.what}"))
        return outputs

    tape = subject.run(values, ends, witness)
    subject.backend.synchronize()
    return worst_of(*found), tape


def verify_network(
    subject: NetworkUnderTest, tape: Tape, values: Mapping[str, Array], ends: Mapping[str, Array]
) -> Deviation:
    """Compare outputs, error terms and gradients of a tape on the host with torch autograd, or with the reference.

    values, ends: on the host.
    Both follow the decisions of the tape; rounding must explain every decision that differs from the one in float64.
    subject: the backend on the network. tape: of its pass, on the host.
    """
    truth = find_truth(subject, values, ends, tape.decisions)
    moved = response(subject.network, subject.numerics_for, values, ends, truth, tape.decisions, subject.problem.seed)
    u, got = FORMATS[subject.problem.dtype].u, arrays_of(tape)
    parts = [_within(name, got[name], a, allowed(a, moved[name], u)) for name, a in arrays_of(truth).items()]
    return worst_of(*parts, *_check_decisions(subject, tape, truth, moved))


def find_truth(
    subject: NetworkUnderTest, values: Mapping[str, Array], ends: Mapping[str, Array], decisions: Mapping[str, Array]
) -> Tape:
    """Run the same pass in float64, by torch and its automatic differentiation, or by the reference without torch.

    values, ends: on the host.
    decisions: of maxima and rectifiers, which the pass follows.
    subject: the network and its backend.
    """
    try:
        from harness.networks.autograd import differentiate

        return differentiate(subject.network, values, ends[INPUT], ends.get(TARGET), decisions)
    except ImportError:
        return evaluate(subject.network, compute_reference, values, ends, decisions)


def compare_norms(name: str, got: Array, wanted: Array, relative: float) -> Deviation:
    """Compare ||got - wanted|| with `relative` times ||wanted||.

    name: of the array, for messages.
    """
    return _within(name, got, wanted.astype(np.float64), relative * float(np.linalg.norm(wanted.astype(np.float64))))


def _within(name: str, got: Array, wanted: Array, bound: float) -> Deviation:
    """Return ||got - wanted|| in units of its bound."""
    if got.shape != wanted.shape:
        return statement(False, f"{name}: got shape {got.shape}, wanted {wanted.shape}")
    error, size = float(np.linalg.norm(got.astype(np.float64) - wanted)), float(np.linalg.norm(wanted))
    worst = 0.0 if error == 0 else error / bound if bound > 0 else math.inf
    return Deviation(
        kind="norm", worst=math.inf if math.isnan(worst) else worst, compared=wanted.size,
        vacuous=wanted.size if 0 < size <= bound else 0, what=f"norm of the error of {name}", got=error, wanted=0.0,
        bound=bound,
    )  # fmt: skip


def _check_decisions(subject: NetworkUnderTest, tape: Tape, truth: Tape, moved: Mapping[str, float]) -> list[Deviation]:
    """Check that where a rectifier or maximum decided differently from float64, the two choices are close."""
    found = []
    for node in subject.network.nodes:
        if node.name not in tape.decisions:
            continue
        (source,) = node.inputs
        x, chosen = truth.outputs[source], tape.decisions[node.name]
        if node.problem is not None:
            gap = reference.max_pool(x, node.problem.window)[0] - take_elements(x, chosen)
        else:
            gap = np.where(chosen != (x > 0), np.abs(x), 0.0)
        moves = moved.get(f"y of {source}", 0.0)
        margin = LAMBDA * allowed(x, moves, FORMATS[subject.problem.dtype].u) / math.sqrt(max(1, x.size))
        worst = float(np.max(gap, initial=0.0))
        what = f"what {node.name} chose, against the best choice"
        found.append(compare_arrays(np.asarray(worst), np.asarray(0.0), margin, what=what, kind="bound"))
    return found
