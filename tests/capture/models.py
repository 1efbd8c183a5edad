"""Models for the capture tests; ResNet-50 follows torchvision (version 1.5: stride on the 3x3)."""

import torch
from torch import nn
from torch.nn import functional


class Bottleneck(nn.Module):
    def __init__(self, channels, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, 4 * planes, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * planes)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != 4 * planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * planes, 1, stride, bias=False), nn.BatchNorm2d(4 * planes)
            )

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for number, (planes, blocks, stride) in enumerate(((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)), 1):
            layers = []
            for block in range(blocks):
                layers.append(Bottleneck(channels, planes, stride if block == 0 else 1))
                channels = 4 * planes
            setattr(self, f"layer{number}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, 1000)

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet50():
    with torch.device("meta"):  # its weights are never looked at
        return ResNet50()


class Functional(nn.Module):
    """Calls without a layer: inside a module, and twice with different sizes."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        x = functional.max_pool2d(self.inner(x), 2, ceil_mode=True)
        return functional.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6, 1, 3, 3))

    def forward(self, x):
        return functional.conv2d(x, self.weight, padding=2, dilation=2, groups=3)


class Axes(nn.Module):
    """One and three axes, with both kinds of pooling."""

    def __init__(self):
        super().__init__()
        self.line = nn.Sequential(nn.Conv1d(2, 4, 5, padding="same"), nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(2))
        self.block = nn.Sequential(nn.Conv3d(1, 2, (1, 3, 3), (1, 2, 2)), nn.MaxPool3d(2), nn.AvgPool3d((1, 2, 2)))

    def forward(self, line, block):
        return self.line(line), self.block(block)


class Up(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2)

    def forward(self, x):
        return self.up(x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.same = nn.Conv2d(3, 3, 3, padding=1, bias=False)

    def forward(self, x):
        return self.same(self.same(x))


class Awkward(nn.Module):
    """Unsupported calls, and one convolution that is supported."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.odd = nn.AdaptiveAvgPool2d(3)
        self.fraction = nn.FractionalMaxPool2d(2, output_size=2)
        self.fc = nn.Linear(2, 5)

    def forward(self, x):
        x = self.conv(x)
        a = self.odd(x).sum()
        b = self.fraction(x).sum()
        c = functional.avg_pool2d(x, 2, divisor_override=3).sum()
        return self.fc(x.mean((2, 3))) + a + b + c


class Adaptive(nn.Module):
    def forward(self, x):
        a = functional.adaptive_max_pool2d(x, (2, 4))
        b = functional.adaptive_avg_pool2d(x, output_size=(4, 2))
        return a, b, functional.adaptive_avg_pool1d(x.flatten(2), 1)


class Looking(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.conv(x) if x.max() > -1e9 else x


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, bias=False)

    def forward(self, x):
        return self.conv(x.to(memory_format=torch.channels_last))


class Guarded(nn.Module):
    """Autograd is switched off, so that composite operators arrive undecomposed."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, bias=False)

    def forward(self, x):
        with torch.inference_mode():
            return functional.max_pool2d(self.conv(x), 2)


class Named(nn.Module):
    """Embedding lookup before a convolution: the input is a list of integers."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(10, 8)
        self.conv = nn.Conv1d(8, 4, 3, bias=False)

    def forward(self, x):
        return self.conv(self.words(x).transpose(1, 2))


def half():
    return Half().to(torch.bfloat16)


def failing():
    raise ValueError("no such weights\nand more")


def nothing():
    return nn.Sequential(nn.ReLU())


pool = nn.MaxPool2d(2)
number = 3
