"""Comparison of the numerics that a backend declares in its process with its declarations to the plan."""

from __future__ import annotations

from dataclasses import fields

from harness.networks.problem import NetworkProblem
from harness.plan.task import Task
from harness.problems.numerics import Numerics
from harness.worker.hosted.backend import HostedBackend
from harness.worker.protocol import Checked


def find_change(backend: HostedBackend, problem: Task, planned: Numerics | None) -> Checked | None:
    """Return an error if the numerics for a problem are not the planned ones; None if they are.

    The process of a backend could otherwise declare wide bounds, while the plan and its reports show narrow ones.

    backend: as its process declares it now.
    problem: of a cell. The numerics of a network are those of all problems.
    planned: None if the plan has asked another version.
    Raises HostError.
    """
    if planned is None:
        return None
    said = backend.numerics if isinstance(problem, NetworkProblem) else backend.numerics_for(problem)
    different = [
        f"{one.name}={getattr(said, one.name)!r}, not {getattr(planned, one.name)!r}"
        for one in fields(Numerics)
        if getattr(said, one.name) != getattr(planned, one.name)
    ]
    if not different:
        return None
    return Checked("error", f"in its process it declares other numerics than to the plan: {'; '.join(different)}")
