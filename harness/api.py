"""The Python door: run suites from a program or a notebook, and read runs back."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.execution.context import Watch
from harness.execution.pipeline import run_plan
from harness.machine.limits import usable_memory
from harness.machine.system import ROOT, read_flags, read_text
from harness.networks.graph import Architecture
from harness.networks.problem import NetworkProblem
from harness.plan.arm import Arm, parse_arms
from harness.plan.cell import Limits, Plan
from harness.plan.instruction_sets import choose_switches, read_processor, spread_arms
from harness.plan.planner import plan_run
from harness.plan.suite import Depth, NamedProblem
from harness.plan.task import Task, parse_task
from harness.plugins.manager import Registry, load_plugins, refuse_broken
from harness.problems.problem import Problem
from harness.record.directory import new_directory, read_run
from harness.record.run import Result, Run


class Silent:
    """A watch that shows nothing."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """Say nothing."""

    def working(self, backend: str, what: str) -> None:
        """Say nothing."""

    def advance(self, seconds: float) -> None:
        """Say nothing."""

    def recorded(self, result: Result) -> None:
        """Say nothing."""

    def end(self, run: Run) -> None:
        """Say nothing."""


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
) -> Run:
    """Run suites (the whole `suite` where none is named) and give the Run; its directory is `run.path`.

    backends, problems, laws: names and problem lines; empty stands for all that the suites have. A backend may be an
    arm, such as `torch@set:ONEDNN_MAX_CPU_ISA=AVX2`; isa: instruction sets as in `run --isa`. A problem may also be a
    Path, of a file that `python -m harness capture` writes: all of its problems, with names and multiplicities.
    plugins: modules or ./files.py to load beside the built-in ones; without: plugins to leave out.
    depth: `quick` leaves out the problems on specialised code paths; `full` asks what takes minutes a backend.
    Raises UsageError for what cannot be found or written, and for a plugin that is named here and broken.
    """
    for name, value in (
        ("backends", backends),
        ("problems", problems),
        ("laws", laws),
        ("plugins", plugins),
        ("isa", isa),
    ):
        if isinstance(value, str | Path):
            kind = "text" if isinstance(value, str) else "path"
            raise UsageError(f"{name}: got the {kind} '{value}', wanted a list of such, as in {name}=[{value!r}]")
    registry = load_plugins(plugins, without)
    refuse_broken(registry)
    names = suites or ("suite",)
    limits = limits or Limits(free_bytes=usable_memory())
    arms = choose_arms(registry, backends, names, isa)
    given = name_problems(problems, registry.networks)
    plan = plan_run(
        registry, names, backends, given, laws, limits, arms, threads=threads, depth=depth, flags=read_flags()
    )
    return start(registry, plan, names, output, plugins, jobs, threads, watch or Silent())


def start(
    registry: Registry,
    plan: Plan,
    names: Sequence[str],
    output: str | Path | None,
    plugins: Sequence[str],
    jobs: int | None,
    threads: int | None,
    watch: Watch,
    command: str = "",
    flags: Sequence[str] = (),
    lease_wait_s: float | None = None,
) -> Run:
    """Execute a plan in a new run directory; lease_wait_s: how long to wait for a device that another run times on."""
    path = new_directory(None if output is None else str(output), tuple(names))
    command = command or f"harness.run({', '.join(map(repr, names))})"
    return run_plan(
        plan, registry, path, watch, command=command, extra=plugins, flags=flags, jobs=jobs, threads=threads,
        lease_wait_s=lease_wait_s,
    )  # fmt: skip


def choose_arms(
    registry: Registry, texts: Sequence[str], suites: Sequence[str], isa: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """Arms of backends as `run` takes them; none where they are named alone, which are then arms by themselves.

    isa: kinds of instruction sets of which every level is an arm of its own, or `all`.
    Raises UsageError for what cannot be read, and where instruction sets are asked for and no law is.
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
    """Read a run directory."""
    return read_run(path)


def name_problems(
    problems: Sequence[str | Path | Task | NamedProblem], networks: Mapping[str, Architecture] | None = None
) -> list[NamedProblem]:
    """Problems with names: a problem line is its own name, and a Path stands for all problems of a captured file."""
    named: list[NamedProblem] = []
    for problem in problems:
        if isinstance(problem, Path):
            from harness.capture.workload import read_workload

            named.extend(read_workload(problem).problems)
            continue
        if isinstance(problem, str):
            problem = parse_task(problem, networks or {})
        if isinstance(problem, NetworkProblem):
            problem = NamedProblem(name=f"{problem.architecture.name}/{problem.work}", problem=problem)
        elif isinstance(problem, Problem):
            problem = NamedProblem(name=f"given/{problem.operator}", problem=problem)
        named.append(problem)
    return named


def command_line(arguments: Sequence[str]) -> str:
    """The command line as one would type it again."""
    return shlex.join(["python", "-m", "harness", *arguments])
