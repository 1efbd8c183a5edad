"""`harness list`: backends (probed), suites, problems, networks, operators, laws, and the coverage of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli.options import load_registry, plugin_options
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from harness.backend.base import Backend
    from harness.plugins.manager import Registry
    from harness.problems.operator import Operator
    from harness.problems.problem import Problem

KINDS = ("backends", "suites", "problems", "networks", "operators", "laws", "coverage")


@click.command("list")
@click.argument("kind", type=click.Choice(KINDS), metavar="|".join(KINDS))
@click.argument("run", required=False)
@click.option("--set", "sets", multiple=True, metavar="NAME", help="With problems: show the lines of this set.")
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="With coverage: only this one.")
@click.option("--operator", "operators", multiple=True, metavar="NAME", help="With coverage: only this one.")
@click.option("--law", metavar="NAME", help="With coverage: only cells of this law.")
@click.option("--all", "every", is_flag=True, help="With coverage: every pair that was not asked.")
@plugin_options
def command(
    kind: str, run: str | None, sets: tuple[str, ...], backends: tuple[str, ...], operators: tuple[str, ...],
    law: str | None, every: bool, plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """List backends, suites, problems, networks, operators or laws, or what the run in directory RUN asked.

    \b
    python -m harness list coverage harness-runs/20260101-120000-suite --backend torch
    """
    from harness.cli.terminal import open_console
    from harness.errors import UsageError

    if sets and kind != "problems":
        raise UsageError(f"--set belongs to `list problems`, got it with `list {kind}`")
    if kind == "coverage":
        show_coverage(run, backends, operators, law, every=every)
        return ExitCode.OK
    given = {"RUN": run, "--backend": backends, "--operator": operators, "--law": law, "--all": every}
    for name in (name for name, value in given.items() if value):
        raise UsageError(f"{name} belongs to `list coverage`, got it with `list {kind}`")
    registry = load_registry(plugins, without, runs=False)
    tables = {
        "backends": lambda: list_backends(registry, plugins),
        "suites": lambda: list_suites(registry),
        "problems": lambda: list_problems(registry, sets),
        "networks": lambda: list_networks(registry),
        "operators": lambda: list_operators(registry),
        "laws": lambda: list_laws(registry),
    }
    open_console().print(tables[kind]())
    return ExitCode.OK


def show_coverage(
    run: str | None, backends: tuple[str, ...], operators: tuple[str, ...], law: str | None, *, every: bool
) -> None:
    """Print which conditions a run asked.

    run: run directory. backends, operators: show only these, all by default.
    law: count only its cells, or None for all. every: True to print all lines.
    Raises UsageError for an unknown run, backend, operator or law.
    """
    from harness.cli.coverage import print_coverage
    from harness.cli.terminal import open_console
    from harness.errors import UsageError
    from harness.record.directory import read_run

    if run is None:
        raise UsageError(
            "run is missing: `list coverage` got no directory, wanted the one that `python -m harness run` printed"
        )
    print_coverage(open_console(), read_run(run), backends, operators, law, every=every)


def list_backends(registry: Registry, plugins: tuple[str, ...]) -> Table:
    """List backends with state (each is probed in its own worker), algorithm, dtypes, operators and libraries."""
    import tempfile
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    from rich.markup import escape

    from harness.backend.base import native_operators
    from harness.cli.terminal import plain_table
    from harness.execution.worker_process import WorkerDiedError
    from harness.execution.worker_supervisor import WorkerSupervisor
    from harness.problems.operator import Operator

    table = plain_table("backend", "state", "class", "dtypes", "native operators", "libraries")
    with tempfile.TemporaryDirectory() as folder:

        def probe(name: str) -> tuple[str, str]:
            supervisor = WorkerSupervisor(registry, name, Path(folder), 8 * 2**30, None, plugins)
            try:
                ready = supervisor.launch()[1]
            except WorkerDiedError as error:
                return f"[red]{error.outcome}[/red]: {escape(str(error))}", ""
            finally:
                supervisor.close()
            state = f"unavailable: {escape(ready.reason)}" if ready.reason else "available"
            return state, ", ".join(f"{name} {version}" for name, version in ready.versions.items())

        with ThreadPoolExecutor(2) as pool:
            probed = dict(zip(registry.backends, pool.map(probe, registry.backends), strict=True))
    for name, backend in registry.backends.items():
        state, libraries = probed[name]
        operators = native_operators(backend)
        native = f"all {spell(len(Operator))}" if len(operators) == len(Operator) else ", ".join(operators)
        table.add_row(name, state, backend.numerics.algorithm, ", ".join(backend.dtypes), native, libraries)
    return table


def spell(number: int) -> str:
    """A number in a sentence: small ones as words."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    return words[number] if number < len(words) else str(number)


def list_suites(registry: Registry) -> Table:
    """List suites with kind and size."""
    from rich.markup import escape

    from harness.cli.terminal import plain_table
    from harness.errors import UsageError

    table = plain_table("suite", "kind", "description", "problems", "laws", numbers=2)
    networks = tuple(registry.networks.values())
    for suite in registry.suites.values():
        whole = suite.kind == "whole"
        text, problems = f"{suite.description} ({' + '.join(suite.parts)})" if whole else suite.description, ""
        try:
            problems = "" if whole else str(len(suite.all_problems(networks)))
        except UsageError as error:
            text = f"{text}; unavailable: {error}"
        table.add_row(suite.name, suite.kind, escape(text), problems, str(len(suite.laws) or ""))
    return table


def list_problems(registry: Registry, sets: tuple[str, ...]) -> Table:
    """List problem sets, or the lines of the named ones."""
    from harness.cli.terminal import plain_table
    from harness.errors import unknown

    if not sets:
        table = plain_table("set", "description", "problems", numbers=1)
        for one in registry.problems.values():
            table.add_row(one.name, one.description, str(len(one.problems())))
        return table
    table = plain_table("problem", "line", "times", numbers=1)
    for name in sets:
        if name not in registry.problems:
            raise unknown("problem set", name, registry.problems, "python -m harness list problems")
        for item in registry.problems[name].problems():
            table.add_row(item.name, item.problem.line, str(item.multiplicity))
    return table


def list_networks(registry: Registry) -> Table:
    """List networks with their size, and the operations of one forward pass of the native input."""
    from harness.cli.terminal import plain_table
    from harness.networks.problem import NetworkProblem

    columns = ("network", "description", "input", "options", "operators", "parameters", "GFLOP forwards")
    table = plain_table(*columns, numbers=3)
    for one in registry.networks.values():
        problem = NetworkProblem(architecture=one, work="forward")
        operators = sum(problem.network.layers("forward").values())
        table.add_row(
            one.name, one.description, "x".join(map(str, one.input)),
            " ".join(f"{name}={value}" for name, value in one.options.items()), str(operators),
            f"{problem.network.count(statistics=one.counts == 'all'):,}", f"{problem.flops / 1e9:.3g}",
        )  # fmt: skip
    return table


def list_operators(registry: Registry) -> Table:
    """List operators with their arrays, and the route of each backend."""
    from harness.cli.terminal import plain_table
    from harness.problems.operator import Operator

    table = plain_table("operator", "takes", "gives", *registry.backends)
    for operator in Operator:
        routes = [_name_route(backend, _example(operator)) for backend in registry.backends.values()]
        table.add_row(operator.value, ", ".join(operator.inputs), ", ".join(operator.outputs), *routes)
    return table


def _name_route(backend: Backend, problem: Problem) -> str:
    """Return the kind of a route, or the type of what the backend raises when it is asked."""
    from harness.backend.routing import find_route

    try:
        return find_route(backend, problem).kind
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the row of the operator is for the other backends, too
        return f"[red]raises {type(error).__name__}[/red]"


def _example(operator: Operator) -> Problem:
    """A simple two-dimensional problem of an operator."""
    from harness.problems.line import parse_line

    shape = "kernel=2x2" if operator.pools else "w=3x4x3x3" if operator.spec.transposed else "w=4x3x3x3"
    return parse_line(f"{operator} x=2x3x8x8 {shape}")


def list_laws(registry: Registry) -> Table:
    """List laws with tolerance kind, formula and remarks."""
    from rich.markup import escape

    from harness.cli.terminal import plain_table

    table = plain_table("law", "tolerance", "formula", "remarks")
    for law in registry.laws.values():
        table.add_row(law.name, law.tolerance, escape(law.formula), escape(law.remarks))
    return table
