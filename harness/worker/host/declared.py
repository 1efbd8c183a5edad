"""Declarations of a backend: for all problems, and for each of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from harness.backend.base import Backend, native_operators
from harness.backend.routing import find_route, refusal_reason
from harness.laws.threads import has_thread_switch
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem
from harness.worker.wire.messages import Costs, Declared, Facts

HOOKS = ("numerics_for", "prepare", "supports", "work", "workspace")


def declare(backend: Backend) -> Declared:
    """Return what a backend declares once."""
    return Declared(
        name=backend.name, axes=tuple(backend.axes), dtypes=tuple(backend.dtypes), grouped=backend.grouped,
        device=backend.device, clock=backend.clock, rate=float(backend.rate), numerics=_fields(backend.numerics),
        takes_complex=backend.takes_complex, instruction_sets=tuple(backend.instruction_sets),
        operators=tuple(operator.value for operator in native_operators(backend)),
        own=tuple(name for name in HOOKS if _is_own(backend, name)) + ("set_threads",) * has_thread_switch(backend),
    )  # fmt: skip


def _is_own(backend: Backend, name: str) -> bool:
    return getattr(getattr(backend, name), "__func__", None) is not getattr(Backend, name)


def state_costs(backend: Backend, problem: Problem) -> Costs:
    """Return what a backend declares of the costs of a problem. Raises what its methods raise."""
    return Costs(workspace=int(backend.workspace(problem)), work=float(backend.work(problem)))


def state_facts(backend: Backend, problem: Problem) -> Facts:
    """Return what a backend declares for a problem. Raises what its methods raise."""
    route = find_route(backend, problem)
    refusal = refusal_reason(backend, problem)
    return Facts(
        refusal=None if refusal is None else str(refusal), kind=route.kind, via=route.via, reason=route.reason,
        numerics=_fields(backend.numerics_for(problem)),
    )  # fmt: skip


def _fields(numerics: Numerics) -> dict[str, Any]:
    if not isinstance(numerics, Numerics):
        raise TypeError(f"numerics_for gave {type(numerics).__name__}, wanted a harness.Numerics")
    values = {field.name: getattr(numerics, field.name) for field in fields(Numerics)}
    return values | {"accumulator": dict(numerics.accumulator)}
