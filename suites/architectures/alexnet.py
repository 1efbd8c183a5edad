"""AlexNet (Krizhevsky, Sutskever and Hinton 2012), in two groups as it was published and in one tower."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT


def _draw_grouped(net: NetworkBuilder) -> None:
    """As in BVLC/caffe models/bvlc_alexnet: rectifier, normalisation, then pooling that rounds up."""
    x = net.relu(net.conv("conv1", INPUT, 96, 11, stride=4))
    x = net.max_pool("pool1", net.lrn("norm1", x), 3, stride=2, ceil=True)
    x = net.relu(net.conv("conv2", x, 256, 5, pad=2, groups=2))
    x = net.max_pool("pool2", net.lrn("norm2", x), 3, stride=2, ceil=True)
    x = net.relu(net.conv("conv3", x, 384, 3, pad=1))
    x = net.relu(net.conv("conv4", x, 384, 3, pad=1, groups=2))
    x = net.relu(net.conv("conv5", x, 256, 3, pad=1, groups=2))
    _finish(net, net.max_pool("pool5", x, 3, stride=2, ceil=True))


def _draw_one_tower(net: NetworkBuilder) -> None:
    """As in soumith/convnet-benchmarks and torchvision: no groups, no normalisation."""
    x = net.relu(net.conv("conv1", INPUT, 64, 11, stride=4, pad=2))
    x = net.max_pool("pool1", x, 3, stride=2)
    x = net.relu(net.conv("conv2", x, 192, 5, pad=2))
    x = net.max_pool("pool2", x, 3, stride=2)
    x = net.relu(net.conv("conv3", x, 384, 3, pad=1))
    x = net.relu(net.conv("conv4", x, 256, 3, pad=1))
    x = net.relu(net.conv("conv5", x, 256, 3, pad=1))
    _finish(net, net.max_pool("pool5", x, 3, stride=2))


def _finish(net: NetworkBuilder, x: str) -> None:
    x = net.relu(net.dense("fc6", x, 4096))
    x = net.relu(net.dense("fc7", x, 4096))
    net.dense("fc8", x, 1000)


ALEXNET_GROUPED = Architecture(
    name="alexnet_grouped",
    description="AlexNet in two groups with local response normalisation, as in Caffe (Krizhevsky et al. 2012)",
    input=(3, 227, 227),
    build=_draw_grouped,
    small=71,  # the smallest at which all three poolings round up, and the last map is 2x2
    published=60_965_224,
)
ALEXNET_ONE_TOWER = Architecture(
    name="alexnet_one_tower",
    description="AlexNet in one tower, as in torchvision (Krizhevsky 2014, One Weird Trick)",
    input=(3, 224, 224),
    build=_draw_one_tower,
    small=95,  # the smallest whose last map is 2x2
    published=61_100_840,
)
