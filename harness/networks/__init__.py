"""Whole networks: graphs of operators and glue, evaluated forwards and backwards on any implementation.

`harness` names what draws a network; what evaluates one is public here.

`INPUT`, `TARGET`: names of a network's input and of the target of its loss.
`Work`: what a pass of a network computes, one of `WORKS`: `forward` the output, `step` all gradients as well.
`PerAxis`: one int for all axes, or one for each.
`Compute`: a function of a node, a problem and its arrays by name, which returns the outputs of the problem by name.
`Touch`: a function of the name and the output of an operation that is no operator; it returns the array to use.
`LOSSES`: name of a loss -> function of an array namespace, y and target, which returns the loss and dL/dy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.networks.builder import PerAxis
    from harness.networks.elementwise import LOSSES
    from harness.networks.evaluate import Compute, Tape, Touch, backward, forward
    from harness.networks.graph import INPUT, WORKS, Network, Node, Work, problems_of
    from harness.networks.initialise import TARGET, make_values
    from harness.networks.problem import is_network_line, split_line
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "builder": "PerAxis",
            "elementwise": "LOSSES",
            "evaluate": "Compute Tape Touch backward forward",
            "graph": "INPUT Network Node WORKS Work problems_of",
            "initialise": "TARGET make_values",
            "problem": "is_network_line split_line",
        },
    )

__all__ = [
    "INPUT", "LOSSES", "TARGET", "WORKS", "Compute", "Network", "Node", "PerAxis", "Tape", "Touch", "Work", "backward",
    "forward",
    "is_network_line", "make_values", "problems_of", "split_line",
]  # fmt: skip
