"""Comparison of the numerics that a backend declares in its process with its declarations to the plan."""

from __future__ import annotations

from dataclasses import fields

from harness.plan.task import Task, list_numerics
from harness.problems.numerics import Numerics
from harness.worker.hosted.backend import HostedBackend
from harness.worker.protocol import Checked


def find_change(
    backend: HostedBackend, problem: Task, planned: Numerics | tuple[Numerics, ...] | None
) -> Checked | None:
    """Return an error if the numerics for a problem are not the planned ones; None if they are.

    The process of a backend could otherwise declare wide bounds, while the plan and its reports show narrow ones.

    backend: as its process declares it now.
    problem: of a cell.
    planned: see `list_numerics`; None if the plan has asked another version.
    Raises HostError.
    """
    if planned is None:
        return None
    said = list_numerics(backend, problem)
    wanted = planned if isinstance(planned, tuple) else (planned,)
    if len(said) != len(wanted):
        return Checked("error", f"in its process it has {len(said)} declarations of numerics, not {len(wanted)}")
    different = [
        f"{one.name}={getattr(now, one.name)!r}, not {getattr(then, one.name)!r}"
        for now, then in zip(said, wanted, strict=True)
        for one in fields(Numerics)
        if getattr(now, one.name) != getattr(then, one.name)
    ]
    if not different:
        return None
    told = "; ".join(dict.fromkeys(different))
    return Checked("error", f"in its process it declares other numerics than to the plan: {told}")
