"""Arms that differ only in an instruction set: what their libraries use, and which arms change nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from harness.execution.context import Execution
from harness.execution.worker_process import WorkerDiedError
from harness.plan.arm import Arm, Environment
from harness.plan.cell import Cell
from harness.plan.suite import CellKind
from harness.record.run import result_of

Seen = Mapping[str, str]  # reported instruction sets, by the name of the switch


def leave_out_idle_arms(execution: Execution, kind: CellKind) -> None:
    """Skip the cells of arms made by `--isa` whose libraries use the same instructions as in an earlier arm.

    Every arm is first observed in a worker that computes nothing else; an arm that cannot be observed is kept.
    """
    by_arm = execution.by_backend(kind)
    arms = [execution.plan.arm(name) for name in by_arm]
    if not any(arm.switch and execution.recorded.missing(by_arm[arm.name]) for arm in arms):
        return
    seen = meet_arms(execution, arms)
    for arm, reason in find_idle(arms, seen).items():
        for cell in execution.cells_of(kind):
            if cell.arm == arm:
                execution.idle.add(cell.number)
                if not execution.recorded.has(cell):
                    execution.record(result_of(cell, "skipped", reason=reason))


def meet_arms(execution: Execution, arms: Sequence[Arm]) -> dict[str, Seen]:
    """Start a worker for every arm in parallel; return what the libraries report, for the arms that started."""

    def meet(arm: Arm) -> Seen | None:
        execution.watch.working(arm.name, "which instructions its libraries use")
        with execution.supervisor(arm.name, execution.threads or 1, observe=True) as supervisor:
            try:
                ready = supervisor.launch()[1]
            except WorkerDiedError:  # each of its cells reports it
                return None
            execution.introduce(supervisor)
            found: Seen = ready.process.get("instruction_sets", {})
            return found

    with ThreadPoolExecutor(execution.jobs) as pool:
        found = list(pool.map(meet, arms))
    return {arm.name: one for arm, one in zip(arms, found, strict=True) if one is not None}


def find_idle(arms: Sequence[Arm], seen: Mapping[str, Seen]) -> dict[str, str]:
    """Return the names of arms that change nothing, with the reason.

    An arm is compared with earlier arms that have the same backend and environment apart from the switch: all their
    libraries must report the same, and the library of the arm's own switch must have reported.
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
    """Return True if two arms are equal except for the level of an instruction set."""
    return (one.backend, _without_switch(one)) == (other.backend, _without_switch(other))


def _without_switch(arm: Arm) -> Environment:
    environment = arm.environment
    return replace(environment, settings=environment.settings[:-1]) if arm.switch else environment


def still_to_ask(execution: Execution, kind: CellKind) -> dict[str, list[Cell]]:
    """Return the cells by arm, without those of idle arms."""
    found = execution.by_backend(kind).items()
    left = {arm: [cell for cell in cells if cell.number not in execution.idle] for arm, cells in found}
    return {arm: cells for arm, cells in left.items() if cells}
