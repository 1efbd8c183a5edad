"""Arms that differ in an instruction set alone: what their libraries use, and which of them change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from harness.execution.context import Execution
from harness.execution.worker_process import WorkerDiedError
from harness.plan.arm import Arm, Environment
from harness.plan.cell import Cell
from harness.record.run import result_of

Seen = Mapping[str, str]  # what libraries say, by the name of their switch


def leave_out_idle_arms(execution: Execution, kind: str) -> None:
    """Skip the cells of arms that `--isa` made, and whose libraries use what they use in an arm before it.

    Every arm is met first, in a worker that computes nothing else; an arm of which nothing can be said is kept.
    """
    arms = [execution.plan.arm(name) for name in execution.by_backend(kind)]
    if not any(arm.switch for arm in arms):
        return
    seen = meet_arms(execution, arms)
    for arm, reason in find_idle(arms, seen).items():
        for cell in execution.cells_of(kind):
            if cell.backend == arm:
                execution.idle.add(cell.number)
                execution.record(result_of(cell, "skipped", reason=reason))


def meet_arms(execution: Execution, arms: Sequence[Arm]) -> dict[str, Seen]:
    """Start a worker for every arm, side by side; what their libraries say, of those that came up."""

    def meet(arm: Arm) -> Seen | None:
        execution.watch.working(arm.name, "which instructions its libraries use")
        with execution.supervisor(arm.name, execution.threads or 1, observe=True) as supervisor:
            try:
                ready = supervisor.launch()[1]
            except WorkerDiedError:  # each of its cells will say so
                return None
            execution.introduce(supervisor)
            found: Seen = ready.process.get("instruction_sets", {})
            return found

    with ThreadPoolExecutor(execution.jobs) as pool:
        found = list(pool.map(meet, arms))
    return {arm.name: one for arm, one in zip(arms, found, strict=True) if one is not None}


def find_idle(arms: Sequence[Arm], seen: Mapping[str, Seen]) -> dict[str, str]:
    """Names of arms that change nothing, with the reason.

    An arm is compared with those before it of the same backend and environment, settings apart: what all their
    libraries use must be the same, and its own library must have said what it uses.
    """
    idle: dict[str, str] = {}
    kept: list[Arm] = []
    for arm in arms:
        mine = seen.get(arm.name, {})
        twins = (one for one in kept if _is_twin(one, arm) and seen.get(one.name) == mine)
        twin = next(twins, None) if arm.switch in mine else None
        if twin is None:
            kept.append(arm)
        else:
            setting = "=".join(arm.environment.settings[-1])
            idle[arm.name] = f"{setting} changes nothing: {arm.switch} uses {mine[arm.switch]} in {twin.name} as well"
    return idle


def _is_twin(one: Arm, other: Arm) -> bool:
    """Whether two arms are the same but for the level of an instruction set."""
    return (one.backend, _without_switch(one)) == (other.backend, _without_switch(other))


def _without_switch(arm: Arm) -> Environment:
    environment = arm.environment
    return replace(environment, settings=environment.settings[:-1]) if arm.switch else environment


def still_to_ask(execution: Execution, kind: str) -> dict[str, list[Cell]]:
    """Cells by arm that are not left out."""
    found = execution.by_backend(kind).items()
    left = {arm: [cell for cell in cells if cell.number not in execution.idle] for arm, cells in found}
    return {arm: cells for arm, cells in left.items() if cells}
