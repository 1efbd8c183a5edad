"""Qualification: run identical arms, and arms with known slow-downs, through the same gate that later fails a build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.arm_comparison import ArmComparison, compare_to_base
from harness.analysis.exit_code import find_exit_code
from harness.analysis.qualification import SUITE, Qualification, qualify_run, read_qualification, write_qualification
from harness.errors import HarnessError
from harness.execution.pipeline import check_start, start
from harness.execution.progress import Watch
from harness.exit_codes import ExitCode
from harness.plan.arm import Arm
from harness.plan.gate import Gate
from harness.plan.planner import plan_run
from harness.plugins.manager import Registry
from harness.record.run import Run

CHOSEN = ("numpy-direct", "im2col", "torch")
SLOWDOWNS = (0.01, 0.03, 0.05, 0.10)
BUDGET_S = 600.0

AGAIN = ":again"


def make_arms(registry: Registry, backends: Sequence[str]) -> tuple[Arm, ...]:
    """Return two arms for every backend, as a family."""
    arms = []
    for name in backends:
        registry.backend(name)
        arms += [Arm(name=name, backend=name, family=name), Arm(name=name + AGAIN, backend=name, family=name)]
    return tuple(arms)


def name_suites(slowdowns: Sequence[float]) -> tuple[str, ...]:
    """Return the names of the suites of identical arms and of known slow-downs (shares, such as 0.02)."""
    return (SUITE, *(f"{SUITE}+{100 * slowdown:g}" for slowdown in slowdowns))


class NotQualifiedError(HarnessError):
    """A run that qualifies nothing; `run` is what was run."""

    def __init__(self, message: str, run: Run, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.run, self.exit_code = run, exit_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualified:
    """Outcome of one qualification.

    arm_comparison: its verdicts. found: the counts of this run; total: those of all qualifications here, as stored.
    """

    arm_comparison: ArmComparison
    found: Qualification
    total: Qualification


def run_arms(
    registry: Registry, backends: Sequence[str], delta: float, budget_s: float, output: str | None,
    plugins: Sequence[str], threads: int | None, watch: Watch, *, power: bool = True, command: str = "",
    lease_wait_s: float | None = None,
) -> Run:  # fmt: skip
    """Run identical arms of backends, and arms with known slow-downs.

    backends: by default CHOSEN. delta: relative change that counts. budget_s: wall time of all passes. output: new
    folder of the run. threads: of every worker. power: False for identical arms alone. lease_wait_s: how long to wait
    for a device in use.
    registry: loaded plugins. plugins: `--plugin` arguments. watch: receives progress. command: for the header of the
    run.
    """
    check_start(output)
    gate = Gate(delta=delta, budget_s=budget_s, apart=True)
    names = name_suites(SLOWDOWNS if power else ())
    plan = plan_run(registry, names, arms=make_arms(registry, backends or CHOSEN), gate=gate)
    return start(
        registry, plan, ("qualify",), output, plugins, None, threads, watch, command, lease_wait_s=lease_wait_s
    )


def store_run(run: Run) -> Qualified:
    """Count false alarms and found slow-downs of a run, and add them to what is known of this machine.

    Raises NotQualifiedError for a run that is wrong or incomplete, or has too few passes.
    """
    if (code := find_exit_code(run)) == ExitCode.CANNOT_TELL:
        raise NotQualifiedError("nothing is qualified by a run with times that may not be true", run, code)
    if code:
        raise NotQualifiedError("nothing is qualified by a run that is wrong or incomplete", run, code)
    arm_comparison = compare_to_base(run)
    passes = max((row.judgement.passes for row in arm_comparison.rows), default=0)
    least = arm_comparison.gate.looks[0]
    if passes < least:
        told = f"nothing is qualified by {passes} passes, wanted {least} at least; give a larger --budget"
        raise NotQualifiedError(told, run, ExitCode.CANNOT_TELL)
    found = qualify_run(run, arm_comparison)
    known = read_qualification(found.environment)
    total = known.plus(found) if known else found
    write_qualification(total)
    return Qualified(arm_comparison=arm_comparison, found=found, total=total)
