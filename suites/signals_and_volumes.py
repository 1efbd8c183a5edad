"""Layers of real networks with one or three spatial axes, as a table: network, source, layers for one image.

Lines are those of a forward pass at batch 1; `first` is the layer that reads the input and needs no input gradient.
Sizes follow from the shapes that the sources give; where an output is ceil(size / stride), the padding is "same".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its name, its problem line and how often the network has it."""

    name: str
    line: str
    times: int = 1
    first: bool = False


@dataclass(frozen=True, slots=True)
class Layers:
    """All layers of a network."""

    source: str
    layers: tuple[Layer, ...]


def _separable(dilation: int, times: int) -> Layer:
    """One depthwise layer of Conv-TasNet's temporal network, on 3 999 frames."""
    line = f"conv x=1x512x3999 w=512x1x3 pad={dilation} dilation={dilation} groups=512"
    return Layer(f"depthwise-d{dilation}", line, times)


NETWORKS: Mapping[str, Layers] = {
    "m5": Layers(
        "paper Dai et al. 2017, Very Deep Convolutional Neural Networks for Raw Waveforms, table 1 (32 000 samples)",
        (
            Layer("conv1", "conv x=1x1x32000 w=128x1x80 stride=4 pad=38", first=True),
            Layer("pool1", "max_pool x=1x128x8000 kernel=4 stride=4"),
            Layer("conv2", "conv x=1x128x2000 w=128x128x3 pad=1"),
            Layer("pool2", "max_pool x=1x128x2000 kernel=4 stride=4"),
            Layer("conv3", "conv x=1x128x500 w=256x128x3 pad=1"),
            Layer("pool3", "max_pool x=1x256x500 kernel=4 stride=4"),
            Layer("conv4", "conv x=1x256x125 w=512x256x3 pad=1"),
            Layer("pool4", "max_pool x=1x512x125 kernel=4 stride=4 ceil"),
            Layer("mean", "avg_pool x=1x512x32 kernel=32"),
        ),
    ),
    "conv_tasnet": Layers(
        "paper Luo and Mesgarani 2019, Conv-TasNet, best configuration: N=512 L=16 B=128 H=512 Sc=128 P=3 X=8 R=3, "
        "2 speakers, 4 s at 8 kHz",
        (
            Layer("encoder", "conv x=1x1x32000 w=512x1x16 stride=8", first=True),
            Layer("bottleneck", "conv x=1x512x3999 w=128x512x1"),
            Layer("widen", "conv x=1x128x3999 w=512x128x1", 24),
            *(_separable(2**x, 3) for x in range(8)),
            Layer("narrow", "conv x=1x512x3999 w=128x512x1", 48),
            Layer("mask", "conv x=1x128x3999 w=1024x128x1"),
            Layer("decoder", "conv_transpose x=2x512x3999 w=512x1x16 stride=8"),
        ),
    ),
    "wav2vec2_base": Layers(
        "paper Baevski et al. 2020, wav2vec 2.0, section 4.2: feature encoder, and the grouped positional convolution "
        "(1 s at 16 kHz)",
        (
            Layer("encoder.0", "conv x=1x1x16000 w=512x1x10 stride=5", first=True),
            Layer("encoder.1", "conv x=1x512x3199 w=512x512x3 stride=2"),
            Layer("encoder.2", "conv x=1x512x1599 w=512x512x3 stride=2"),
            Layer("encoder.3", "conv x=1x512x799 w=512x512x3 stride=2"),
            Layer("encoder.4", "conv x=1x512x399 w=512x512x3 stride=2"),
            Layer("encoder.5", "conv x=1x512x199 w=512x512x2 stride=2"),
            Layer("encoder.6", "conv x=1x512x99 w=512x512x2 stride=2"),
            Layer("positional", "conv x=1x768x49 w=768x48x128 pad=64 groups=16"),
        ),
    ),
    "c3d": Layers(
        "paper Tran et al. 2015, Learning Spatiotemporal Features with 3D Convolutional Networks, section 3.3 and "
        "figure 3 (16 frames of 112x112)",
        (
            Layer("conv1a", "conv x=1x3x16x112x112 w=64x3x3x3x3 pad=1", first=True),
            Layer("pool1", "max_pool x=1x64x16x112x112 kernel=1x2x2 stride=1,2,2"),
            Layer("conv2a", "conv x=1x64x16x56x56 w=128x64x3x3x3 pad=1"),
            Layer("pool2", "max_pool x=1x128x16x56x56 kernel=2x2x2 stride=2"),
            Layer("conv3a", "conv x=1x128x8x28x28 w=256x128x3x3x3 pad=1"),
            Layer("conv3b", "conv x=1x256x8x28x28 w=256x256x3x3x3 pad=1"),
            Layer("pool3", "max_pool x=1x256x8x28x28 kernel=2x2x2 stride=2"),
            Layer("conv4a", "conv x=1x256x4x14x14 w=512x256x3x3x3 pad=1"),
            Layer("conv4b", "conv x=1x512x4x14x14 w=512x512x3x3x3 pad=1"),
            Layer("pool4", "max_pool x=1x512x4x14x14 kernel=2x2x2 stride=2"),
            Layer("conv5", "conv x=1x512x2x7x7 w=512x512x3x3x3 pad=1", 2),
            Layer("pool5", "max_pool x=1x512x2x7x7 kernel=2x2x2 stride=2 pad=0,1,1"),
        ),
    ),
}
