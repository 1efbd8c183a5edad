"""Qualification: identical arms, and arms with known slow-downs, through the very gate that later fails a build."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.qualification import SUITE
from harness.plan.arm import Arm
from harness.plugins.manager import Registry

AGAIN = ":again"


def make_arms(registry: Registry, backends: Sequence[str]) -> tuple[Arm, ...]:
    """Every backend twice, as a family of its own."""
    arms = []
    for name in backends:
        registry.backend(name)
        arms += [Arm(name=name, backend=name, family=name), Arm(name=name + AGAIN, backend=name, family=name)]
    return tuple(arms)


def name_suites(slowdowns: Sequence[float]) -> tuple[str, ...]:
    """The suite of identical arms, and those of known slow-downs."""
    return (SUITE, *(f"{SUITE}+{100 * slowdown:g}" for slowdown in slowdowns))
