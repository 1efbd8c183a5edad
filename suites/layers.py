"""Layers of real networks as problems, each distinct shape once with its multiplicity."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any

from harness import NamedProblem, Operator, Problem, ProblemSet, Window, parse_line
from suites.signals_and_volumes import NETWORKS

FIRST_CONVOLUTION = "input"  # the layer that reads the picture needs no input gradient


@cache
def read_layers() -> dict[str, Any]:
    """Return the stored layers by network."""
    text = resources.files("suites").joinpath("data/network_layers.json").read_text()
    found: dict[str, Any] = json.loads(text)
    return found


def network_names() -> tuple[str, ...]:
    """Every network and layer list: those of two axes in the data file, those of one and of three in the table."""
    return (*read_layers(), *NETWORKS)


def _source(network: str) -> str:
    """Source of a list of layers, in words."""
    return NETWORKS[network].source if network in NETWORKS else str(read_layers()[network]["source"])


def forward_layers(network: str, batch: int) -> Iterator[tuple[str, Problem, int, bool]]:
    """Every layer of a network forwards: its name, problem, how often it occurs, and whether it reads the input."""
    if network in NETWORKS:
        for one in NETWORKS[network].layers:
            problem = parse_line(one.line)
            yield one.name, problem.with_(x=(batch * problem.x[0], *problem.x[1:])), one.times, one.first
        return
    for layer in read_layers()[network]["layers"]:
        yield layer["layer"], layer_problem(layer, batch), 1, layer.get("in") == FIRST_CONVOLUTION


def layer_problem(layer: dict[str, Any], batch: int) -> Problem:
    """The problem of one layer with another batch size; float32, real data."""
    operator = Operator(layer["op"])
    pads = tuple(zip(layer["pad"], layer.get("pad_end", layer["pad"]), strict=True))
    x, kernel = (batch, layer["c"], layer["h"], layer["w"]), (layer["kh"], layer["kw"])
    window = Window(
        stride=tuple(layer["stride"]), padding=pads, dilation=tuple(layer["dilation"]),
        groups=1 if operator.pools else layer["groups"],
        kernel=kernel if operator.pools else None,
        ceil_mode=operator.pools and layer.get("ceil_mode", False),
        count_include_pad=layer.get("count_include_pad", True) if operator.pools else True,
    )  # fmt: skip
    if operator.pools:
        return Problem(operator=operator, x=x, window=window)
    rows, columns = (layer["c"], layer["k"]) if operator.spec.transposed else (layer["k"], layer["c"])
    extra = tuple(layer.get("output_padding", (0, 0))) if operator.spec.transposed else None
    w = (rows, columns // layer["groups"], *kernel)
    return Problem(operator=operator, x=x, w=w, window=window, output_padding=extra)


def network_problems(network: str, batch: int, *, gradients: bool = True) -> tuple[NamedProblem, ...]:
    """Return the distinct problems of a network: each layer forwards, and its gradients.

    network: its list of layers. batch: number of images. gradients: include them.
    A layer's name is that of the first with its shape; the layer that reads the input has no input gradient.
    """
    found: dict[Problem, tuple[str, int]] = {}
    for layer, forward, times, first in forward_layers(network, batch):
        operators = [forward.operator, *(_gradients(forward, first) if gradients else ())]
        for operator in operators:
            problem = forward.with_(operator=operator)
            name, count = found.get(problem, (f"{network}/{layer}", 0))
            found[problem] = (name, count + times)
    return tuple(
        NamedProblem(name=name, problem=problem, multiplicity=count) for problem, (name, count) in found.items()
    )


def _gradients(forward: Problem, first: bool) -> Sequence[Operator]:
    """Gradients by the input and the kernel; that of pooling also where it reads the input of the network."""
    found = gradient_operators(forward)
    found.pop("db", None)
    if first and "dw" in found:
        del found["dx"]
    return tuple(found.values())


def gradient_operators(forward: Problem) -> dict[str, Operator]:
    """Operators of the gradients, by dx, dw and db; none of a transposed one, whose own are those of a convolution."""
    if forward.operator.spec.transposed:
        return {}
    return {one.name: one.problem(forward).operator for one in forward.operator.spec.gradients}


def network_sets() -> tuple[ProblemSet, ...]:
    """One problem set for every network, forwards and backwards at batch 1."""
    return tuple(
        ProblemSet(
            name=name,
            description=_source(name),
            problems=partial(network_problems, name, 1),
        )
        for name in network_names()
    )
