"""U-Net (Ronneberger, Fischer and Brox 2015), with the valid convolutions of the paper."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT

WIDTHS = (64, 128, 256, 512)


def _draw_unet(net: NetworkBuilder) -> None:
    """Fig. 1: what goes down is cropped to the size of what comes up, and both are joined, the cropped first."""
    x, kept = INPUT, []
    for level, width in enumerate(WIDTHS, 1):
        x = _convolve_twice(net, f"down{level}", x, width)
        kept.append(x)
        x = net.max_pool(f"down{level}.pool", x, 2)
    x = _convolve_twice(net, "bottom", x, 2 * WIDTHS[-1])
    for level, width in reversed(list(enumerate(WIDTHS, 1))):
        x = net.conv_transpose(f"up{level}.upconv", x, width, 2, stride=2)
        cropped = net.crop(f"up{level}.crop", kept.pop(), net.shape(x)[2:])
        x = _convolve_twice(net, f"up{level}", net.concat(f"up{level}.cat", cropped, x), width)
    net.conv("out", x, 2, 1)


def _convolve_twice(net: NetworkBuilder, name: str, x: str, width: int) -> str:
    x = net.relu(net.conv(f"{name}.conv1", x, width, 3))
    return net.relu(net.conv(f"{name}.conv2", x, width, 3))


UNET = Architecture(
    name="unet",
    description="U-Net with valid convolutions, 572 to 388 (Ronneberger et al. 2015, fig. 1)",
    input=(1, 572, 572),
    build=_draw_unet,
    small=188,  # the smallest that leaves something in the middle: 4x4
    published=31_030_658,
)
