"""Derivations of missing operators from the operators of a backend.

A derivation is planned and run by the same code: `needs` names the problems that the same backend must answer, and
`compute` runs them. Array operations use the namespace of the arrays, so that they stay on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from harness.problems.arrays import DeviceArray, DeviceArrays
from harness.problems.operators.geometry import Geometry, P
from harness.problems.taps import find_namespace

SHORT = frozenset({"float16", "bfloat16"})
Runner = Callable[[P, DeviceArrays], tuple[DeviceArray, ...]]


class Need(Protocol):
    """Finds the problem to be answered instead of another; None where the derivation does not apply."""

    def __call__(self, problem: P, /) -> P | None:
        """The problem that is needed."""
        ...


class Compute(Protocol):
    """Runs the needed problem and turns its answer into the outputs of the first one."""

    def __call__(self, run: Runner[P], problem: P, arrays: DeviceArrays, /) -> tuple[DeviceArray, ...]:
        """Outputs of the first problem, in their order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """One way to answer a problem by other problems of the same backend; `via` names it in tables."""

    via: str
    needs: Need
    compute: Compute


def take_one(values: tuple[DeviceArray, ...]) -> DeviceArray:
    """The only output that matters."""
    return values[0]


def widen_short(problem: Geometry, a: DeviceArray) -> DeviceArray:
    """The array in float32 where its own format is too short to sum in."""
    return find_namespace(a).astype(a, find_namespace(a).float32) if problem.dtype in SHORT else a
