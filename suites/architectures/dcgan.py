"""The generator of DCGAN (Radford, Metz and Chintala 2015, Unsupervised Representation Learning)."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT


def _draw_generator(net: NetworkBuilder) -> None:
    """As in pytorch/examples dcgan: 100 numbers become a picture of 64x64, twice as large with every layer."""
    x = INPUT
    for number, channels in ((0, 512), (3, 256), (6, 128), (9, 64)):
        stride, pad = (2, 1) if number else (1, 0)
        x = net.conv_transpose(f"main.{number}", x, channels, 4, stride=stride, pad=pad, bias=False)
        x = net.relu(net.norm(f"main.{number + 1}", x))
    net.tanh(net.conv_transpose("main.12", x, 3, 4, stride=2, pad=1, bias=False))


DCGAN_GENERATOR = Architecture(
    name="dcgan_generator",
    description="generator of DCGAN: transposed convolutions from 1x1 to 64x64 (Radford et al. 2015, fig. 1)",
    input=(100, 1, 1),
    build=_draw_generator,
    small=1,
    loss="projection",
    published=3_576_704,
)
