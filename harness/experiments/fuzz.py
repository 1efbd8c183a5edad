"""Fuzzing: apply laws to drawn problems in the backend's workers until one breaks, then reduce the problem."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.fuzz_report import FuzzFinding
from harness.execution.worker_supervisor import MOST_DEATHS, WorkerSupervisor
from harness.experiments.fuzz_corpus import Case
from harness.generate.reduction import reduce
from harness.machine.diagnosis import allowed_processors
from harness.machine.threads import ALL, ONE, count_threads, sleep_at_once
from harness.plan.arm import Arm, parse_arm
from harness.plan.cell import Cell, Limits
from harness.plan.planner import plan_run
from harness.plan.suite import NamedProblem
from harness.plugins.manager import Registry
from harness.problems.line import parse_line
from harness.problems.problem import Problem
from harness.record.run import RAN, WRONG, Result, result_of

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SUITE = "correctness"
CELL_S = 20.0  # time limit of a cell; a drawn problem takes milliseconds, so a longer call hangs
HANG_S = 2.0  # least limit while reducing a problem that hangs; above it, ten times the slowest cell so far
SHRINK_S = 20.0  # least time for reducing a finding, even if less is left
BURST = 10  # examples of one run of Hypothesis, which later varies earlier examples instead of drawing new ones
MOST_BURSTS = 10**6  # in one search; each has its own seed


class _BrokenError(Exception):
    """The drawn problem breaks a law."""


class _Over(BaseException):  # not an Exception, so that Hypothesis does not catch it
    """The time or the number of examples is used up."""


@dataclass(slots=True, kw_only=True)
class Bounds:
    """Limits of a search: seconds, drawn problems, and findings; None is no limit."""

    seconds: float | None = None
    examples: int | None = None
    findings: int = 10
    begun: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """Remaining seconds."""
        return float("inf") if self.seconds is None else self.begun + self.seconds - time.monotonic()

    def spent(self, drawn: int) -> bool:
        """Return True if the time, or the number of drawn problems, is used up."""
        return self.left_s <= 0 or (self.examples is not None and drawn >= self.examples)


@dataclass(slots=True)
class Bench:
    """One backend with its workers, and counts of its problems.

    backend: name, with settings after it if there are any. Half of the laws run in a worker with one thread, half in
        one with all.
    folder: of the workers' logs.
    extra: `--plugin` arguments.
    watch: called before each cell.
    drawn: problems drawn.
    problems, applications: problems on which a law was applied, and number of applications.
    passed: lines of drawn problems that broke no law; they are not tried again.
    limit_s: time limit of a cell.
    slowest_s: time of the slowest cell that answered.
    now: law and problem of the current cell.
    refusal: first reason why a law was not applied; None if all were.
    """

    registry: Registry
    backend: str
    folder: Path
    extra: tuple[str, ...]
    watch: Callable[[Bench], None] = lambda bench: None
    drawn: int = 0
    problems: int = 0
    applications: int = 0
    passed: set[str] = field(default_factory=set)
    limit_s: float = CELL_S
    slowest_s: float = 0.0
    now: str = ""
    refusal: str | None = None
    arm: Arm = field(init=False)
    supervisors: dict[int, WorkerSupervisor] = field(default_factory=dict)  # by number of threads

    def __post_init__(self) -> None:
        """Parse the arm; workers start with the first request."""
        self.arm = parse_arm(self.backend)

    @property
    def supervisor(self) -> WorkerSupervisor:
        """Supervisor of the worker with one thread."""
        return self.supervisor_of(ONE)

    def supervisor_of(self, threads: int) -> WorkerSupervisor:
        """Return the supervisor of the worker with a number of threads."""
        if threads not in self.supervisors:
            settings = self.arm.environment.settings
            self.supervisors[threads] = WorkerSupervisor(
                self.registry, self.arm.backend, self.folder, Limits().memory_bytes, threads, self.extra,
                self.arm.name, settings=(*sleep_at_once({*os.environ, *dict(settings)}), *settings),
            )  # fmt: skip
        return self.supervisors[threads]

    def close(self) -> None:
        """Let all workers end."""
        for supervisor in self.supervisors.values():
            supervisor.close()

    def cells(self, problem: Problem, laws: Sequence[str], threads: int | None = None) -> tuple[Cell, ...]:
        """Return the cells of the laws that apply to a problem, planned as in a run.

        laws: names.
        threads: of all of them; None divides them between one thread and all.
        """
        applied = [name for name in laws if self.registry.law(name).applies(problem)]
        if not applied:
            return ()
        named = NamedProblem(name="fuzz", problem=problem)
        limits = Limits(time_s=self.limit_s)
        return plan_run(
            self.registry, (SUITE,), (), (named,), applied, limits, (self.arm,), threads=threads
        ).cells  # fmt: skip

    def judge(self, cell: Cell) -> Result:
        """Return the result of a cell; replace a supervisor that has given up, to go on testing a crashing backend."""
        if cell.decided is not None:
            self.refusal = self.refusal or cell.reason
            return result_of(cell, cell.decided, reason=cell.reason)
        self.now = f"{cell.law}  {cell.line}"
        self.watch(self)
        threads = count_threads(cell.threads, len(allowed_processors()))
        if self.supervisor_of(threads).deaths >= MOST_DEATHS:
            self.supervisors.pop(threads).close()
        supervisor = self.supervisor_of(threads)
        started = supervisor.worker is not None  # otherwise the seconds include its start
        result = supervisor.check(cell, self.registry.law(cell.law).formula)
        if started and result.outcome != "timeout":
            self.slowest_s = max(self.slowest_s, result.seconds)
        if result.outcome in RAN:
            self.applications += 1
        else:
            self.refusal = self.refusal or result.reason
        return result

    def first_wrong(self, problem: Problem, laws: Sequence[str], threads: int | None = None) -> Result | None:
        """Return the result of the first law that the backend breaks on a problem; None if it breaks none.

        laws: names.
        threads: of all laws; None divides them between one thread and all.
        """
        before = self.applications
        wrong = None
        for cell in self.cells(problem, laws, threads):
            result = self.judge(cell)
            if result.outcome in WRONG:
                wrong = result
                break
        self.problems += self.applications > before
        return wrong

    def replay(self, case: Case) -> Result | None:
        """Return the present result of a case, with one thread and then with all, since it does not record the number.

        None if its law no longer applies to its problem.
        """
        result = None
        for threads in (ONE, count_threads(ALL, len(allowed_processors()))):
            for cell in self.cells(parse_line(case.line), (case.law,), threads):
                result = self.judge(cell)
                if result.outcome in WRONG:
                    return result
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """Problems to draw from, the only law applied to them ("" for all), and the number of bursts in a turn.

    problems: a strategy, which restarts with each burst, or an endless iterator.
    """

    problems: SearchStrategy[Problem] | Iterator[Problem]
    law: str = ""
    bursts: int = 1

    def asked(self, laws: Sequence[str]) -> tuple[str, ...]:
        """Return which of these laws are applied here."""
        return tuple(law for law in laws if self.law in ("", law))


def search(
    bench: Bench, laws: Sequence[str], domains: Sequence[Domain], bounds: Bounds, number: int
) -> Iterator[FuzzFinding]:
    """Yield broken laws one after the other, each on a reduced problem; a broken law is not applied again.

    laws: names.
    domains: drawn from in turn.
    number: the seed. The same seed draws the same problems, as long as the laws break in the same way and the code is
        the same: Hypothesis occasionally draws a constant that occurs in a source file.
    bench: applies laws to the backend. bounds: limits of findings, problems and time.
    """
    left, found = list(laws), 0
    bursts = [domain for domain in domains for _ in range(domain.bursts)]
    for turn in range(MOST_BURSTS):
        domain = bursts[turn % len(bursts)]
        if not any(one.asked(left) for one in bursts) or found == bounds.findings or bounds.spent(bench.drawn):
            return
        if not (asked := domain.asked(left)):
            continue
        finding = _hunt(bench, asked, domain.problems, bounds, number * MOST_BURSTS + turn)
        if finding is not None:
            yield finding
            found += 1
            left.remove(finding.result.law)


def _hunt(
    bench: Bench, laws: tuple[str, ...], problems: SearchStrategy[Problem] | Iterator[Problem], bounds: Bounds,
    number: int,
) -> FuzzFinding | None:  # fmt: skip
    """Draw a few problems; if one breaks a law, find the smallest problem on which it breaks in the same way."""
    hunt = _Hunt(bench, laws, bounds)
    with contextlib.suppress(_BrokenError, _Over):
        if isinstance(problems, Iterator):
            for problem in itertools.islice(problems, BURST):
                hunt.attempt(problem)
        else:
            _draw_examples(problems, hunt, number)
    if hunt.finding is not None:
        with contextlib.suppress(_Over):
            reduce(parse_line(hunt.finding.result.problem), hunt.breaks)
    bench.limit_s = CELL_S
    return hunt.finding


def _draw_examples(problems: SearchStrategy[Problem], hunt: _Hunt, number: int) -> None:
    """Let Hypothesis draw a few problems and reduce one that breaks a law. number: the seed."""
    from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
    from hypothesis.errors import Flaky

    attempt = settings(
        max_examples=BURST, database=None, deadline=None, phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck), report_multiple_bugs=False, verbosity=Verbosity.quiet,
        print_blob=False,
    )(seed(number)(given(problems)(hunt.attempt)))  # fmt: skip
    with contextlib.suppress(Flaky):  # it broke once and not again, which is a finding too
        attempt()


class _Hunt:
    """State of one search: the finding that is being reduced, once there is one."""

    def __init__(self, bench: Bench, laws: tuple[str, ...], bounds: Bounds) -> None:
        self.bench, self.laws, self.bounds = bench, laws, bounds
        self.finding: FuzzFinding | None = None
        self.deadline = time.monotonic() + bounds.left_s

    def attempt(self, problem: Problem) -> None:
        """Apply the laws, then only a broken one. Raises in one place, by which Hypothesis tells errors apart."""
        if time.monotonic() > self.deadline:
            raise _Over
        found = self._draw(problem) if self.finding is None else self._shrink(problem, self.finding)
        if found is not None:
            self.finding = found
            raise _BrokenError

    def breaks(self, problem: Problem) -> bool:
        """Return True if the broken law breaks on a simpler problem too, which then becomes the finding."""
        assert self.finding is not None
        if time.monotonic() > self.deadline:
            raise _Over
        found = self._shrink(problem, self.finding)
        self.finding = found or self.finding
        return found is not None

    def _draw(self, problem: Problem) -> FuzzFinding | None:
        bench, line = self.bench, problem.line
        if line in bench.passed:
            return None
        if self.bounds.spent(bench.drawn):
            raise _Over
        bench.drawn += 1
        wrong = bench.first_wrong(problem, self.laws)
        if wrong is None:
            bench.passed.add(line)
            return None
        self.deadline = max(self.deadline, time.monotonic() + SHRINK_S)
        if wrong.outcome == "timeout":
            bench.limit_s = min(CELL_S, max(HANG_S, 10 * bench.slowest_s))
        return FuzzFinding(result=wrong, first=wrong.problem, example=bench.drawn)

    def _shrink(self, problem: Problem, finding: FuzzFinding) -> FuzzFinding | None:
        """Return the finding on this problem if the same law breaks there with the same outcome; else None."""
        wrong = self.bench.first_wrong(problem, (finding.result.law,), finding.result.threads or None)
        if wrong is None or wrong.outcome != finding.result.outcome:
            return None
        return replace(finding, result=wrong)
