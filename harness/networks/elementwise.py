"""Operations between the operators of a network, forwards and backwards, on any array namespace.

A forward function takes the array namespace `xp`, the node, its inputs, and `values`, the parameters and statistics by
name, and returns y. A backward function takes dy and y as well; it returns the gradients of the inputs, in their order,
and those of the parameters by name. Arrays have the shape n c *s. A docstring states the formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.networks.graph import Node
from harness.problems.arrays import DeviceArray, DeviceArrays, Namespace

Forward = Callable[[Namespace, Node, Sequence[DeviceArray], DeviceArrays], DeviceArray]
Backward = Callable[
    [Namespace, Node, DeviceArray, Sequence[DeviceArray], DeviceArray, DeviceArrays],
    tuple[list[DeviceArray], dict[str, DeviceArray]],
]


def relu(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = x where `positive` is true, 0 elsewhere."""
    (x,) = inputs
    return xp.where(values["positive"], x, xp.zeros_like(x))


def relu_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy where `positive` is true, 0 elsewhere (specification 1.16)."""
    return [xp.where(values["positive"], dy, xp.zeros_like(dy))], {}


def sigmoid(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = 1 / (1 + exp(-x)), computed as (1 + tanh(x/2)) / 2, which cannot overflow."""
    return 0.5 + 0.5 * xp.tanh(0.5 * inputs[0])


def sigmoid_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy y (1 - y)."""
    return [dy * y * (1 - y)], {}


def tanh(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = tanh(x)."""
    return xp.tanh(inputs[0])


def tanh_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy (1 - y^2)."""
    return [dy * (1 - y * y)], {}


def _window_sum(xp: Namespace, a: DeviceArray, size: int) -> DeviceArray:
    """Sums over windows of `size` channels, centred, of an array n c *s."""
    half, channels = size // 2, a.shape[1]
    total = a
    for step in range(1, min(half, channels - 1) + 1):
        none = xp.zeros_like(a[:, :step])
        total = total + xp.concat([a[:, step:], none], axis=1) + xp.concat([none, a[:, :-step]], axis=1)
    return total


def _lrn_base(xp: Namespace, node: Node, x: DeviceArray) -> DeviceArray:
    o = node.options
    return o["k"] + (o["alpha"] / o["size"]) * _window_sum(xp, x * x, int(o["size"]))


def lrn(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = x s^-beta with s = k + alpha/size sum of x^2 over `size` neighbouring channels."""
    (x,) = inputs
    return x * _lrn_base(xp, node, x) ** -node.options["beta"]


def lrn_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy s^-beta - 2 alpha beta/size x sum of dy x s^(-beta-1) over the same channels."""
    (x,), o = inputs, node.options
    s = _lrn_base(xp, node, x)
    spread = _window_sum(xp, dy * x * s ** (-o["beta"] - 1), int(o["size"]))
    return [dy * s ** -o["beta"] - (2 * o["alpha"] * o["beta"] / o["size"]) * x * spread], {}


def _per_channel(a: DeviceArray, like: DeviceArray) -> DeviceArray:
    """Reshape one number per channel to broadcast over n c *s."""
    return a.reshape((1, -1, *(1,) * (len(like.shape) - 2)))


def norm(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = gamma (x - mean) / sqrt(variance + eps) + beta, with gamma = 1 if there is none."""
    (x,) = inputs
    factor = (values["variance"] + node.options["eps"]) ** -0.5
    y = (x - _per_channel(values["mean"], x)) * _per_channel(factor, x)
    return (
        y * _per_channel(values["gamma"], x) + _per_channel(values["beta"], x)
        if "gamma" in values
        else y + _per_channel(values["beta"], x)
    )


def norm_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy gamma / sqrt(variance + eps); dgamma = sum dy (x - mean) / sqrt(variance + eps); dbeta = sum dy."""
    (x,), factor = inputs, (values["variance"] + node.options["eps"]) ** -0.5
    axes = (0, *range(2, len(x.shape)))
    gradients = {"dbeta": xp.sum(dy, axis=axes)}
    if "gamma" not in values:
        return [dy * _per_channel(factor, x)], gradients
    gradients["dgamma"] = xp.sum(dy * (x - _per_channel(values["mean"], x)), axis=axes) * factor
    return [dy * _per_channel(factor * values["gamma"], x)], gradients


def scale(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = factor x."""
    return node.options["factor"] * inputs[0]


def scale_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = factor dy."""
    return [node.options["factor"] * dy], {}


def add(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = sum of the inputs."""
    total = inputs[0]
    for x in inputs[1:]:
        total = total + x
    return total


def add_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy for every input; an identity connection passes dy through unchanged."""
    return [dy] * len(inputs), {}


def concat(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = the inputs, concatenated along the channels."""
    return xp.concat(list(inputs), axis=1)


def concat_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = the channels of dy that belong to each input."""
    parts, at = [], 0
    for x in inputs:
        parts.append(dy[:, at : at + x.shape[1]])
        at += x.shape[1]
    return parts, {}


def _centre(inner: Sequence[int], outer: Sequence[int]) -> tuple[slice, ...]:
    starts = [(large - small) // 2 for small, large in zip(inner, outer, strict=True)]
    return (slice(None), slice(None), *(slice(at, at + n) for at, n in zip(starts, inner, strict=True)))


def crop(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = the centre of x."""
    (x,) = inputs
    return x[_centre(node.shape[2:], x.shape[2:])]


def crop_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = dy in the centre, 0 elsewhere."""
    (x,) = inputs
    dx = xp.zeros_like(x)
    dx[_centre(node.shape[2:], x.shape[2:])] = dy
    return [dx], {}


def expand(xp: Namespace, node: Node, inputs: Sequence[DeviceArray], values: DeviceArrays) -> DeviceArray:
    """y = the single number of each channel, broadcast over the spatial axes."""
    return xp.broadcast_to(inputs[0], node.shape)


def expand_grad(
    xp: Namespace, node: Node, dy: DeviceArray, inputs: Sequence[DeviceArray], y: DeviceArray, values: DeviceArrays
) -> tuple[list[DeviceArray], dict[str, DeviceArray]]:
    """dx = sum of dy over the spatial axes."""
    return [xp.sum(dy, axis=tuple(range(2, len(node.shape))), keepdims=True)], {}


GLUE: dict[str, tuple[Forward, Backward]] = {
    "relu": (relu, relu_grad),
    "sigmoid": (sigmoid, sigmoid_grad),
    "tanh": (tanh, tanh_grad),
    "lrn": (lrn, lrn_grad),
    "norm": (norm, norm_grad),
    "scale": (scale, scale_grad),
    "add": (add, add_grad),
    "concat": (concat, concat_grad),
    "crop": (crop, crop_grad),
    "expand": (expand, expand_grad),
}


def cross_entropy(xp: Namespace, y: DeviceArray, target: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """L = -sum t log softmax(y) / sum t over channels, and dy = (softmax(y) sum_c t - t) / sum t.

    xp: array namespace. y, target: n c *s; target is one-hot along the channels.
    """
    shifted = y - xp.max(y, axis=1, keepdims=True)
    powers = xp.exp(shifted)
    total = xp.sum(powers, axis=1, keepdims=True)
    weight = xp.sum(target)
    loss = xp.sum(target * (xp.log(total) - shifted)) / weight
    return loss, (powers / total * xp.sum(target, axis=1, keepdims=True) - target) / weight


def projection(xp: Namespace, y: DeviceArray, target: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """L = <target, y> / N, and dy = target / N, for networks without labels.

    xp: array namespace. y, target: n c *s; N is the batch size.
    """
    n = y.shape[0]
    return xp.sum(target * y) / n, target / n


LOSSES = {"cross-entropy": cross_entropy, "projection": projection}
