"""Learning: handwritten digits, plain gradient descent on any backend, and how far rounding may carry its loss.

A step of the descent over a batch, without momentum or decay:
    theta <- theta - RATE dL/dtheta
RATE is a power of two, which no dtype rounds. The bound on a curve of losses is found as in `noise`: the same descent
in float64, and again with noise of the size of every rounding, that of each update among them. What one step has got
wrong the next one starts from, so the bound grows over the steps as this descent makes it grow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from harness import NetworkProblem
from harness.backend import UnsupportedError
from harness.laws import (
    GLUE_ROUNDINGS,
    NOISE_DRAWS,
    NetworkUnderTest,
    add_relative_noise,
    compute_noisily,
    compute_reference,
    copy_to_host,
)
from harness.networks import Compute, Network, Touch, backward, forward, make_values
from harness.problems import FORMATS, Array, DeviceArray, DeviceArrays, Dtype, dtype_of

Batches = Iterable[tuple[DeviceArray, DeviceArray]]  # input and target
BATCH, EPOCHS, RATE = 32, 10, 0.25
HELD_OUT = 5  # every fifth digit is never trained on: 360 of 1797
SIDE, BORDER = 32, 1  # pixels of a side, and of background that is put around a digit of 8x8 beforehand


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """Pictures n 1 h w, with mean 0 and deviation 1 over the training set, and their labels n."""

    x: Array
    labels: Array
    held_x: Array
    held_labels: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """losses: of every step. accuracies: share of the held-out digits that is right, after every epoch.

    seconds: of all steps, and of the counting after every epoch.
    """

    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    seconds: float


def load_digits(dtype: Dtype = "float32") -> Digits:
    """The 1797 digits of 8x8 that scikit-learn carries, interpolated to 32x32; every fifth is held out.

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits.
    Raises UnsupportedError where scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise UnsupportedError(
            "handwritten digits: got no scikit-learn, wanted it for its data; pip install 'conv-harness[learn]'"
        ) from None
    from scipy.ndimage import zoom

    found = load()
    framed = np.pad(found.images, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    factors = (1, *(SIDE / side for side in framed.shape[1:]))
    enlarged = zoom(framed, factors, order=1, grid_mode=True, mode="nearest")[:, None]
    held = np.arange(len(enlarged)) % HELD_OUT == 0
    mean, deviation = enlarged[~held].mean(), enlarged[~held].std()
    x = ((enlarged - mean) / deviation).astype(dtype_of(dtype))
    return Digits(x=x[~held], labels=found.target[~held], held_x=x[held], held_labels=found.target[held])


def draw_batches(digits: Digits, problem: NetworkProblem) -> Iterator[tuple[Array, Array]]:
    """Draw batches of the problem's n without end, every epoch in a new order; an incomplete batch is left out.

    Yields x n c h w and one-hot targets n 10 1 1.
    """
    rng, n = np.random.default_rng(problem.seed), problem.n
    one_hot = np.eye(10, dtype=digits.x.dtype)[:, :, None, None]
    while True:
        order = rng.permutation(len(digits.x))
        for first in range(0, n * steps_of(digits, n), n):
            some = order[first : first + n]
            yield digits.x[some], one_hot[digits.labels[some]]


def steps_of(digits: Digits, n: int) -> int:
    """Steps of an epoch."""
    return len(digits.x) // n


def descend(
    network: Network, compute: Compute, values: dict[str, DeviceArray], batches: Batches,
    touch: Touch = lambda name, a: a, settle: Callable[[DeviceArray], DeviceArray] = lambda a: a,
) -> Iterator[DeviceArray]:  # fmt: skip
    """Take a step for each batch and yield its loss before the step; values are replaced in their dictionary.

    network: its graph. compute: runs an operator. values: parameters by name. batches: of x and targets.
    touch: as in `forward`, for element-wise operations. settle: maps every updated parameter to the one that is used.
    """
    for x, target in batches:
        tape = backward(
            network, compute, values, forward(network, compute, values, x, touch=touch), target, touch=touch, keep=False
        )
        for name in network.parameters:
            node, _, short = name.rpartition(".")
            values[name] = settle(values[name] - RATE * tape.gradients[f"{node}.d{short}"])
        yield tape.loss


def train(subject: NetworkUnderTest, digits: Digits, epochs: int = EPOCHS) -> Training:
    """Train the problem's network on the backend's own arrays, from the values that its seed draws.

    subject: the backend with the problem. digits: the data set. epochs: number of passes over it.
    """
    values, steps = subject.to_device(make_values(subject.problem)), steps_of(digits, subject.problem.n)
    losses: list[float] = []
    accuracies = []
    begun = time.perf_counter()
    descent = _descend_on(subject, digits, values)
    for _ in range(epochs):
        some = list(islice(descent, steps))
        losses += [float(copy_to_host(subject.backend, loss)) for loss in some]
        accuracies.append(count_right(subject, digits, values) / len(digits.held_x))
    return Training(losses=tuple(losses), accuracies=tuple(accuracies), seconds=time.perf_counter() - begun)


def count_right(subject: NetworkUnderTest, digits: Digits, values: DeviceArrays) -> int:
    """Count held-out digits whose largest output is at their label, in batches of the problem's n.

    subject: the backend with the problem. digits: the data set. values: parameters by name.
    """
    n, whole = subject.problem.n, len(digits.held_x)
    found = []
    for first in range(0, whole, n):
        some = np.arange(first, first + n) % whole  # the last batch is filled up with the first digits
        x = subject.backend.to_device(digits.held_x[some])
        tape = forward(subject.network, subject.compute, values, x, keep=False)
        found.append(copy_to_host(subject.backend, tape.outputs[subject.network.output.name]))
    outputs = np.concatenate(found)[:whole].reshape(whole, -1)
    return int(np.count_nonzero(outputs.argmax(axis=1) == digits.held_labels))


def trace_losses(subject: NetworkUnderTest, digits: Digits, steps: int) -> Array:
    """Return the losses of the first steps, on the backend.

    subject: the backend with the problem. digits: the data set. steps: their number.
    """
    values = subject.to_device(make_values(subject.problem))
    descent = _descend_on(subject, digits, values)
    return np.array([float(copy_to_host(subject.backend, loss)) for loss in islice(descent, steps)])


def _descend_on(subject: NetworkUnderTest, digits: Digits, values: dict[str, DeviceArray]) -> Iterator[DeviceArray]:
    to_device = subject.backend.to_device
    batches = ((to_device(x), to_device(target)) for x, target in draw_batches(digits, subject.problem))
    return descend(subject.network, subject.compute, values, batches)


def expect_losses(subject: NetworkUnderTest, digits: Digits, steps: int) -> tuple[Array, Array]:
    """Return the losses of the first steps in float64 by the reference, and the bound on their change by roundings.

    subject: the backend with the problem. digits: the data set. steps: their number.
    The second is D: the root mean square over NOISE_DRAWS of the change of a loss by noise, the largest up to each
    step.
    """
    wanted, squares = _trace_reference(subject, digits, steps, None), np.zeros(steps)
    for draw in range(NOISE_DRAWS):
        rng = np.random.default_rng((subject.problem.seed, draw))
        squares += (_trace_reference(subject, digits, steps, rng) - wanted) ** 2 / NOISE_DRAWS
    return wanted, np.maximum.accumulate(np.sqrt(squares))


def _trace_reference(subject: NetworkUnderTest, digits: Digits, steps: int, rng: np.random.Generator | None) -> Array:
    """The same losses in float64, with noise of the size of the backend's roundings where there is a generator."""
    network, problem = subject.network, subject.problem
    values = {name: a.astype(np.float64) for name, a in make_values(problem).items()}
    batches = ((x.astype(np.float64), target.astype(np.float64)) for x, target in draw_batches(digits, problem))
    if rng is None:
        return np.array(list(islice(descend(network, compute_reference, values, batches), steps)))
    u = FORMATS[problem.dtype].u
    descent = descend(
        network, compute_noisily(subject.numerics_for, rng), values, batches,
        touch=lambda name, a: add_relative_noise(rng, a, GLUE_ROUNDINGS * u),
        settle=lambda a: add_relative_noise(rng, a, u),
    )  # fmt: skip
    return np.array(list(islice(descent, steps)))
