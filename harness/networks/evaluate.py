"""Evaluation of a network forwards and backwards (specification 1.11 to 1.17).

Operators run through a callback, other operations on the arrays of the network.

`compute(node, problem, arrays)` returns the outputs of a problem by name; the backend may differ from node to node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from harness.networks.elementwise import GLUE, LOSSES
from harness.networks.graph import INPUT, Network, Node, last_readers
from harness.problems.arrays import DeviceArray, DeviceArrays
from harness.problems.taps import find_namespace

Compute = Callable[[Node, DeviceArray, DeviceArrays], DeviceArrays]
Touch = Callable[[str, DeviceArray], DeviceArray]  # (name, array) -> array to use instead


@dataclass(slots=True)
class Tape:
    """Results of a pass.

    outputs: of every node by name, and the input. decisions: masks of ReLUs and argmax indices of max pooling, by node.
    errors: dL/d(output) of every node. gradients: node.dw and so on, and dx of the input.
    """

    outputs: dict[str, DeviceArray] = field(default_factory=dict)
    decisions: dict[str, DeviceArray] = field(default_factory=dict)
    loss: DeviceArray = None
    errors: dict[str, DeviceArray] = field(default_factory=dict)
    gradients: dict[str, DeviceArray] = field(default_factory=dict)


def _unchanged(name: str, a: DeviceArray) -> DeviceArray:
    return a


def forward(
    network: Network,
    compute: Compute,
    values: DeviceArrays,
    x: DeviceArray,
    *,
    decisions: DeviceArrays | None = None,
    touch: Touch = _unchanged,
    keep: bool = True,
) -> Tape:
    """Evaluate every node of a network.

    compute: callback for operators. values: parameters and statistics as node.name. x: input, n c *s.
    decisions: masks that replace x > 0 in ReLUs; maxima are decided by `compute`.
    touch: called with the name and output of every operation that is not an operator; returns the array to use.
    keep: True to keep every output for the backward pass; False to drop each after its last reader.
    network: the graph.
    """
    xp, tape, last = find_namespace(x), Tape(outputs={INPUT: x}), last_readers(network.nodes)
    for node in network.nodes:
        inputs = [tape.outputs[name] for name in node.inputs]
        own = values_of(node, values)
        if node.problem is not None:
            found = compute(node, node.problem, {"x": inputs[0], **own})
            tape.outputs[node.name] = found["y"]
            if "indices" in found:
                tape.decisions[node.name] = found["indices"]
        else:
            if node.kind == "relu":
                positive = decisions[node.name] if decisions is not None else inputs[0] > 0
                tape.decisions[node.name] = own["positive"] = positive
            tape.outputs[node.name] = touch(node.name, GLUE[node.kind][0](xp, node, inputs, own))
        if not keep:
            for name in {*node.inputs}:
                if last[name] == node.name:
                    del tape.outputs[name]
            tape.decisions.clear()
    return tape


def backward(
    network: Network,
    compute: Compute,
    values: DeviceArrays,
    tape: Tape,
    target: DeviceArray,
    *,
    touch: Touch = _unchanged,
    keep: bool = True,
) -> Tape:
    """Add the loss, the errors of all nodes and all gradients to the tape of a forward pass.

    compute, values, touch: as in `forward`. target: shape of the output.
    keep: True to keep every error; False to drop each after its node.
    network: the graph. tape: of the forward pass; it is changed and returned.
    """
    y = tape.outputs[network.output.name]
    xp = find_namespace(y)
    tape.loss, error = LOSSES[network.loss](xp, y, target)
    tape.errors[network.output.name] = touch("loss", error)
    for node in reversed(network.nodes):
        dy = tape.errors[node.name] if keep else tape.errors.pop(node.name)
        inputs = [tape.outputs[name] for name in node.inputs]
        own = values_of(node, values)
        if node.problem is not None:
            given = _operator_gradients(node, compute, own, inputs[0], dy, tape)
            parts, learnt = [given.pop("dx")], given
        else:
            if node.kind == "relu":
                own["positive"] = tape.decisions[node.name]
            parts, learnt = GLUE[node.kind][1](xp, node, dy, inputs, tape.outputs[node.name], own)
            parts = [touch(f"{node.name}.dx", part) for part in parts]
            learnt = {name: touch(f"{node.name}.{name}", a) for name, a in learnt.items()}
        tape.gradients |= {f"{node.name}.{name}": a for name, a in learnt.items()}
        for name, part in zip(node.inputs, parts, strict=True):
            tape.errors[name] = tape.errors[name] + part if name in tape.errors else part
    tape.gradients["dx"] = tape.errors.pop(INPUT)
    return tape


def _operator_gradients(
    node: Node, compute: Compute, own: DeviceArrays, x: DeviceArray, dy: DeviceArray, tape: Tape
) -> dict[str, DeviceArray]:
    """Gradients of one operator by name, including dx."""
    found = {}
    for name, problem in node.gradients.items():
        found[name] = next(
            iter(compute(node, problem, gradient_arrays(node, name, own, x, dy, tape.decisions)).values())
        )
    return found


def gradient_arrays(
    node: Node, name: str, own: DeviceArrays, x: DeviceArray, dy: DeviceArray, decisions: DeviceArrays
) -> dict[str, DeviceArray]:
    """Return the input arrays of a gradient problem, by name.

    node: node of the operator. name: dx, dw or db, a key of `Node.gradients`. own: parameters of the node, by short
        name. x: input. dy: error of the output. decisions: argmax indices of max pooling, by node.
    """
    assert node.problem is not None
    known = {**own, "x": x, "dy": dy}
    if node.name in decisions:
        known["indices"] = decisions[node.name]
    takes = next(one.takes for one in node.problem.operator.spec.gradients if one.name == name)
    return {wanted: known[given] for wanted, given in takes.items()}


def values_of(node: Node, values: DeviceArrays) -> dict[str, DeviceArray]:
    """Return the parameters and statistics of a node by their short names."""
    return {name: values[f"{node.name}.{name}"] for name in (*node.parameters, *node.statistics)}
