"""Inception v1, v3 and v4 (Szegedy et al. 2014, 2015 and 2016), without auxiliary heads."""

from __future__ import annotations

from dataclasses import dataclass

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT
from suites.architectures.units import Step, Style, chain, same, unit, valid


@dataclass(frozen=True, slots=True, kw_only=True)
class InceptionStyle(Style):
    """include_pad: whether means divide by the whole window at the border."""

    eps: float = 1e-3
    include_pad: bool = False


V3 = InceptionStyle(gamma=False, include_pad=True)
V4 = InceptionStyle()

# Channels of a GoogLeNet module: 1x1, 3x3 reduced, 3x3, 5x5 reduced, 5x5, behind the pool.
GOOGLENET = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _draw_googlenet(net: NetworkBuilder) -> None:
    """As in BVLC/caffe models/bvlc_googlenet: convolutions with bias, poolings that round up, two normalisations."""
    x = net.relu(net.conv("conv1/7x7_s2", INPUT, 64, 7, stride=2, pad=3))
    x = net.max_pool("pool1/3x3_s2", x, 3, stride=2, ceil=True)
    x = net.relu(net.conv("conv2/3x3_reduce", net.lrn("pool1/norm1", x), 64, 1))
    x = net.relu(net.conv("conv2/3x3", x, 192, 3, pad=1))
    x = net.max_pool("pool2/3x3_s2", net.lrn("conv2/norm2", x), 3, stride=2, ceil=True)
    for module, widths in GOOGLENET.items():
        x = _add_v1_module(net, f"inception_{module}", x, *widths)
        if module in ("3b", "4e"):
            x = net.max_pool(f"pool{module[0]}/3x3_s2", x, 3, stride=2, ceil=True)
    x = net.avg_pool("pool5/7x7_s1", x, net.shape(x)[2:], stride=1, ceil=True)
    net.dense("loss3/classifier", x, 1000)


def _add_v1_module(
    net: NetworkBuilder,
    name: str,
    x: str,
    one: int,
    three_reduced: int,
    three: int,
    five_reduced: int,
    five: int,
    pool: int,
) -> str:
    first = net.relu(net.conv(f"{name}/1x1", x, one, 1))
    y = net.relu(net.conv(f"{name}/3x3_reduce", x, three_reduced, 1))
    second = net.relu(net.conv(f"{name}/3x3", y, three, 3, pad=1))
    y = net.relu(net.conv(f"{name}/5x5_reduce", x, five_reduced, 1))
    third = net.relu(net.conv(f"{name}/5x5", y, five, 5, pad=2))
    y = net.max_pool(f"{name}/pool", x, 3, stride=1, pad=1, ceil=True)
    fourth = net.relu(net.conv(f"{name}/pool_proj", y, pool, 1))
    return net.concat(f"{name}/output", first, second, third, fourth)


def add_pooled(net: NetworkBuilder, style: InceptionStyle, name: str, x: str, channels: int) -> str:
    """Add the branch with a mean over 3x3.

    net: the network being built. style: of its units. name: of the new node. x: name of the input. channels: of the
    output.
    """
    y = net.avg_pool(f"{name}.avg", x, 3, stride=1, pad=1, include_pad=style.include_pad)
    return chain(net, f"{name}.bp", y, same(channels, 1), style=style)


def _add_fork(
    net: NetworkBuilder, style: InceptionStyle, name: str, x: str, channels: int, *steps: Step
) -> tuple[str, str]:
    """Add a chain that ends in a 1x3 and a 3x1 side by side."""
    x = chain(net, name, x, *steps, style=style)
    number = len(steps) + 1
    wide = unit(net, f"{name}.{number}a", x, same(channels, (1, 3)), style)
    return wide, unit(net, f"{name}.{number}b", x, same(channels, (3, 1)), style)


def _long(first: int, *rest: int, wide: bool) -> tuple[Step, ...]:
    """A 1x1 to `first` channels, then 1x7 and 7x1 in turn; `wide`: 1x7 before 7x1."""
    kernels = ((1, 7), (7, 1)) if wide else ((7, 1), (1, 7))
    return same(first, 1), *(same(channels, kernels[at % 2]) for at, channels in enumerate(rest))


def _draw_v3(net: NetworkBuilder) -> None:
    """As in torchvision, but without gamma, as in Keras, whose published number it is."""
    x = unit(net, "1a", INPUT, valid(32, 3, 2), V3)
    x = unit(net, "2b", unit(net, "2a", x, valid(32, 3), V3), same(64, 3), V3)
    x = unit(net, "3b", net.max_pool("maxpool1", x, 3, stride=2), valid(80, 1), V3)
    x = net.max_pool("maxpool2", unit(net, "4a", x, valid(192, 3), V3), 3, stride=2)
    for name, pool in (("5b", 32), ("5c", 64), ("5d", 64)):
        x = _add_v3_a(net, name, x, pool)
    one = chain(net, "6a.b3", x, valid(384, 3, 2), style=V3)
    two = chain(net, "6a.b3d", x, same(64, 1), same(96, 3), valid(96, 3, 2), style=V3)
    x = net.concat("6a", one, two, net.max_pool("6a.max", x, 3, stride=2))
    for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        x = _add_v3_b(net, name, x, width)
    one = chain(net, "7a.b3", x, same(192, 1), valid(320, 3, 2), style=V3)
    two = chain(net, "7a.b7", x, *_long(192, 192, 192, wide=True), valid(192, 3, 2), style=V3)
    x = net.concat("7a", one, two, net.max_pool("7a.max", x, 3, stride=2))
    for name in ("7b", "7c"):
        x = _add_v3_c(net, name, x)
    net.dense("fc", net.global_pool("avgpool", x), 1000)


def _add_v3_a(net: NetworkBuilder, name: str, x: str, pool: int) -> str:
    one = chain(net, f"{name}.b1", x, same(64, 1), style=V3)
    two = chain(net, f"{name}.b5", x, same(48, 1), same(64, 5), style=V3)
    three = chain(net, f"{name}.b3", x, same(64, 1), same(96, 3), same(96, 3), style=V3)
    return net.concat(name, one, two, three, add_pooled(net, V3, name, x, pool))


def _add_v3_b(net: NetworkBuilder, name: str, x: str, width: int) -> str:
    one = chain(net, f"{name}.b1", x, same(192, 1), style=V3)
    two = chain(net, f"{name}.b7", x, *_long(width, width, 192, wide=True), style=V3)
    three = chain(net, f"{name}.b7d", x, *_long(width, width, width, width, 192, wide=False), style=V3)
    return net.concat(name, one, two, three, add_pooled(net, V3, name, x, 192))


def _add_v3_c(net: NetworkBuilder, name: str, x: str) -> str:
    one = chain(net, f"{name}.b1", x, same(320, 1), style=V3)
    two = _add_fork(net, V3, f"{name}.b3", x, 384, same(384, 1))
    three = _add_fork(net, V3, f"{name}.b3d", x, 384, same(448, 1), same(384, 3))
    return net.concat(name, one, *two, *three, add_pooled(net, V3, name, x, 192))


def _draw_v4(net: NetworkBuilder) -> None:
    """As in TF slim, whose order of 7x1 and 1x7 in the long branches is not that of the paper's figures."""
    x = _add_v4_stem(net)
    for name in ("5b", "5c", "5d", "5e"):
        x = _add_v4_a(net, name, x)
    one = chain(net, "6a.b0", x, valid(384, 3, 2), style=V4)
    two = chain(net, "6a.b1", x, same(192, 1), same(224, 3), valid(256, 3, 2), style=V4)
    x = net.concat("6a", one, two, net.max_pool("6a.max", x, 3, stride=2))
    for letter in "bcdefgh":
        x = _add_v4_b(net, f"6{letter}", x)
    one = chain(net, "7a.b0", x, same(192, 1), valid(192, 3, 2), style=V4)
    two = chain(net, "7a.b1", x, *_long(256, 256, 320, wide=True), valid(320, 3, 2), style=V4)
    x = net.concat("7a", one, two, net.max_pool("7a.max", x, 3, stride=2))
    for name in ("7b", "7c", "7d"):
        x = _add_v4_c(net, name, x)
    net.dense("logits", net.global_pool("avgpool", x), 1000)


def _add_v4_stem(net: NetworkBuilder) -> str:
    x = unit(net, "1a", INPUT, valid(32, 3, 2), V4)
    x = unit(net, "2b", unit(net, "2a", x, valid(32, 3), V4), same(64, 3), V4)
    pooled = net.max_pool("3a.max", x, 3, stride=2)
    x = net.concat("3a", pooled, unit(net, "3a.conv", x, valid(96, 3, 2), V4))
    one = chain(net, "4a.b0", x, same(64, 1), valid(96, 3), style=V4)
    two = chain(net, "4a.b1", x, *_long(64, 64, 64, wide=True), valid(96, 3), style=V4)
    x = net.concat("4a", one, two)
    strided = unit(net, "5a.conv", x, valid(192, 3, 2), V4)
    return net.concat("5a", strided, net.max_pool("5a.max", x, 3, stride=2))


def _add_v4_a(net: NetworkBuilder, name: str, x: str) -> str:
    one = chain(net, f"{name}.b0", x, same(96, 1), style=V4)
    two = chain(net, f"{name}.b1", x, same(64, 1), same(96, 3), style=V4)
    three = chain(net, f"{name}.b2", x, same(64, 1), same(96, 3), same(96, 3), style=V4)
    return net.concat(name, one, two, three, add_pooled(net, V4, name, x, 96))


def _add_v4_b(net: NetworkBuilder, name: str, x: str) -> str:
    one = chain(net, f"{name}.b0", x, same(384, 1), style=V4)
    two = chain(net, f"{name}.b1", x, *_long(192, 224, 256, wide=True), style=V4)
    three = chain(net, f"{name}.b2", x, *_long(192, 192, 224, 224, 256, wide=False), style=V4)
    return net.concat(name, one, two, three, add_pooled(net, V4, name, x, 128))


def _add_v4_c(net: NetworkBuilder, name: str, x: str) -> str:
    one = chain(net, f"{name}.b0", x, same(256, 1), style=V4)
    two = _add_fork(net, V4, f"{name}.b1", x, 256, same(384, 1))
    three = _add_fork(net, V4, f"{name}.b2", x, 256, same(384, 1), same(448, (3, 1)), same(512, (1, 3)))
    return net.concat(name, one, *two, *three, add_pooled(net, V4, name, x, 256))


GOOGLENET_V1 = Architecture(
    name="googlenet",
    description="GoogLeNet, Inception v1, with local response normalisation, as in Caffe (Szegedy et al. 2014)",
    input=(3, 224, 224),
    build=_draw_googlenet,
    small=64,
    published=6_998_552,
)
INCEPTION_V3 = Architecture(
    name="inception_v3",
    description="Inception v3, normalised without gamma, as Keras counts it (Szegedy et al. 2015)",
    input=(3, 299, 299),
    build=_draw_v3,
    small=107,  # the smallest whose last maps are 2x2
    published=23_851_784,
    counts="all",
)
INCEPTION_V4 = Architecture(
    name="inception_v4",
    description="Inception v4 in the order of TF slim (Szegedy et al. 2016)",
    input=(3, 299, 299),
    build=_draw_v4,
    small=107,
    published=42_679_816,
)
