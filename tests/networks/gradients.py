"""A network's own gradients in float64, compared with automatic differentiation."""

import numpy as np

from harness.networks.architecture import Architecture
from harness.networks.autograd import differentiate
from harness.networks.evaluate import backward, forward
from harness.networks.graph import INPUT
from harness.networks.initialise import TARGET, make_ends, make_values
from harness.networks.problem import NetworkProblem
from harness.problems import reference


def compute(node, problem, arrays):
    return reference.compute(problem, arrays)


def arrays_of(tape):
    return (
        {f"y of {name}": a for name, a in tape.outputs.items()}
        | {f"error of {name}": a for name, a in tape.errors.items()}
        | tape.gradients
        | {"loss": np.asarray(tape.loss)}
    )


def both(problem):
    """Compute every array of a step by the reference with the written gradients, and by autograd with its decisions."""
    network, values, ends = problem.network, make_values(problem), make_ends(problem)
    tape = forward(network, compute, values, ends[INPUT])
    backward(network, compute, values, tape, ends[TARGET])
    return arrays_of(tape), arrays_of(differentiate(network, values, ends[INPUT], ends[TARGET], tape.decisions))


def worst(problem):
    """Return the largest ||ours - theirs|| / ||theirs|| of all arrays, and its name."""
    ours, theirs = both(problem)
    assert set(ours) == set(theirs)
    assert all(ours[name].shape == theirs[name].shape for name in theirs)
    return max((_relative(ours[name], a), name) for name, a in theirs.items())


def _relative(ours, theirs):
    error, size = float(np.linalg.norm(ours - theirs)), float(np.linalg.norm(theirs))
    return error / size if size else (0.0 if error == 0 else np.inf)


def step(build, shape=(3, 6, 6), **options):
    """Build the problem of a step in float64 for a network that `build` draws."""
    small = Architecture(name="tiny", description="", input=shape, build=build, small=shape[-1], **options)
    return NetworkProblem(architecture=small, work="step", n=2, dtype="float64")
