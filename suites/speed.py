"""Suites `speed` and `speed-short`: layers of real networks, forwards and backwards, and sweeps in each dimension."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, Operator, ProblemSet, Suite, Timing, hookimpl
from suites.layers import forward_layers, network_problems, network_sets
from suites.sweeps import SWEEPS, sweep_problems, sweep_sets

NETWORKS = {"lenet5": 8, "alexnet_grouped": 4, "resnet50": 8}
# Layers of other networks at batch 1, chosen so that each kind of layer, each format, both layouts and the gradients
# occur at the least cost, that of verification included: one call on a large layer takes some libraries seconds in a
# short format, and the problem sets have all layers. network/layer, operator, dtype, layout
VARIED = (
    ("mobilenet_v1/dw7", "conv", "float32", "channels-last"),
    ("mobilenet_v1/dw7", "conv_weight_grad", "float32", "channels-first"),
    ("mobilenet_v1/dw12", "conv_input_grad", "float32", "channels-last"),
    ("deeplabv3_resnet50/layer3.1.conv2", "conv", "float32", "channels-last"),
    ("conv_tasnet/depthwise-d8", "conv", "float32", "channels-first"),
    ("m5/conv4", "conv", "bfloat16", "channels-last"),
    ("m5/conv3", "conv_weight_grad", "float32", "channels-last"),
    ("m5/conv3", "conv_input_grad", "float16", "channels-first"),
    ("m5/pool3", "max_pool", "bfloat16", "channels-first"),
    ("c3d/conv5", "conv_input_grad", "float32", "channels-first"),
    ("c3d/pool5", "max_pool", "float16", "channels-last"),
)


def varied_problems() -> tuple[NamedProblem, ...]:
    """The chosen layers of other networks."""
    found = []
    for name, operator, dtype, layout in VARIED:
        network, _, layer = name.partition("/")
        forward = next(problem for one, problem, _, _ in forward_layers(network, 1) if one == layer)
        problem = forward.with_(operator=Operator(operator), dtype=dtype, layout=layout)
        found.append(NamedProblem(name=name, problem=problem))
    return tuple(found)


def speed_problems() -> tuple[NamedProblem, ...]:
    """LeNet-5, AlexNet and ResNet-50 with their gradients, chosen layers of others, and points of every sweep."""
    layers = [item for name, batch in NETWORKS.items() for item in network_problems(name, batch)]
    points = (item for quantity, sweep in SWEEPS.items() for item in sweep_problems(quantity, sweep.timed))
    return (*layers, *varied_problems(), *points)


def short_problems() -> tuple[NamedProblem, ...]:
    """LeNet-5 with its gradients, one AlexNet image forwards, and three points of two sweeps."""
    points = (*sweep_problems("kernel", (3, 7, 11)), *sweep_problems("size", (8, 32, 64)))
    return (*network_problems("lenet5", 8), *network_problems("alexnet_grouped", 1, gradients=False), *points)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the full and the short speed suite."""
    register(
        Suite(
            name="speed",
            kind="speed",
            description="LeNet-5, AlexNet, ResNet-50, layers of MobileNet, DeepLab, 1-D and 3-D networks, and sweeps",
            problems=speed_problems,
            timing=Timing(passes=3, sample_s=0.3),
        )
    )
    register(
        Suite(
            name="speed-short",
            kind="speed",
            description="LeNet-5, AlexNet forwards and two short sweeps",
            problems=short_problems,
            timing=Timing(passes=3, sample_s=0.1),
            budget_s=5.0,
        )
    )


@hookimpl
def register_problems(register: Callable[[ProblemSet], None]) -> None:
    """Register the networks and the sweeps as problem sets."""
    for one in (*network_sets(), *sweep_sets()):
        register(one)
