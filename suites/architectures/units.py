"""What most networks here are made of: a convolution without bias, batch normalisation, a rectifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness import NetworkBuilder
from harness.networks import PerAxis

Step = Mapping[str, Any]  # channels, kernel and window of a convolution, as `NetworkBuilder.conv` takes them


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What the units of one network have in common: eps of the normalisation, and whether it has a gamma."""

    eps: float = 1e-5
    gamma: bool = True


PLAIN = Style()


def same(channels: int, kernel: PerAxis) -> Step:
    """A step that keeps the size; its kernel is odd on every axis."""
    sizes = (kernel, kernel) if isinstance(kernel, int) else tuple(kernel)
    return {"channels": channels, "kernel": sizes, "pad": tuple(size // 2 for size in sizes)}


def valid(channels: int, kernel: PerAxis, stride: int = 1) -> Step:
    """A step without padding."""
    return {"channels": channels, "kernel": kernel, "stride": stride}


def conv_norm(net: NetworkBuilder, name: str, x: str, step: Step, style: Style = PLAIN, *, gain: float = 1.0) -> str:
    """Add a convolution without bias, `name`, and the normalisation of what it gives."""
    y = net.conv(name, x, **step, bias=False)
    return net.norm(f"{name}.bn", y, eps=style.eps, scale=style.gamma, gain=gain)


def unit(net: NetworkBuilder, name: str, x: str, step: Step, style: Style = PLAIN) -> str:
    """Add a convolution without bias, its normalisation and a rectifier."""
    return net.relu(conv_norm(net, name, x, step, style))


def chain(net: NetworkBuilder, name: str, x: str, *steps: Step, style: Style = PLAIN) -> str:
    """Add units one behind the other: name.1, name.2 and so on."""
    for number, step in enumerate(steps, 1):
        x = unit(net, f"{name}.{number}", x, step, style)
    return x
