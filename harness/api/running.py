"""Python interface: run suites from a program or a notebook, and read runs back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.api.arguments import refuse_text
from harness.capture.workload import name_problems
from harness.errors import UsageError
from harness.execution.pipeline import check_start, start
from harness.execution.progress import Silent, Watch
from harness.machine.limits import usable_memory
from harness.machine.system import ROOT, read_flags, read_text
from harness.plan.arm import Arm, parse_arms
from harness.plan.cell import Limits
from harness.plan.claims.check import load_claims
from harness.plan.instruction_sets import choose_switches, read_processor, spread_arms
from harness.plan.planner import plan_run
from harness.plan.suite import Depth, NamedProblem
from harness.plugins.manager import Registry, refuse_broken
from harness.problems.problem import Problem
from harness.record.directory import read_run
from harness.record.run import Run
from harness.worker.described.loading import load_described


def run(
    *suites: str,
    backends: Sequence[str] = (),
    problems: Sequence[str | Path | Problem | NamedProblem] = (),
    laws: Sequence[str] = (),
    plugins: Sequence[str] = (),
    without: Sequence[str] = (),
    output: str | Path | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
    threads: int | None = None,
    watch: Watch | None = None,
    depth: Depth = "default",
    isa: Sequence[str] = (),
    resume: str | Path | None = None,
    claims: str | Path | None = None,
) -> Run:
    """Run suites and return the Run; its directory is `run.path`.

    backends, problems, laws: names and problem lines; empty stands for all that the suites have. A backend may be an
    arm, such as `torch@set:ONEDNN_MAX_CPU_ISA=AVX2`; isa: instruction sets as in `run --isa`. A problem may also be a
    Path, of a file that `python -m harness capture` writes: all of its problems, with names and multiplicities.
    plugins: modules or ./files.py to load in addition to the built-in ones; without: plugins to leave out.
    depth: `quick` leaves out the problems on specialised code paths; `full` asks what takes minutes a backend.
    Raises UsageError for what cannot be found or written, and for a plugin that is named here and broken.
    resume: folder of an interrupted run, begun with the same arguments; only what is missing is done.
    suites: names. output: new folder of the run. limits: of time and memory of each cell.
    claims: file of promises and known faults; `harness.analyse(run).claims` says what became of them (docs/claims.md).
    jobs: workers at the same time. threads: of every worker. watch: observer of the progress.
    """
    refuse_text(backends=backends, problems=problems, laws=laws, plugins=plugins, isa=isa)
    limits = limits or Limits(free_bytes=usable_memory())  # before a plugin can take any
    registry = load_described(plugins, without)
    refuse_broken(registry)
    names = suites or ("suite",)
    held = None if claims is None else load_claims(claims, registry)
    arms = choose_arms(registry, backends, names, isa)
    given = name_problems(problems, registry.networks)
    check_start(output, arms, plugins, resume)
    plan = plan_run(
        registry, names, backends, given, laws, limits, arms, threads=threads, depth=depth, flags=read_flags()
    )
    plan = replace(plan, claims=held)
    return start(registry, plan, names, output, plugins, jobs, threads, watch or Silent(), resume=resume)


def choose_arms(
    registry: Registry, texts: Sequence[str], suites: Sequence[str], isa: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """Parse backends into arms as `run` takes them; empty if all of them are plain names, which need no arms.

    registry: for the instruction sets that each backend declares. texts: names of backends or arms.
    suites: names; with `isa`, one must apply laws.
    isa: instruction sets of which every level becomes an arm of its own, or `all`.
    Raises UsageError for invalid texts, and for `isa` without a suite that applies laws.
    """
    switches = choose_switches(isa)
    arms = parse_arms(dict.fromkeys(texts or (registry.backends if switches else ())))
    if switches:
        if not any(registry.suite(name).kind in ("correctness", "whole") for name in suites):
            raise UsageError(
                f"isa: got suite {', '.join(suites)}, in which no law is asked, wanted one such as correctness; "
                "`versus` compares times, as in versus torch torch@set:ONEDNN_MAX_CPU_ISA=AVX2"
            )
        backends = [registry.backend(arm.backend) for arm in arms]
        return spread_arms(arms, switches, backends, read_processor(read_text(ROOT / "proc/cpuinfo")))
    return () if all(arm == Arm(name=arm.backend, backend=arm.backend) for arm in arms) else arms


def load(path: str | Path) -> Run:
    """Read a run directory. Raises UsageError if it cannot be read."""
    return read_run(path)
