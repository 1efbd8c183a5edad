"""Display of the progress of a run: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from harness.analysis.inert_text import show_text
from harness.cli.saying import say
from harness.cli.terminal import open_console
from harness.execution.progress import Watch
from harness.plan.cell import Plan
from harness.record.run import WRONG, Result, Run

PLAIN_EVERY_S = 5.0
MOST_LIVE = 5  # wrong results shown during the run; the summary and the report have the rest


class EndingWatch(Watch, Protocol):
    """A watch that remembers the run at its end, so that an interrupted one can be summarised."""

    ended: Run | None


def choose_watch() -> EndingWatch:
    """Return a bar if standard error is a terminal, else plain lines."""
    console = open_console(error=True)
    return BarWatch(console) if console.is_terminal else PlainWatch()


class _Tally:
    """Shared counts: finished cells, wrong cells, finished work, and remaining time."""

    def __init__(self) -> None:
        self.total, self.done, self.wrong = 0, 0, 0
        self.seconds, self.worked, self.begun = 1.0, 0.0, time.monotonic()
        self.ended: Run | None = None

    def start(self, plan: Plan, seconds: float) -> None:
        self.total, self.seconds, self.begun = len(plan.cells), max(seconds, 0.001), time.monotonic()

    def count(self, result: Result) -> None:
        self.done += 1
        self.wrong += result.outcome in WRONG

    @property
    def left(self) -> str:
        """Remaining time, from the finished share of the estimated work."""
        share = min(1.0, self.worked / self.seconds)
        if share < 0.03:
            return "estimating"
        left = (time.monotonic() - self.begun) * (1 - share) / share
        return f"about {left:.0f} s left" if left < 120 else f"about {left / 60:.0f} min left"


class BarWatch(_Tally):
    """One line with a bar, the current cell, and the remaining time; wrong results stay above it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.progress = Progress(
            TextColumn("{task.fields[counts]}"), BarColumn(bar_width=24), TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(), TextColumn("{task.fields[left]}  {task.fields[now]}"),
            console=console, transient=True, refresh_per_second=5,
        )  # fmt: skip
        self.task = self.progress.add_task("run", total=1.0, counts="", left="", now="")

    def begin(self, plan: Plan, seconds: float) -> None:
        """Show the empty bar."""
        self.start(plan, seconds)
        self.progress.update(self.task, total=self.seconds, counts=f"0/{self.total} cells")
        self.progress.start()

    def working(self, backend: str, what: str) -> None:
        """Show the current cell."""
        room = max(10, self.console.width - 88)
        self.progress.update(self.task, now=escape(show_text(f"{backend}: {what}", room)))

    def advance(self, seconds: float) -> None:
        """Move the bar."""
        self.worked += seconds
        self.progress.update(self.task, completed=min(self.worked, self.seconds), left=self.left)

    def recorded(self, result: Result) -> None:
        """Count a result; print it if it is wrong."""
        self.count(result)
        wrong = f", [red]{self.wrong} wrong[/red]" if self.wrong else ""
        self.progress.update(self.task, counts=f"{self.done}/{self.total} cells{wrong}")
        if result.outcome in WRONG and self.wrong <= MOST_LIVE:
            self.console.print(f"[red]{result.outcome}[/red] {escape(one_line(result))}", soft_wrap=True)

    def end(self, run: Run) -> None:
        """Remember the run, and remove the bar."""
        self.ended = run
        self.progress.stop()


class PlainWatch(_Tally):
    """A line every few seconds, and one for each of the first wrong results."""

    def __init__(self) -> None:
        super().__init__()
        self.last = 0.0

    def begin(self, plan: Plan, seconds: float) -> None:
        """Print the size of the plan."""
        self.start(plan, seconds)
        self._say(f"{self.total} cells on {len(plan.arm_names)} backends, about {seconds:.0f} s")
        self.last = time.monotonic()

    def working(self, backend: str, what: str) -> None:
        """Print the current cell, at most every few seconds."""
        if not self.total:  # preparations before the plan are reported only if they take long
            self._say(f"{backend}: {what}")
        elif time.monotonic() - self.last >= PLAIN_EVERY_S:
            self.last = time.monotonic()
            share = 100 * min(1.0, self.worked / self.seconds)
            wrong = f", {self.wrong} wrong" if self.wrong else ""
            self._say(f"[{share:3.0f}%] {self.done}/{self.total} cells{wrong}, {self.left}; {backend}: {what}")

    def advance(self, seconds: float) -> None:
        """Count finished work."""
        self.worked += seconds

    def recorded(self, result: Result) -> None:
        """Count a result; print it if it is wrong."""
        self.count(result)
        if result.outcome in WRONG and self.wrong <= MOST_LIVE:
            self._say(f"{result.outcome} {one_line(result)}")

    def end(self, run: Run) -> None:
        """Remember the run."""
        self.ended = run

    def _say(self, text: str) -> None:
        say(text, error=True)


def one_line(result: Result) -> str:
    """Return a result in one line: backend, law, problem, reason."""
    return f"{result.arm}  {result.law or 'timing'}  {result.problem}: {result.reason or result.outcome}"
