"""Independent reference for networks: the same graph in torch, float64, with gradients by torch's autograd.

Only the forward pass is written here. Given decisions (active units of ReLUs, argmax elements of max pooling) are
followed, so that both implementations evaluate the same smooth piece of the function.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness.networks.evaluate import Tape, values_of
from harness.networks.graph import INPUT, Network, Node
from harness.problems.arrays import Array, DeviceArray, DeviceArrays
from harness.problems.operator import Operator


def differentiate(
    network: Network,
    values: Mapping[str, Array],
    x: Array,
    target: Array | None,
    decisions: Mapping[str, Array] | None = None,
) -> Tape:
    """Evaluate a network in torch, float64: outputs of all nodes, and with a target the loss and all gradients.

    values: parameters and statistics as node.name. x: input, n c *s. target: shape of the output; None for outputs
        only.
    decisions: masks of ReLUs and argmax indices of max pooling by node; None to compute them.
    """
    import torch

    learnt = network.parameters
    tensors = {
        name: torch.tensor(a, dtype=torch.float64, requires_grad=target is not None and name in learnt)
        for name, a in values.items()
    }
    found = {INPUT: torch.tensor(x, dtype=torch.float64, requires_grad=target is not None)}
    for node in network.nodes:
        inputs = [found[name] for name in node.inputs]
        found[node.name] = _apply(node, inputs, values_of(node, tensors), decisions)
        if target is not None:
            found[node.name].retain_grad()
    tape = Tape(outputs={name: a.detach().numpy() for name, a in found.items()})
    if target is not None:
        y, t = found[network.output.name], torch.tensor(target, dtype=torch.float64)
        if network.loss == "projection":
            loss = (y * t).sum() / y.shape[0]
        else:
            loss = -(torch.log_softmax(y, dim=1) * t).sum() / t.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        tape.loss = loss.item()
        tape.errors = {node.name: _gradient(found[node.name]) for node in network.nodes}
        names = [name.rpartition(".") for name in learnt]
        tape.gradients = {f"{node}.d{name}": _gradient(tensors[f"{node}.{name}"]) for node, _, name in names}
        tape.gradients["dx"] = _gradient(found[INPUT])
    return tape


def _gradient(tensor: DeviceArray) -> Array:
    return np.zeros(tuple(tensor.shape)) if tensor.grad is None else np.asarray(tensor.grad.numpy())


def _apply(
    node: Node, inputs: list[DeviceArray], own: DeviceArrays, decisions: Mapping[str, Array] | None
) -> DeviceArray:
    import torch
    import torch.nn.functional as functions

    x = inputs[0]
    if node.problem is not None:
        return _operate(node, x, own, decisions)
    match node.kind:
        case "relu":
            return functions.relu(x) if decisions is None else x * torch.tensor(decisions[node.name], dtype=x.dtype)
        case "sigmoid":
            return torch.sigmoid(x)
        case "tanh":
            return torch.tanh(x)
        case "lrn":
            o = node.options
            return functions.local_response_norm(x, int(o["size"]), o["alpha"], o["beta"], o["k"])
        case "norm":
            return functions.batch_norm(
                x, own["mean"], own["variance"], own.get("gamma"), own["beta"], eps=node.options["eps"]
            )
        case "scale":
            return x * node.options["factor"]
        case "add":
            return torch.stack(inputs).sum(dim=0)
        case "concat":
            return torch.cat(inputs, dim=1)
        case "crop":
            places = [(large - small) // 2 for small, large in zip(node.shape[2:], x.shape[2:], strict=True)]
            for axis, (at, size) in enumerate(zip(places, node.shape[2:], strict=True)):
                x = x.narrow(2 + axis, at, size)
            return x
        case "expand":
            return x.expand(node.shape)
    raise ValueError(f"no torch form of {node.kind}")


def _operate(node: Node, x: DeviceArray, own: DeviceArrays, decisions: Mapping[str, Array] | None) -> DeviceArray:
    import torch
    import torch.nn.functional as functions

    problem = node.problem
    assert problem is not None
    window, axes = problem.window, problem.axes
    begins, ends = zip(*window.padding, strict=True)
    if node.kind == Operator.conv_transpose:
        transpose = getattr(functions, f"conv_transpose{axes}d")
        if begins == ends:
            return transpose(
                x, own["w"], own.get("b"), window.stride, begins, problem.output_padding, window.groups, window.dilation
            )
        whole = transpose(x, own["w"], None, window.stride, 0, problem.output_padding, window.groups, window.dilation)
        for axis, (begin, size) in enumerate(zip(begins, problem.y[2:], strict=True)):
            whole = whole.narrow(2 + axis, begin, size)
        return whole if "b" not in own else whole + own["b"].reshape(1, -1, *(1,) * axes)
    if node.kind == Operator.max_pool and decisions is not None:
        places = torch.tensor(decisions[node.name], dtype=torch.int64)
        return x.flatten(2).gather(2, places.flatten(2)).reshape(problem.y)
    over = [max(0, (p - 1) * s + r - n - b - e) for p, s, r, n, (b, e) in zip(
        problem.y[2:], window.stride, window.reach(problem.kernel), x.shape[2:], window.padding, strict=True
    )]  # fmt: skip
    sides = [
        side
        for b, e in reversed([(b, e + o) for (b, e), o in zip(window.padding, over, strict=True)])
        for side in (b, e)
    ]
    if node.kind == Operator.conv:
        conv = getattr(functions, f"conv{axes}d")
        return conv(functions.pad(x, sides), own["w"], own.get("b"), window.stride, 0, window.dilation, window.groups)
    if node.kind == Operator.max_pool:
        pool = getattr(functions, f"max_pool{axes}d")
        return pool(functions.pad(x, sides, value=-torch.inf), window.kernel, window.stride, 0, window.dilation)
    pool = getattr(functions, f"avg_pool{axes}d")
    total = pool(functions.pad(x, sides), window.kernel, window.stride) * float(np.prod(window.kernel or (1,)))
    from harness.problems.reference import divisor_map

    return total / torch.tensor(divisor_map(x.shape[2:], window), dtype=torch.float64)
