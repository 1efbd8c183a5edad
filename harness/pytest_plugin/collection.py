"""Cells in a pytest session: planned before collection, counted by their reports, judged at the end."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Sequence
from itertools import groupby
from typing import Any

import msgspec
import pytest

from harness.analysis.descriptions import describe_overdrawn, describe_refused, find_unasked
from harness.analysis.inert_text import make_inert, show_text
from harness.capture.workload import name_problems
from harness.errors import HarnessError, UsageError
from harness.git import names_file
from harness.plan.cell import Cell, Plan
from harness.plan.planner import plan_run
from harness.plugins.manager import Registry, load_plugins, refuse_broken
from harness.pytest_plugin.context import Context
from harness.pytest_plugin.items import MISSING, ROOT, CellItem, Cells, LawCell, TimeCell
from harness.record.run import FORMAT, RAN, Header, Result, count_outcomes, find_overdrawn
from harness.worker.protocol import Checked


def open_collection(config: pytest.Config) -> CellCollection:
    """Load plugins and plan the cells that the options select. Raises pytest.UsageError with one line."""
    plugins, here = find_plugins(config), str(config.invocation_params.dir)
    if here not in sys.path:  # as for `python -m harness` and `python -m pytest`
        sys.path.insert(0, here)
    try:
        threads = read_threads(config)
        registry = load_plugins(plugins)
        refuse_broken(registry)
        broken = [row for row in registry.rows if row.state == "broken"]
        problems = name_problems(read(config, "problems"), registry.networks)
        plan = plan_run(registry, read(config, "suites"), read(config, "backends"), problems, read(config, "laws"))
        votes = sorted({cell.suite for cell in plan.cells if cell.kind == "consensus"})
        if votes:
            wanted = "one that judges a backend by itself; `python -m harness run` holds votes"
            raise UsageError(f"suite: got {', '.join(votes)}, in which backends vote, wanted {wanted}")
        return CellCollection(config, registry, plan, threads, [show(config, name) for name in plugins], broken)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def read(config: pytest.Config, name: str) -> list[str]:
    """Return the values of an option, or those of the ini file if the command line has none."""
    return list(config.getoption(f"harness_{name}") or config.getini(f"harness_{name}"))


def read_threads(config: pytest.Config) -> int | None:
    """Return the number of threads, None if none is given. Raises UsageError."""
    given = config.getoption("harness_threads")
    text = str(config.getini("harness_threads") if given is None else given)
    if text and not (text.isdecimal() and int(text) > 0):
        raise UsageError(f"harness_threads: got '{text}', wanted a whole number above 0")
    return int(text) if text else None


def find_plugins(config: pytest.Config) -> list[str]:
    """Return the plugins to load; files are relative to the folder of the command line, or to that of the ini file."""
    if given := config.getoption("harness_plugins"):
        return [str(config.invocation_params.dir / name) if names_file(name) else name for name in given]
    folder = config.inipath.parent if config.inipath else config.rootpath
    return [str(folder / name) if names_file(name) else name for name in config.getini("harness_plugins")]


def show(config: pytest.Config, plugin: str) -> str:
    """Return a plugin as it would be typed in the folder where pytest was started."""
    return os.path.relpath(plugin, config.invocation_params.dir) if names_file(plugin) else plugin


class CellCollection:
    """The pytest plugin that does the work; it exists only if a suite is selected."""

    def __init__(
        self,
        config: pytest.Config,
        registry: Registry,
        plan: Plan,
        threads: int | None,
        plugins: Sequence[str],
        broken: Sequence[Any],
    ) -> None:
        self.config, self.plan, self.broken = config, plan, broken
        header = Header(
            format=FORMAT, created="", command="pytest", suites=plan.suites, arm_names=plan.arm_names,
            cells=len(plan.cells), environment={}, plugins=tuple(plugins),
        )  # fmt: skip
        self.results: list[Result] = []
        self.context = Context(registry=registry, header=header, threads=threads)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the cells after the session's own collection."""
        report = yield
        if isinstance(collector, pytest.Session):
            assert report.result is not None
            node = Cells.from_parent(
                collector, name=ROOT, nodeid=ROOT, path=self.config.rootpath, make=self._collect_suites
            )
            node.add_marker(pytest.mark.harness)
            report.result.append(node)
        return report

    def _collect_suites(self, parent: Cells) -> Iterable[Cells]:
        for suite, cells in groupby(self.plan.cells, key=lambda cell: cell.suite):
            mine = list(cells)

            def make(node: Cells, mine: list[Cell] = mine) -> Iterable[pytest.Item | pytest.Collector]:
                return (
                    self._collect_times(node, mine) if mine[0].kind == "speed" else self._collect_backends(node, mine)
                )

            yield Cells.from_parent(parent, name=make_inert(suite), make=make)

    def _collect_backends(self, parent: Cells, cells: Sequence[Cell]) -> Iterable[Cells]:
        for backend, group in groupby(cells, key=lambda cell: cell.arm):
            mine = list(group)

            def make(node: Cells, mine: list[Cell] = mine) -> Iterable[pytest.Item]:
                for cell in mine:
                    name = make_inert(f"{cell.law}[{cell.label}: {cell.line}]")
                    yield LawCell.from_parent(node, name=name, context=self.context, cell=cell)

            yield Cells.from_parent(parent, name=make_inert(backend), make=make)

    def _collect_times(self, parent: Cells, cells: Sequence[Cell]) -> Iterable[pytest.Item]:
        able = self.config.pluginmanager.hasplugin("benchmark") or self.config.pluginmanager.hasplugin(
            "pytest_benchmark.plugin"
        )
        for cell in cells:
            name = make_inert(f"{cell.arm}[{cell.label}: {cell.line}]")
            item: CellItem = TimeCell.from_parent(parent, name=name, context=self.context, cell=cell)
            if not able and cell.decided is None:
                item.stop_early(Checked("unavailable", MISSING))
            yield item

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the result with the report, so that it also arrives from another process."""
        report = yield
        if isinstance(item, CellItem) and item.result is not None and (report.when == "call" or report.skipped):
            vars(report)["harness_result"] = msgspec.to_builtins(item.result)
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Store the result."""
        if found := getattr(report, "harness_result", None):
            self.results.append(msgspec.convert(found, Result))

    def pytest_report_header(self) -> list[str]:
        """Return the planned cells, and the broken plugins."""
        plan = self.plan
        return [
            show_text(f"harness: {len(plan.cells)} cells of {', '.join(plan.suites)} on {', '.join(plan.arm_names)}"),
            *(show_text(f"harness: plugin {row.name} is broken: {row.reason}") for row in self.broken),
        ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Replace a successful exit status if too many results prove nothing, or if nothing is known of an operator."""
        if exitstatus == pytest.ExitCode.OK and self.results and not hasattr(self.config, "workerinput"):
            if find_overdrawn(self.results):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
            elif not self._ran or find_unasked(self.results):
                session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED

    @property
    def _ran(self) -> bool:
        return any(result.outcome in RAN for result in self.results)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print counts of the cells by outcome, and results that prove nothing."""
        if not self.results:
            return
        counts = ", ".join(f"{number} {name}" for name, number in count_outcomes(self.results).items() if number)
        vacuous = sum(result.vacuous for result in self.results)
        nothing = f"; {vacuous} of those that passed prove nothing" if vacuous else ""
        terminalreporter.write_line(f"harness: {len(self.results)} cells: {counts}{nothing}")
        for line in describe_overdrawn(find_overdrawn(self.results)):
            terminalreporter.write_line(show_text(f"harness: {line}"), red=True)
        for line in describe_refused(self.results):
            terminalreporter.write_line(show_text(f"harness: {line}"), yellow=True)
        for (backend, _, operator), reason in find_unasked(self.results).items() if self._ran else ():
            said = f"harness: {backend} answered no problem of {operator}, and the session is no success: {reason}"
            terminalreporter.write_line(show_text(said), red=True)
        if not self._ran:
            first = next(result.reason or result.outcome for result in self.results)
            said = show_text(f"harness: no cell ran, and the session is no success: {first}")
            terminalreporter.write_line(said, red=True)
