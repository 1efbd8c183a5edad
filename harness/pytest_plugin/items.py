"""Cells as pytest nodes: `harness::SUITE::BACKEND::LAW[LABEL: LINE]` and `harness::SUITE::BACKEND[LABEL: LINE]`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.descriptions import describe_failure
from harness.analysis.inert_text import show_text
from harness.analysis.repeating import repeat_command
from harness.plan.cell import Cell
from harness.pytest_plugin.context import Context
from harness.pytest_plugin.in_process import Judged, judge_law, open_timing, time_session
from harness.record.run import WRONG, Result, result_of
from harness.worker.host.execute import choose_subject
from harness.worker.outcome import Seen
from harness.worker.protocol import Checked

ROOT = "harness"
OURS = frozenset({"harness", "suites", "_pytest", "pluggy", "pytest_benchmark", "contextlib"})
MISSING = (
    "times are taken by pytest-benchmark, which is missing or switched off; "
    "pip install 'conv-harness[ci]', and no -p no:benchmark"
)


class WrongCellError(Exception):
    """A cell is wrong although nothing was raised."""


class Cells(pytest.Collector):
    """Cells under one name: all of them, those of a suite, or those of a backend.

    make: returns the child nodes.
    """

    def __init__(self, *, make: Callable[[Cells], Iterable[pytest.Item | pytest.Collector]], **given: Any) -> None:
        super().__init__(**given)
        self.make = make
        self.obj = None  # pytest looks for a module here when a fixture of that scope is used

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """Make the child nodes."""
        return self.make(self)


class Named(pytest.Item):
    """A node whose id is that of its parent followed by its name.

    pytest 9.2 and later separate parameters in brackets when they read an id, as for `--last-failed`, and would not
    find an id in which brackets are part of the name.
    """

    def __init__(self, name: str, parent: pytest.Collector, **given: Any) -> None:
        super().__init__(name, parent, **given | {"nodeid": f"{parent.nodeid}::{name}"})


class CellItem(pytest.Item):
    """One cell as a test; `result` is None before it has run."""

    def __init__(self, *, context: Context, cell: Cell, **given: Any) -> None:
        super().__init__(**given)
        self.context, self.cell = context, cell
        self.result: Result | None = None
        if cell.decided is not None and cell.decided not in WRONG:
            self.stop_early(Checked(cell.decided, cell.reason))

    def stop_early(self, reply: Checked) -> None:
        """Let pytest skip a cell whose result is known before it runs."""
        self.add_marker(pytest.mark.skip(reason=show_text(self.conclude(reply, 0.0).told)))

    def conclude(self, reply: Checked, seconds: float) -> Result:
        """Make the result from a worker's reply, and add it to the report's properties."""
        cell, law = self.cell, self.context.registry.laws.get(self.cell.law)
        self.result = result_of(
            cell, reply.outcome, reason=reply.reason or cell.route.reason or None, deviation=reply.deviation,
            formula=law.formula if law else "", seconds=seconds,
        )  # fmt: skip
        self.user_properties[:] = list_properties(self.result)
        return self.result

    def choose(self) -> Seen:
        """Return the cell's backend under test."""
        return choose_subject(self.context.registry, self.context.backend(self.cell), self.cell.line)

    def settle(self, judged: Judged, begun: float = 0.0) -> None:
        """Pass, skip or fail as the cell did; raise what its backend raised.

        begun: monotonic time in s at which the cell began; 0 records no duration.
        """
        result = self.conclude(judged.reply, time.monotonic() - begun if begun else 0.0)
        if judged.raised is not None:
            raise judged.raised
        if result.outcome in WRONG:
            raise WrongCellError(show_text(result.reason or result.outcome))
        if result.outcome != "passed":
            pytest.skip(show_text(result.told))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the harness's description of the fault, followed by the frames of the backend if it raised."""
        if self.result is None or self.result.outcome not in WRONG:
            return super().repr_failure(excinfo)
        told = describe_result(self.result, repeat_command(self.context.header, self.result))
        if not leave_out_ours(excinfo):
            return told
        style = self.config.getoption("tbstyle", "auto")
        frames = excinfo.getrepr(style="long" if style == "auto" else style, tbfilter=filter_frames)
        return f"{told}\n\n{make_lines_inert(str(frames))}"

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return place and name for pytest's headlines; a cell has no file."""
        return self.config.rootpath / ROOT, 0, self.nodeid.partition("::")[2]


class LawCell(CellItem, Named):
    """A law on a problem."""

    def runtest(self) -> None:
        """Apply the law as a worker does."""
        context, begun = self.context, time.monotonic()
        with context.keep_steady(self.cell.backend) as reason:
            if self.cell.decided is not None:
                judged = Judged(reply=Checked(self.cell.decided, self.cell.reason))
            elif reason:
                judged = Judged(reply=Checked("unavailable", reason))
            else:
                judged = judge_law(self.choose, context.registry.law(self.cell.law))
        self.settle(judged, begun)


class TimeCell(CellItem, pytest.Function, Named):
    """A timed problem; a pytest function, because it requests the fixture of pytest-benchmark."""

    def __init__(self, **given: Any) -> None:
        def time_cell(benchmark: Any) -> None:
            self.measure(benchmark)

        super().__init__(callobj=time_cell, **given)

    def getparent(self, cls: Any) -> Any:
        """Return the nearest parent of a kind; a module-scoped fixture lives as long as the cells of a suite."""
        return super().getparent(cls) or (self.parent if cls is pytest.Module else None)

    def measure(self, benchmark: Any) -> None:
        """Verify, let `benchmark` time, verify again."""
        context, cell, begun = self.context, self.cell, time.monotonic()
        timing = context.registry.suite(cell.suite).timing
        with context.keep_steady(cell.backend) as reason:
            if reason and cell.decided is None:
                pytest.skip(show_text(self.conclude(Checked("unavailable", reason), 0.0).told))
            if cell.decided is not None:
                session, judged = None, Judged(reply=Checked(cell.decided, cell.reason))
            else:
                session, judged = open_timing(self.choose, cell, timing.mode)
            if session is None:  # through the fixture, which otherwise complains that it was not used
                benchmark.pedantic(self.settle, args=(judged, begun))
                return
            benchmark.group, benchmark.param = cell.line, cell.arm
            benchmark.params = {"arm": cell.arm, "backend": cell.backend, "problem": cell.line}
            judged = time_session(session, timing, benchmark)
            benchmark.extra_info |= {
                "problem": cell.line, "arm": cell.arm, "backend": cell.backend, "suite": cell.suite,
                "label": cell.label, "verified": judged.reply.outcome == "passed", "route": str(cell.route),
                "passes": 1, "mode": timing.mode,
            }  # fmt: skip
        self.settle(judged, begun)


def list_properties(result: Result) -> list[tuple[str, object]]:
    """Return the properties of a cell for the JUnit file, in addition to its outcome."""
    found = result.deviation
    values = {
        "suite": result.suite, "backend": result.backend, "law": result.law, "label": result.label,
        "problem": result.problem, "route": str(result.route), "outcome": result.outcome,
        "worst_of_bound": "" if found is None else f"{found.worst:.6g}",
        "worst_ulps": "" if found is None or found.ulps is None else f"{found.ulps:.6g}",
        "proves_nothing": "true" if result.vacuous else "",
    }  # fmt: skip
    return [(name, value) for name, value in values.items() if value]


def describe_result(result: Result, repeat: str) -> str:
    """Return a wrong result as `harness run` prints it."""
    lines = [f"{result.outcome}  {result.arm}  {result.law or 'timing'}   {result.formula}".rstrip()]
    for name, text in (("problem", result.problem), *describe_failure(result), ("repeat", repeat)):
        lines.append(f"    {name:<9}{text}")
    return make_lines_inert("\n".join(lines))


def make_lines_inert(text: str) -> str:
    """Return a text of several lines, with each inert and short enough to be shown."""
    return "\n".join(show_text(line) for line in text.split("\n"))


def leave_out_ours(excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return the traceback from the first frame outside of the harness and pytest: the backend's part."""
    frames = excinfo.traceback
    names = [str(entry.frame.f_globals.get("__name__", "")).partition(".")[0] for entry in frames]
    return frames[next((at for at, name in enumerate(names) if name not in OURS), len(names)) :]


def filter_frames(excinfo: pytest.ExceptionInfo[BaseException]) -> Any:
    """Return the same for a traceback that is displayed, which must not be empty."""
    return leave_out_ours(excinfo) or excinfo.traceback
