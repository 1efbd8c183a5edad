"""Suites `speed` and `speed-short`: layers of real networks, forwards and backwards, and sweeps in each dimension."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, ProblemSet, Suite, Timing, hookimpl
from suites.layers import network_problems, network_sets
from suites.sweeps import SWEEPS, sweep_problems, sweep_sets

NETWORKS = {"lenet5": 8, "alexnet_grouped": 4, "resnet50": 8}


def speed_problems() -> tuple[NamedProblem, ...]:
    """LeNet-5, AlexNet and ResNet-50 with their gradients, and every sweep."""
    layers = [item for name, batch in NETWORKS.items() for item in network_problems(name, batch)]
    return (*layers, *(item for quantity in SWEEPS for item in sweep_problems(quantity)))


def short_problems() -> tuple[NamedProblem, ...]:
    """LeNet-5 with its gradients, one AlexNet image forwards, and three points of two sweeps."""
    points = (*sweep_problems("kernel", (3, 7, 11)), *sweep_problems("size", (8, 32, 64)))
    return (*network_problems("lenet5", 8), *network_problems("alexnet_grouped", 1, gradients=False), *points)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Hand over the full and the short speed suite."""
    register(
        Suite(
            name="speed",
            kind="speed",
            description="LeNet-5, AlexNet, ResNet-50 and sweeps, forwards and backwards",
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
    """Hand over the networks and the sweeps as problem sets."""
    for one in (*network_sets(), *sweep_sets()):
        register(one)
