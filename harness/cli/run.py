"""`harness run`: plan, execute, report, summarise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.cli.options import (
    choose_metric,
    claims_option,
    load_registry,
    metric_option,
    plugin_options,
    problem_options,
    read_bytes,
    read_problems,
    read_seconds,
    run_options,
)
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.plan.counting import Metric
    from harness.plan.suite import Depth, Mode


@click.command("run")
@click.argument("suites", nargs=-1, metavar="[SUITE]...")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="ARM",
    help="Only this backend, or an arm such as NAME@set:VARIABLE=VALUE; may be repeated.",
)
@click.option(
    "--isa",
    "isa",
    multiple=True,
    metavar="NAME",
    help="Ask laws at every level of these instruction sets, too: all, none, onednn, aten, openblas, numpy or mkl.",
)
@problem_options
@click.option(
    "--network", "networks", multiple=True, metavar="NAME", help="Only problems of this network; may be repeated."
)
@click.option("--law", "laws", multiple=True, metavar="NAME", help="Only this law; may be repeated.")
@click.option("--time-limit", metavar="TIME", help="Most that one cell may cost, such as 30s.  [default: the suite's]")
@click.option(
    "--memory-limit",
    metavar="SIZE",
    help="Most memory of one worker, such as 4GiB.  [default: 6GiB; for limits: all]",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Threads of every worker.  [default: half of the laws with 1, half with all; all for times]",
)
@click.option("--jobs", type=click.IntRange(1), help="Workers side by side while laws are checked.  [default: cores]")
@click.option("--mode", type=click.Choice(["hot", "cold"]), help="Of the caches while timing.  [default: the suite's]")
@click.option(
    "--depth",
    type=click.Choice(["quick", "default", "full"]),
    default="default",
    help="How much is asked: `quick` leaves out specialised code paths, `full` takes minutes a backend.",
    show_default=True,
)
@metric_option
@claims_option
@click.option("--dry-run", is_flag=True, help="Print the plan and run nothing.")
@run_options
@plugin_options
def command(
    suites: tuple[str, ...],
    backends: tuple[str, ...],
    isa: tuple[str, ...],
    problems: tuple[str, ...],
    problem_files: tuple[str, ...],
    networks: tuple[str, ...],
    laws: tuple[str, ...],
    output: str | None,
    resume: str | None,
    formats: tuple[str, ...],
    time_limit: str | None,
    memory_limit: str | None,
    threads: int | None,
    jobs: int | None,
    mode: Mode | None,
    lease_wait: str | None,
    depth: Depth,
    metric: Metric,
    claims: str | None,
    dry_run: bool,
    plugins: tuple[str, ...],
    without: tuple[str, ...],
) -> ExitCode:
    """Run suites on backends and write a report.

    SUITE is `suite` (the default: correctness and a short speed part) or any name that `list suites` shows.

    \b
    python -m harness run suite
    python -m harness run correctness --backend im2col --problem 'conv x=1x2x9 w=3x2x3 pad=1'
    python -m harness run speed --backend torch --backend fft --output runs/today
    python -m harness run speed --problems mine.json --backend torch
    python -m harness run correctness --backend torch --isa all
    python -m harness run correctness --plugin ./mine.py --backend mine --claims harness-claims.toml
    python -m harness run speed --backend fft --metric instructions
    python -m harness run networks networks-speed network-layers --network resnet50
    python -m harness run speed --backend torch --backend fft --resume runs/today
    """
    from dataclasses import replace

    from harness.analysis.analyse import analyse
    from harness.api.running import choose_arms
    from harness.cli.options import command_line
    from harness.cli.progress import choose_watch
    from harness.cli.report import write_reports
    from harness.cli.summary import print_plan, print_summary
    from harness.execution.pipeline import check_start, start
    from harness.machine.limits import usable_memory
    from harness.machine.system import read_flags
    from harness.plan.cell import Limits
    from harness.plan.claims.check import load_claims
    from harness.plan.counted import count_instead
    from harness.plan.planner import plan_run

    free_bytes = None if memory_limit else usable_memory()  # before a plugin can take any
    registry = load_registry(plugins, without)
    held = None if claims is None else load_claims(claims, registry)
    limits = Limits(
        time_s=read_seconds(time_limit) if time_limit else None,
        memory_bytes=read_bytes(memory_limit) if memory_limit else Limits().memory_bytes,
        free_bytes=free_bytes,
    )
    counting = choose_metric(metric, threads, (("--mode", mode),))
    wait_s = read_seconds(lease_wait) if lease_wait else None
    reporters = registry.reporters_for(formats)
    names = suites or ("suite",)
    given = read_problems(problems, problem_files, registry.networks)
    arms = choose_arms(registry, backends, names, isa)
    if not dry_run:
        check_start(output, arms, plugins, resume)
    plan = plan_run(
        registry,
        names,
        backends,
        given,
        laws,
        limits,
        arms,
        mode=mode,
        networks=networks,
        threads=threads,
        depth=depth,
        flags=read_flags(),
    )
    plan = replace(plan if counting is None else count_instead(plan, counting, registry), claims=held)
    if dry_run:
        print_plan(plan)
        return ExitCode.OK
    options = (("--time-limit", time_limit), ("--memory-limit", memory_limit), ("--threads", threads), ("--mode", mode))
    flags = [str(word) for pair in options if pair[1] is not None for word in pair]
    watch = choose_watch()
    try:
        run = start(
            registry, plan, names, output, plugins, jobs, threads, watch, command_line(sys.argv[1:]), flags,
            wait_s, resume,
        )  # fmt: skip
    except KeyboardInterrupt:
        if watch.ended is not None:
            analysis = analyse(watch.ended)
            print_summary(analysis, write_reports(reporters, analysis))
        raise
    analysis = analyse(run)
    print_summary(analysis, write_reports(reporters, analysis))
    return analysis.exit_code
