"""Residual networks (He, Zhang, Ren and Sun 2015, Deep Residual Learning), with the stride on the 3x3 (v1.5)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT
from suites.architectures.units import conv_norm, unit, valid

Residual = Callable[..., str]


def branch_gain(blocks: int) -> float:
    """Gain of the last normalisation of each residual branch: 1/4 for 8 blocks, less for more.

    What is rectified next is drawn to twice the square of what a branch reads, so a block makes the mean square
    1 + 2 gain^2 times as large; with gain^2 = 1/(2 blocks) all of them together make it no more than e times as large.
    """
    return 1 / math.sqrt(2 * blocks)


def _add_basic(net: NetworkBuilder, name: str, x: str, channels: int, stride: int, gain: float) -> str:
    """Add two 3x3 convolutions to the identity, or to a 1x1 projection where the shape changes."""
    y = unit(net, f"{name}.conv1", x, {"channels": channels, "kernel": 3, "stride": stride, "pad": 1})
    y = conv_norm(net, f"{name}.conv2", y, {"channels": channels, "kernel": 3, "pad": 1}, gain=gain)
    return _join(net, name, x, y, stride)


def add_bottleneck(
    net: NetworkBuilder, name: str, x: str, channels: int, stride: int, gain: float, dilation: int = 1
) -> str:
    """Add 1x1, 3x3 and 1x1 convolutions to four times the channels, with the identity or a projection.

    net: the network being built. name: of the block. x: name of the input. channels: inside the block.
    stride, dilation: of the 3x3 convolution. gain: of the last normalisation.
    """
    middle = {"channels": channels, "kernel": 3, "stride": stride, "pad": dilation, "dilation": dilation}
    y = unit(net, f"{name}.conv1", x, valid(channels, 1))
    y = unit(net, f"{name}.conv2", y, middle)
    y = conv_norm(net, f"{name}.conv3", y, valid(4 * channels, 1), gain=gain)
    return _join(net, name, x, y, stride)


def _join(net: NetworkBuilder, name: str, x: str, y: str, stride: int) -> str:
    if net.shape(x) != net.shape(y):
        x = conv_norm(net, f"{name}.downsample", x, valid(net.shape(y)[1], 1, stride))
    return net.relu(net.add(name, x, y))


def add_stem(net: NetworkBuilder) -> str:
    """The 7x7 convolution and the pooling before the first stage."""
    x = unit(net, "conv1", INPUT, {"channels": 64, "kernel": 7, "stride": 2, "pad": 3})
    return net.max_pool("maxpool", x, 3, stride=2, pad=1)


def _draw_resnet(net: NetworkBuilder, residual: Residual, depths: tuple[int, ...]) -> None:
    x, gain = add_stem(net), branch_gain(sum(depths))
    for stage, depth in enumerate(depths, 1):
        for number in range(depth):
            stride = 2 if stage > 1 and number == 0 else 1
            x = residual(net, f"layer{stage}.{number}", x, 32 * 2**stage, stride, gain)
    net.dense("fc", net.global_pool("avgpool", x), 1000)


def _resnet(layers: int, published: int, residual: Residual, *depths: int) -> Architecture:
    return Architecture(
        name=f"resnet{layers}",
        description=f"residual network of {layers} layers, stride on the 3x3 (He et al. 2015, table 1)",
        input=(3, 224, 224),
        build=partial(_draw_resnet, residual=residual, depths=depths),
        small=64,
        published=published,
    )


RESNETS = (
    _resnet(18, 11_689_512, _add_basic, 2, 2, 2, 2),
    _resnet(34, 21_797_672, _add_basic, 3, 4, 6, 3),
    _resnet(50, 25_557_032, add_bottleneck, 3, 4, 6, 3),
    _resnet(101, 44_549_160, add_bottleneck, 3, 4, 23, 3),
    _resnet(152, 60_192_808, add_bottleneck, 3, 8, 36, 3),
)
