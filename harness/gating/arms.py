"""Arms in turns on this machine: what `versus` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.qualification import Qualification
from harness.capture.workload import name_problems
from harness.errors import CannotTellError, UsageError
from harness.execution.pipeline import check_start, start
from harness.execution.progress import Watch
from harness.gating.arming import make_gate, read_known, refuse
from harness.plan.arm import parse_arms
from harness.plan.counted import count_instead
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plan.limits import Limit
from harness.plan.planner import plan_run
from harness.plan.suite import Mode, NamedProblem
from harness.plugins.manager import Registry
from harness.record.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A comparison of arms that is asked for.

    arms: as `versus` takes them; the first is the base. suites: of speed. problems: they replace the suites' own.
    delta: relative change that counts; budget_s: wall time of all passes (see `make_gate` for both defaults).
    mode: of the caches, by default that of the suites. armed: True if verdicts make the exit code.
    threads: of every worker, by default all. output: new folder of the run. command: as it is recorded.
    lease_wait_s: how long to wait for a device in use, by default without end. resume: folder of an interrupted run.
    counting: how instructions are counted instead of times; None for times.
    limits: the relative change of time that counts for some of the cells, instead of `delta`.
    """

    arms: Sequence[str]
    suites: Sequence[str] = ("speed-short",)
    problems: Sequence[str | NamedProblem] = ()
    delta: float | None = None
    budget_s: float | None = None
    mode: Mode | None = None
    armed: bool = False
    threads: int | None = None
    plugins: Sequence[str] = ()
    output: str | None = None
    command: str = ""
    lease_wait_s: float | None = None
    resume: str | Path | None = None
    counting: Counting | None = None
    limits: tuple[Limit, ...] = ()


def time_arms(registry: Registry, contest: Contest, watch: Watch) -> Run:
    """Time arms in turns until every cell is decided or the budget is spent.

    Raises UsageError for arms, suites and problems that cannot be used, and CannotTellError where a gate is to be armed
    on a machine whose verdicts cannot be trusted.
    registry: backends, suites and laws. contest: arms, suites and limits. watch: receives progress.
    """
    arms = parse_arms(contest.arms)
    if len(arms) < 2:
        raise UsageError(
            f"arms: got only '{''.join(contest.arms)}', wanted a base and one other at least, such as "
            "im2col@HEAD~1 im2col"
        )
    for name in contest.suites:
        if registry.suite(name).kind != "speed":
            raise UsageError(f"suite: got '{name}', a suite of {registry.suite(name).kind}, wanted one of speed")
    check_start(contest.output, arms, contest.plugins, contest.resume)
    given = name_problems(contest.problems, registry.networks)
    if contest.counting is not None:
        counted = plan_run(registry, contest.suites, problems=given, arms=arms)
        return start(
            registry, count_instead(counted, contest.counting, registry), contest.suites, contest.output,
            contest.plugins, None, contest.threads, watch, contest.command, resume=contest.resume,
        )  # fmt: skip
    known = read_known(contest.threads)
    gate = _make_gate(contest, known, 0)
    if reason := refuse(gate, known):
        raise CannotTellError(f"the gate is not armed: {reason}")
    if contest.budget_s is None:
        cells = plan_run(registry, contest.suites, problems=given, arms=arms[1:], threads=contest.threads).cells
        timed = sum(cell.decided is None for cell in cells)
        gate = _make_gate(contest, known, timed)
    plan = plan_run(
        registry, contest.suites, problems=given, arms=arms, gate=gate, mode=contest.mode, threads=contest.threads
    )
    return start(
        registry, plan, contest.suites, contest.output, contest.plugins, None, contest.threads, watch, contest.command,
        lease_wait_s=contest.lease_wait_s, resume=contest.resume,
    )  # fmt: skip


def _make_gate(contest: Contest, known: Qualification | None, cells: int) -> Gate:
    made = make_gate(contest.delta, known, contest.budget_s, cells, armed=contest.armed)
    return replace(made, limits=contest.limits)
