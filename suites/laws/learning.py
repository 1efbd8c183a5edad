"""Laws of learning: a network that is trained on real digits learns them, and on the way that it must go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness import Attachments, Deviation, NetworkProblem, compare_arrays, network_law, statement
from harness.laws import LAMBDA, NetworkUnderTest
from harness.problems import FORMATS
from suites.training import BATCH, EPOCHS, SIDE, Training, expect_losses, load_digits, trace_losses, train

WANTED = 0.97  # of the held-out digits
COMPARED = 64  # steps whose losses are compared, an epoch and a half
AVERAGED = 4  # steps that are shown as one point


def _learns(problem: NetworkProblem) -> bool:
    """LeNet-5 with the batch for which the rate of the descent was chosen."""
    return (
        problem.architecture.name == "lenet5" and problem.work == "step" and not problem.mixed
        and problem.n == BATCH and problem.size in (0, SIDE) and problem.dtype in ("float32", "float64")
    )  # fmt: skip


@network_law(tolerance="structure", when=_learns)
def digits_are_learnt(subject: NetworkUnderTest, problem: NetworkProblem, epochs: int = EPOCHS) -> Deviation:
    """theta <- theta - 1/4 dL/dtheta over real handwritten digits: at least 97 % of those held out are read right

    Plain gradient descent for 10 epochs, all operators by the backend, forwards and backwards.
    """
    digits = load_digits(problem.dtype)
    found = train(subject, digits, epochs)
    accuracy = found.accuracies[-1]
    text = (
        f"got {100 * accuracy:.2f} % of {len(digits.held_x)} held-out digits right after {epochs} epochs, "
        f"wanted {100 * WANTED:g} %"
    )
    return replace(statement(accuracy >= WANTED, text), attachments=_show_training(found, epochs))


def _show_training(found: Training, epochs: int) -> Attachments:
    """Accuracy, seconds and the losses, of which neighbours are averaged."""
    steps = len(found.losses)
    whole = steps - steps % AVERAGED
    averages = np.reshape(found.losses[:whole], (-1, AVERAGED)).mean(axis=1)
    figures = {
        "accuracy": found.accuracies[-1], "seconds": found.seconds, "epochs": float(epochs), "steps": float(steps),
        "first loss": found.losses[0], "last loss": found.losses[-1],
    }  # fmt: skip
    return Attachments(figures=figures, curves={"loss": tuple(averages.tolist()), "accuracy": found.accuracies})


@network_law(tolerance="bound", when=_learns)
def loss_curve_is_the_reference_curve(
    subject: NetworkUnderTest, problem: NetworkProblem, steps: int = COMPARED
) -> Deviation:
    """|L_t - L64_t| <= 8 (max over s <= t of D_s + u |L64_t|) for the losses L of the first 64 steps

    L64: the same descent in float64 by the reference. D: how far L64 moves when every operator, every piece of glue and
    every update adds noise of the size of its rounding, so the bound grows over the steps as this descent lets it.
    """
    digits = load_digits(problem.dtype)
    got = trace_losses(subject, digits, steps)
    wanted, moved = expect_losses(subject, digits, steps)
    bound = LAMBDA * (moved + FORMATS[problem.dtype].u * np.abs(wanted))
    found = compare_arrays(got, wanted, bound, what="loss of step ", kind="bound")
    beyond = np.flatnonzero(~(np.abs(got - wanted) <= bound))
    note = f"beyond its bound from step {beyond[0]} of {steps} on" if beyond.size else ""
    curves = {"got": tuple(got.tolist()), "wanted": tuple(wanted.tolist()), "bound": tuple(bound.tolist())}
    return replace(found, note=note, attachments=Attachments(curves=curves))


LAWS = (digits_are_learnt, loss_curve_is_the_reference_curve)
