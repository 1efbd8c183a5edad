"""A network forwards and backwards (1.11 to 1.17): operators by whoever computes them, glue on their arrays.

`compute(node, problem, arrays)` gives the outputs of a problem by name; who computes may differ from node to node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.networks.elementwise import GLUE, LOSSES
from harness.networks.graph import INPUT, Network, Node, last_readers
from harness.problems.operator import Operator

Compute = Callable[[Node, Any, Mapping[str, Any]], Mapping[str, Any]]
Touch = Callable[[str, Any], Any]  # sees every array that glue gives, by name, and gives what is to be used


@dataclass(slots=True)
class Tape:
    """What a pass leaves behind.

    outputs: of every node by name, and the input. decisions: where rectifiers let through, which elements maxima took.
    errors: dL/d(output) of every node, the error terms. gradients: node.dw and the like, and dx of the input.
    """

    outputs: dict[str, Any] = field(default_factory=dict)
    decisions: dict[str, Any] = field(default_factory=dict)
    loss: Any = None
    errors: dict[str, Any] = field(default_factory=dict)
    gradients: dict[str, Any] = field(default_factory=dict)


def namespace(a: Any) -> Any:
    """The array namespace of an array."""
    from array_api_compat import array_namespace

    return array_namespace(a)


def _as_it_is(name: str, a: Any) -> Any:
    return a


def forward(
    network: Network,
    compute: Compute,
    values: Mapping[str, Any],
    x: Any,
    *,
    decisions: Mapping[str, Any] | None = None,
    touch: Touch = _as_it_is,
    keep: bool = True,
) -> Tape:
    """Evaluate every node.

    network: the graph. compute: gives the outputs of an operator. values: parameters and statistics as node.name. x:
    the input. decisions: rectifiers let through what these say, instead of what is positive (maxima are their
    computer's matter). touch: sees every array that glue gives, and gives what is used. keep: hold every output for the
    way back, or drop each after its last reader.
    """
    xp, tape, last = namespace(x), Tape(outputs={INPUT: x}), last_readers(network.nodes)
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
    values: Mapping[str, Any],
    tape: Tape,
    target: Any,
    *,
    touch: Touch = _as_it_is,
    keep: bool = True,
) -> Tape:
    """Add the loss, the error term of every node and all gradients to the tape of a forward pass.

    network, compute, values, touch: as in `forward`. tape: of the forward pass, which is changed and returned. target:
    of the loss. keep: hold every error term, or drop each when its node is done.
    """
    y = tape.outputs[network.output.name]
    xp = namespace(y)
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
    node: Node, compute: Compute, own: Mapping[str, Any], x: Any, dy: Any, tape: Tape
) -> dict[str, Any]:
    """Gradients of one operator by name, dx among them."""
    found = {}
    for name, problem in node.gradients.items():
        found[name] = next(
            iter(compute(node, problem, gradient_arrays(node, name, own, x, dy, tape.decisions)).values())
        )
    return found


def gradient_arrays(
    node: Node, name: str, own: Mapping[str, Any], x: Any, dy: Any, decisions: Mapping[str, Any]
) -> dict[str, Any]:
    """What the problem of a gradient takes: see `Node.gradients`."""
    if node.kind == Operator.max_pool:
        return {"dy": dy, "x": x, "indices": decisions[node.name]}
    if name == "db" or node.kind == Operator.avg_pool:
        return {"dy": dy}
    if node.kind == Operator.conv_transpose:
        return {"x": dy, "w": own["w"]} if name == "dx" else {"dy": x, "x": dy}
    return {"dy": dy, "w": own["w"]} if name == "dx" else {"dy": dy, "x": x}


def values_of(node: Node, values: Mapping[str, Any]) -> dict[str, Any]:
    """A node's own parameters and statistics by their short names."""
    return {name: values[f"{node.name}.{name}"] for name in (*node.parameters, *node.statistics)}
