"""The general block: [M convolutions, b poolings] N times, then K fully connected layers."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT

CHANNELS, HIDDEN, CLASSES = 16, 64, 10


def _draw_block(net: NetworkBuilder, N: int, M: int, b: int, K: int) -> None:
    """3x3 convolutions of equal width that keep the size, 2x2 maxima; twice the channels in every next block."""
    x = INPUT
    for block in range(1, N + 1):
        for number in range(1, M + 1):
            x = net.relu(net.conv(f"block{block}.conv{number}", x, CHANNELS * 2 ** (block - 1), 3, pad=1))
        for number in range(1, b + 1):
            x = net.max_pool(f"block{block}.pool{number}", x, 2)
    for number in range(1, K):
        x = net.relu(net.dense(f"fc{number}", x, HIDDEN))
    if K:
        net.dense(f"fc{K}", x, CLASSES)


BLOCK = Architecture(
    name="block",
    description="the general block: [M 3x3 convolutions, b 2x2 maxima] N times, then K fully connected layers",
    input=(3, 32, 32),
    build=_draw_block,
    small=16,
    options={"N": 2, "M": 2, "b": 1, "K": 2},
)
