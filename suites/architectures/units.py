"""Common units of networks: a convolution without bias, batch normalisation, a rectifier.

net: the network being built. name: of the unit. x: name of its input. step: its convolution. style: of all units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness import NetworkBuilder
from harness.networks import PerAxis

Step = Mapping[str, Any]  # channels, kernel and window of a convolution, as `NetworkBuilder.conv` takes them


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Common properties of the units of a network: eps of the normalisation, and whether it has a gamma."""

    eps: float = 1e-5
    gamma: bool = True


PLAIN = Style()


def same(channels: int, kernel: PerAxis) -> Step:
    """A step that keeps the size; its kernel is odd on every axis."""
    sizes = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    return {"channels": channels, "kernel": sizes, "pad": tuple(size // 2 for size in sizes)}


def valid(channels: int, kernel: PerAxis, stride: int = 1) -> Step:
    """Return a step without padding.

    channels: of the output. kernel: sizes of the kernel. stride: one number for all axes.
    """
    return {"channels": channels, "kernel": kernel, "stride": stride}


def conv_norm(net: NetworkBuilder, name: str, x: str, step: Step, style: Style = PLAIN, *, gain: float = 1.0) -> str:
    """Add a convolution without bias, `name`, and the normalisation of its output.

    gain: of the normalisation.
    """
    y = net.conv(name, x, **step, bias=False)
    return net.norm(f"{name}.bn", y, eps=style.eps, scale=style.gamma, gain=gain)


def unit(net: NetworkBuilder, name: str, x: str, step: Step, style: Style = PLAIN) -> str:
    """Add a convolution without bias, its normalisation and a rectifier."""
    return net.relu(conv_norm(net, name, x, step, style))


def chain(net: NetworkBuilder, name: str, x: str, *steps: Step, style: Style = PLAIN) -> str:
    """Add a sequence of units: name.1, name.2 and so on."""
    for number, step in enumerate(steps, 1):
        x = unit(net, f"{name}.{number}", x, step, style)
    return x
