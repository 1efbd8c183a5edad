"""DeepLab v3 on ResNet-50 (Chen, Papandreou, Schroff and Adam 2017, Rethinking Atrous Convolution)."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from suites.architectures.resnet import add_bottleneck, add_stem, branch_gain
from suites.architectures.units import same, unit, valid

RATES = (12, 24, 36)
CLASSES = 21
# Blocks of each stage: stride of the first, dilation of the first, dilation of the others.
STAGES = ((3, 1, 1, 1), (4, 2, 1, 1), (6, 1, 1, 2), (3, 1, 2, 4))


def _draw_deeplabv3(net: NetworkBuilder) -> None:
    """As in torchvision at output stride 8, without its auxiliary head and without the interpolation at the end.

    The last two stages dilate instead of striding; five branches look at their result side by side.
    """
    x, gain = add_stem(net), branch_gain(sum(depth for depth, *_ in STAGES))
    for stage, (depth, stride, first, others) in enumerate(STAGES, 1):
        for number in range(depth):
            step, dilation = (1, others) if number else (stride, first)
            x = add_bottleneck(net, f"layer{stage}.{number}", x, 32 * 2**stage, step, gain, dilation)
    x = unit(net, "aspp.project", _add_pyramid(net, x), valid(256, 1))
    x = unit(net, "head.1", x, same(256, 3))
    net.conv("head.4", x, CLASSES, 1)


def _add_pyramid(net: NetworkBuilder, x: str) -> str:
    """Atrous spatial pyramid pooling: a 1x1, a 3x3 at every rate, and the mean of the picture, spread out again."""
    parts = [unit(net, "aspp.0", x, valid(256, 1))]
    for number, rate in enumerate(RATES, 1):
        dilated = {"channels": 256, "kernel": 3, "pad": rate, "dilation": rate}
        parts.append(unit(net, f"aspp.{number}", x, dilated))
    whole = unit(net, "aspp.4.conv", net.global_pool("aspp.4.pool", x), valid(256, 1))
    return net.concat("aspp.cat", *parts, net.expand("aspp.4.up", whole, net.shape(x)[2:]))


# torchvision's 42,004,074 parameters hold 2,365,205 of the auxiliary head, so no published number is this one.
DEEPLABV3_RESNET50 = Architecture(
    name="deeplabv3_resnet50",
    description="DeepLab v3 on ResNet-50 at output stride 8, dilations up to 36 (Chen et al. 2017)",
    input=(3, 520, 520),
    build=_draw_deeplabv3,
    small=65,  # a map of 9x9, where the outer taps of the three rates all read padding
)
