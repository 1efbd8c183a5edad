"""Suites of whole networks: `networks` asks whether they are right, `networks-speed` and `network-layers` how fast."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness import Architecture, Law, NamedProblem, NetworkProblem, Problem, Suite, Timing, hookimpl
from harness.networks import problems_of
from suites.architectures import ARCHITECTURES
from suites.laws.networks import LAWS

PARTNER = "numpy-direct"  # of mixed networks; it has every operator everywhere


def check_problems(networks: Sequence[Architecture]) -> tuple[NamedProblem, ...]:
    """Every network at its small size: two images in float32, one in float64, two mixed with another backend."""
    return tuple(
        NamedProblem(name=f"{one.name}/{kind}", problem=problem)
        for one in networks
        for kind, problem in _variants(one).items()
    )


def _variants(one: Architecture) -> dict[str, NetworkProblem]:
    step = NetworkProblem(architecture=one, work="step", n=2, size=one.small)
    return {"step": step, "taylor": step.with_(n=1, dtype="float64"), "mixed": step.with_(mixed=PARTNER)}


def speed_problems(networks: Sequence[Architecture]) -> tuple[NamedProblem, ...]:
    """Every network at its native size, one image forwards and one training step."""
    return tuple(
        NamedProblem(name=f"{one.name}/{work}", problem=NetworkProblem(architecture=one, work=work))
        for one in networks
        for work in ("forward", "step")
    )


def layer_problems(networks: Sequence[Architecture]) -> tuple[NamedProblem, ...]:
    """The distinct operators of a training step of every network, with how often each occurs."""
    return tuple(item for one in networks for item in _layers(NetworkProblem(architecture=one, work="step")))


def take_layers(named: NamedProblem) -> tuple[NamedProblem, ...]:
    """The distinct operators of a network's problem; any other problem itself."""
    return tuple(_layers(named.problem)) if isinstance(named.problem, NetworkProblem) else (named,)


def _layers(whole: NetworkProblem) -> Iterator[NamedProblem]:
    names: dict[Problem, str] = {}
    for node in whole.network.nodes:
        for problem in problems_of(node, whole.work):
            names.setdefault(problem, node.name)
    for problem, count in whole.network.layers(whole.work).items():
        yield NamedProblem(name=f"{whole.architecture.name}/{names[problem]}", problem=problem, multiplicity=count)


@hookimpl
def register_networks(register: Callable[[Architecture], None]) -> None:
    """Register the architectures."""
    for one in ARCHITECTURES:
        register(one)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the laws of networks and the suites."""
    for law in LAWS:
        register(law)
    register(
        Suite(
            name="networks",
            kind="correctness",
            description="whole networks forwards and backwards, against autograd, layer by layer, and mixed",
            of_networks=check_problems,
            laws=tuple(law.name for law in LAWS),
            budget_s=120.0,
            time_limit_s=600.0,
        )
    )
    register(
        Suite(
            name="networks-speed",
            kind="speed",
            description="whole networks at their native size, forwards and in a training step",
            of_networks=speed_problems,
            timing=Timing(passes=5, sample_s=0.5),  # an interval over 3 is twice as wide
            budget_s=600.0,
            time_limit_s=600.0,
        )
    )
    register(
        Suite(
            name="network-layers",
            kind="speed",
            description="the distinct operators of every network, for the best backend of each layer",
            of_networks=layer_problems,
            take=take_layers,
            timing=Timing(passes=5, sample_s=0.1),  # a gain of a tenth is found in half of the runs of 3
            budget_s=20.0,
        )
    )
