"""Options shared by several commands, and parsers of their values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from harness.cli.saying import say
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.networks.architecture import Architecture
    from harness.plan.counting import Counting, Metric
    from harness.plan.suite import NamedProblem
    from harness.plugins.manager import Registry

Command = Callable[..., Any]

_UNITS = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def plugin_options(command: Command) -> Command:
    """Add --plugin and --no-plugin."""
    command = click.option(
        "--no-plugin", "without", multiple=True, metavar="NAME", help="Leave out a plugin, named as in `plugins`."
    )(command)
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="MODULE|FILE",
        help="Load one more plugin: a module, a Python file, or a shared library (.so); may be repeated.",
    )(command)


def problem_options(command: Command) -> Command:
    """Add --problem and --problems; `read_problems` reads both."""
    command = click.option(
        "--problems", "problem_files", multiple=True, metavar="FILE",
        help="The problems of this file: as `capture` writes it, or a line each. May be repeated.",
    )(command)  # fmt: skip
    return click.option(
        "--problem", "problems", multiple=True, metavar="LINE", help="This problem line instead of the suite's."
    )(command)


def build_options(command: Command) -> Command:
    """Add --build, --build-command, --package and --extras, for commands that compare revisions."""
    command = click.option(
        "--extras", default="", metavar="NAMES", help="Extras of the package to build with, such as cpu,fast."
    )(command)
    command = click.option(
        "--package", metavar="FOLDER",
        help="Folder of the package in a monorepo.  [default: the nearest one from here upwards]",
    )(command)  # fmt: skip
    command = click.option(
        "--build-command", default="", metavar="COMMAND",
        help="Run in the package's folder of each version, such as 'make lib'.",
    )(command)  # fmt: skip
    return click.option(
        "--build", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
        help="Environments of both versions: auto builds them where dependencies differ or code is compiled.",
    )(command)  # fmt: skip


def load_registry(plugins: Iterable[str], without: Iterable[str], *, runs: bool = True) -> Registry:
    """Load plugins for a command; a broken one is a warning, or a UsageError if it was named with --plugin.

    plugins: modules or files that are loaded in addition to the built-in ones. without: names that are left out.
    runs: whether the command may make a run (see `load_described`).
    """
    from harness.plugins.manager import refuse_broken
    from harness.worker.described.loading import load_described

    registry = load_described(plugins, without, runs=runs)
    refuse_broken(registry)
    for row in registry.rows:
        if row.state == "broken":
            say(f"warning: plugin {row.name} is broken: {row.reason}", error=True)
    return registry


def say_parties(registry: Registry, backends: Iterable[str]) -> None:
    """Say which plugins are judge and party, for a command that makes no run with a record of it.

    backends: names of the judged backends.
    """
    from harness.analysis.descriptions import describe_parties

    for line in describe_parties(registry.find_parties(backends)):
        say(line, error=True)


def read_problems(
    lines: Sequence[str], files: Sequence[str], networks: Mapping[str, Architecture] | None = None
) -> list[NamedProblem]:
    """Read the problems of --problem, then those of --problems.

    lines: problem lines. files: files of `harness capture`. networks: networks that a line may name.
    Raises UsageError, LineError, GeometryError.
    """
    from pathlib import Path

    from harness.capture.workload import name_problems

    return name_problems([*lines, *map(Path, files)], networks)


def metric_option(command: Command) -> Command:
    """Add --metric."""
    return click.option(
        "--metric", type=click.Choice(["time", "instructions"]), default="time", show_default=True,
        help="Of timed cells: times, or on machines too noisy for them the instructions of a call, with one thread.",
    )(command)  # fmt: skip


def choose_metric(
    metric: Metric, threads: int | None, refused: Iterable[tuple[str, object]], delta: str | None = None, *,
    compares: bool = False, armed: bool = False,
) -> Counting | None:  # fmt: skip
    """Return how instructions are counted, None for times.

    metric: of the command. threads: of every worker. refused: options that only times have, with their values.
    delta: relative change that counts. compares, armed: see `Counting`.
    Raises UsageError for an option that counts do not have, and if nothing counts instructions here.
    """
    if metric == "time":
        return None
    from harness.measure.instructions.choose import choose_counting
    from harness.plan.counted import check_one_thread

    for name, value in refused:
        if value is not None:
            raise UsageError(f"{name}: got '{value}' with --metric instructions, wanted it for times only")
    check_one_thread(threads)
    return choose_counting(read_share(delta) if delta else None, compares=compares, armed=armed)


def claims_option(command: Command) -> Command:
    """Add --claims."""
    return click.option(
        "--claims", metavar="FILE",
        help="Hold the run against these promises and known faults, such as harness-claims.toml (docs/claims.md).",
    )(command)  # fmt: skip


def format_option(command: Command) -> Command:
    """Add --format."""
    return click.option(
        "--format", "formats", multiple=True, metavar="NAME",
        help="Report to write; may be repeated.  [default: all but those for CI]",
    )(command)  # fmt: skip


def run_options(command: Command) -> Command:
    """Add --lease-wait, --output, --resume and --format, for commands that make a run and report it."""
    command = format_option(command)
    command = click.option(
        "--resume", metavar="RUN", help="Folder of a run that this command began: do only what is missing in it."
    )(command)
    command = click.option(
        "--output", metavar="FOLDER", help="New folder for the run.  [default: harness-runs/DATE-TIME-SUITE]"
    )(command)
    return click.option(
        "--lease-wait", metavar="TIME", help="How long to wait for a device in use.  [default: without end]"
    )(command)


def read_share(text: str) -> float:
    """Read a share such as 1% or 0.01, above 0 and below 1. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(%?)", text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < value < 1:
        raise UsageError(f"share: got '{text}', wanted one between 0 and 1, such as 1% or 0.01")
    return value


def read_bytes(text: str) -> int:
    """Read a size such as 4GiB, 512M or 1000000. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not found:
        raise UsageError(f"memory limit: got '{text}', wanted a size such as 4GiB or 512M")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def read_seconds(text: str) -> float:
    """Read a duration such as 30s, 5m or 250ms. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", text.strip())
    if not found or float(found[1]) == 0:
        raise UsageError(f"time limit: got '{text}', wanted a duration such as 30s, 5m or 250ms")
    return float(found[1]) * _SECONDS[found[2]]


def read_cell(text: str, networks: Mapping[str, Architecture] | None = None) -> tuple[str, str]:
    """Parse 'BACKEND PROBLEM LINE' into the backend (or arm) and the canonical problem line.

    networks: networks that a line may name, by default the built-in ones.
    Raises UsageError, LineError.
    """
    from harness.networks.problem import is_network_line
    from harness.plan.task import parse_task
    from harness.problems.operator import Operator

    backend, _, line = text.strip().partition(" ")
    if not line.strip() or "=" in backend.partition("@")[0] or backend in Operator.__members__:
        raise UsageError(
            f"cell: got '{text}', wanted a backend and a problem line in one argument, "
            "such as 'im2col conv x=8x64x56x56 w=64x64x3x3 pad=1'"
        )
    if networks is None and is_network_line(line):
        networks = load_registry((), (), runs=False).networks
    return backend, parse_task(line.strip(), networks or {}).line


def command_line(arguments: Sequence[str]) -> str:
    """Return the command line as text for a shell."""
    return shlex.join(["python", "-m", "harness", *arguments])
