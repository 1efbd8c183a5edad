"""Inception-ResNet-v2 (Szegedy, Ioffe, Vanhoucke and Alemi 2016), as in TF slim, without its auxiliary head."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT
from suites.architectures.inception import V4, add_pooled
from suites.architectures.units import Step, chain, same, unit, valid

# Branches of a residual block of each size.
BRANCHES: dict[str, tuple[tuple[Step, ...], ...]] = {
    "block35": (
        (same(32, 1),),
        (same(32, 1), same(32, 3)),
        (same(32, 1), same(48, 3), same(64, 3)),
    ),
    "block17": ((same(192, 1),), (same(128, 1), same(160, (1, 7)), same(192, (7, 1)))),
    "block8": ((same(192, 1),), (same(192, 1), same(224, (1, 3)), same(256, (3, 1)))),
}


def _draw_inception_resnet_v2(net: NetworkBuilder) -> None:
    """Residuals are scaled by 0.17, 0.1 and 0.2; the last is not, and no rectifier follows it."""
    x = _add_stem(net)
    for number in range(1, 11):
        x = net.relu(_add_residual(net, "block35", number, x, 0.17))
    one = chain(net, "6a.b0", x, valid(384, 3, 2), style=V4)
    two = chain(net, "6a.b1", x, same(256, 1), same(256, 3), valid(384, 3, 2), style=V4)
    x = net.concat("6a", one, two, net.max_pool("6a.max", x, 3, stride=2))
    for number in range(1, 21):
        x = net.relu(_add_residual(net, "block17", number, x, 0.1))
    one = chain(net, "7a.b0", x, same(256, 1), valid(384, 3, 2), style=V4)
    two = chain(net, "7a.b1", x, same(256, 1), valid(288, 3, 2), style=V4)
    three = chain(net, "7a.b2", x, same(256, 1), same(288, 3), valid(320, 3, 2), style=V4)
    x = net.concat("7a", one, two, three, net.max_pool("7a.max", x, 3, stride=2))
    for number in range(1, 10):
        x = net.relu(_add_residual(net, "block8", number, x, 0.2))
    x = unit(net, "7b", _add_residual(net, "block8", 10, x, 1.0), valid(1536, 1), V4)
    net.dense("logits", net.global_pool("avgpool", x), 1000)


def _add_stem(net: NetworkBuilder) -> str:
    x = unit(net, "1a", INPUT, valid(32, 3, 2), V4)
    x = unit(net, "2b", unit(net, "2a", x, valid(32, 3), V4), same(64, 3), V4)
    x = unit(net, "3b", net.max_pool("3a.max", x, 3, stride=2), valid(80, 1), V4)
    x = net.max_pool("5a.max", unit(net, "4a", x, valid(192, 3), V4), 3, stride=2)
    one = chain(net, "5b.b0", x, same(96, 1), style=V4)
    two = chain(net, "5b.b1", x, same(48, 1), same(64, 5), style=V4)
    three = chain(net, "5b.b2", x, same(64, 1), same(96, 3), same(96, 3), style=V4)
    return net.concat("5b", one, two, three, add_pooled(net, V4, "5b", x, 64))


def _add_residual(net: NetworkBuilder, kind: str, number: int, x: str, factor: float) -> str:
    """Branches, joined and brought back to the channels of x by a 1x1 with bias, scaled and added to x."""
    name = f"{kind}_{number}"
    parts = [chain(net, f"{name}.b{at}", x, *steps, style=V4) for at, steps in enumerate(BRANCHES[kind])]
    y = net.conv(f"{name}.up", net.concat(f"{name}.mix", *parts), net.shape(x)[1], 1)
    if factor != 1:
        y = net.scale(f"{name}.scale", y, factor)
    return net.add(name, x, y)


INCEPTION_RESNET_V2 = Architecture(
    name="inception_resnet_v2",
    description="Inception-ResNet-v2 with scaled residuals, as in TF slim (Szegedy et al. 2016)",
    input=(3, 299, 299),
    build=_draw_inception_resnet_v2,
    small=107,  # the smallest whose last maps are 2x2
    published=55_843_464,
)
