"""How a run goes: plan, workers, journal, Parquet. Reports read only what is on disk."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.plan.cell import Cell, Plan
from harness.plugins.manager import Registry
from harness.record.directory import read_run, write_header
from harness.record.environment import describe_environment
from harness.record.journal import BackendEntry, EndEntry, Journal, PassEntry, PeakEntry, ResultEntry
from harness.record.run import FORMAT, Ending, Header, Measurement, Pass, Result, Run, result_of
from harness.voting import hold_vote
from harness.worker.crew import Crew, shuffled
from harness.worker.process import Worker, WorkerDiedError
from harness.worker.protocol import Measured, MeasurePeak


class Watch(Protocol):
    """Whoever looks on while a run goes: a progress bar, plain lines, or nobody."""

    def begin(self, plan: Plan, seconds: float) -> None:
        """See the plan before the first cell, with the estimated duration."""

    def working(self, backend: str, what: str) -> None:
        """See which cell begins."""

    def advance(self, seconds: float) -> None:
        """See that work worth so many estimated seconds is done."""

    def recorded(self, result: Result) -> None:
        """See a result that is on disk."""

    def end(self, run: Run) -> None:
        """See the end."""


@dataclass(slots=True, kw_only=True)
class Execution:
    """What the stages of one run share: where they write, who looks on, and how they are stopped."""

    plan: Plan
    registry: Registry
    path: Path
    extra: tuple[str, ...]
    watch: Watch
    journal: Journal
    run: Run
    jobs: int
    threads: int | None
    lock: threading.Lock = field(default_factory=threading.Lock)
    crews: list[Crew] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
    timed_s: float = 0.0
    wall_s: float = 0.0

    def record(self, result: Result, seconds: float = 0.0) -> None:
        """Put a result on disk, then show it."""
        with self.lock:
            self.journal.append(ResultEntry(result))
            for failure in self._tell(result):
                self.watch.working(result.backend, failure)
            self.watch.recorded(result)
            self.watch.advance(seconds)

    def _tell(self, result: Result) -> list[str]:
        """Let plugins see the result, each by itself; what one of them raises is said and goes no further."""
        failures = []
        for implementation in self.registry.manager.hook.result_recorded.get_hookimpls():
            try:
                given = {"run": self.run, "result": result}
                implementation.function(*(given[name] for name in implementation.argnames))
            except Exception as error:
                failures.append(
                    f"plugin {implementation.plugin_name} in result_recorded: {type(error).__name__}: {error}"
                )
        return failures

    def introduce(self, crew: Crew) -> None:
        """Record once what a backend said when its worker started."""
        with self.lock:
            if crew.backend not in self.said and crew.ready is not None:
                self.said.add(crew.backend)
                self.journal.append(BackendEntry(crew.backend, crew.ready.reason, crew.ready.versions))

    @contextmanager
    def crew(self, backend: str, threads: int | None) -> Iterator[Crew]:
        """The crew of a backend, closed at the end whatever happens."""
        limits = self.plan.limits
        crew = Crew(self.registry, backend, self.path / "workers", limits.memory_bytes, threads, self.extra)
        self.crews.append(crew)
        try:
            yield crew
        finally:
            crew.close()
            self.crews.remove(crew)


def run_plan(
    plan: Plan,
    registry: Registry,
    path: Path,
    watch: Watch,
    *,
    command: str,
    extra: Sequence[str] = (),
    flags: Sequence[str] = (),
    jobs: int | None = None,
    threads: int | None = None,
) -> Run:
    """Execute a plan and write the run directory; an interrupt leaves an incomplete run and is raised again."""
    environment = describe_environment(threads)
    header = Header(
        format=FORMAT, created=time.strftime("%Y-%m-%dT%H:%M:%S%z"), command=command, suites=plan.suites,
        backends=plan.backends, cells=len(plan.cells), environment=environment, plugins=tuple(extra),
        flags=tuple(flags),
    )  # fmt: skip
    journal = write_header(path, header)
    execution = Execution(
        plan=plan, registry=registry, path=path, extra=tuple(extra), watch=watch, journal=journal,
        run=Run(path=path, header=header), jobs=jobs or environment["cores"], threads=threads,
    )  # fmt: skip
    begun, reason = time.monotonic(), "interrupted"
    watch.begin(plan, sum(estimate_cell(registry, cell) for cell in plan.cells))
    try:
        record_decided(execution)
        check_laws(execution)
        hold_votes(execution)
        time_problems(execution)
        reason = ""
    finally:
        ending = Ending(
            complete=not reason, reason=reason, seconds=time.monotonic() - begun, timed_s=execution.timed_s,
            speed_wall_s=execution.wall_s,
        )  # fmt: skip
        journal.append(EndEntry(ending))
        journal.close()
        run = finish(execution)
        watch.end(run)
    return run


def record_decided(execution: Execution) -> None:
    """Record the cells that the plan alone decided."""
    for cell in execution.plan.cells:
        if cell.decided is not None:
            execution.record(result_of(cell, cell.decided, reason=cell.reason))


def check_laws(execution: Execution) -> None:
    """Apply laws, several backends side by side, each with one thread unless the user asks for more.

    Where there are fewer backends than jobs, the cells of each are dealt out to several workers.
    """
    by_backend = _by_backend(execution, "correctness")
    hands = max(1, execution.jobs // max(1, len(by_backend)))

    def work(cells: Sequence[Cell]) -> None:
        with execution.crew(cells[0].backend, execution.threads or 1) as crew:
            for cell in cells:
                if crew.stopped:
                    return
                execution.watch.working(cell.backend, f"{cell.law}  {cell.line}")
                result = crew.check(cell, execution.registry.laws[cell.law].formula)
                execution.introduce(crew)
                if not crew.stopped:
                    execution.record(result, estimate_cell(execution.registry, cell))

    dealt = [cells[hand::hands] for cells in by_backend.values() for hand in range(hands)]
    _side_by_side(execution, work, [cells for cells in dealt if cells])


def _side_by_side(
    execution: Execution, work: Callable[[Sequence[Cell]], None], dealt: Sequence[Sequence[Cell]]
) -> None:
    """Run one thread per worker; an interrupt, or an error in one, kills all workers before it is raised again."""
    if not dealt:
        return
    with ThreadPoolExecutor(execution.jobs) as pool:
        futures = [pool.submit(work, cells) for cells in dealt]
        try:
            for future in futures:
                future.result()
        except BaseException:
            for future in futures:
                future.cancel()
            for crew in list(execution.crews):
                crew.stop()
            raise


def hold_votes(execution: Execution) -> None:
    """Let backends vote on problems: each is asked in its own worker, then the answers are compared."""
    by_problem: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cells in _by_backend(execution, "consensus").values():
        for cell in cells:
            by_problem[cell.suite, cell.line].append(cell)
    names = list(dict.fromkeys(cell.backend for cells in by_problem.values() for cell in cells))
    with ExitStack() as stack:
        crews = {name: stack.enter_context(execution.crew(name, execution.threads or 1)) for name in names}
        for cells in by_problem.values():
            for result in hold_vote(execution.registry, crews, cells):
                execution.introduce(crews[result.backend])
                execution.record(result, 0.01)


def time_problems(execution: Execution) -> None:
    """Time problems: passes of fresh processes, one backend at a time and alone, the cells in shuffled order."""
    by_backend = _by_backend(execution, "speed")
    if not by_backend:
        return
    measured: dict[int, list[Pass]] = defaultdict(list)
    suites = execution.registry.suites
    for number in range(max(suites[cell.suite].timing.passes for cells in by_backend.values() for cell in cells)):
        measure_machine(execution)  # in every pass: on a shared machine one moment is not its peak
        names = list(by_backend) if number % 2 == 0 else list(reversed(by_backend))
        for backend in names:
            cells = [c for c in by_backend[backend] if number < suites[c.suite].timing.passes]
            if cells:
                by_backend[backend] = _time_pass(execution, backend, cells, number, measured)


def _time_pass(
    execution: Execution, backend: str, cells: list[Cell], number: int, measured: dict[int, list[Pass]]
) -> list[Cell]:
    """One pass of one backend in a fresh process; the cells that go on to the next pass."""
    going: set[int] = set()
    with execution.crew(backend, execution.threads) as crew:
        for cell in shuffled(cells, number):
            timing = execution.registry.suites[cell.suite].timing
            execution.watch.working(
                backend, f"pass {number + 1}/{timing.passes}  {cell.label}  {cell.problem.operator}"
            )
            reply, seconds, pid = crew.time(cell, number, timing)
            execution.introduce(crew)
            if reply.samples is not None:
                measured[cell.number].append(reply.samples)
                execution.timed_s += sum(reply.samples.samples_ns) * reply.samples.loops / 1e9
                execution.journal.append(PassEntry(cell.number, reply.samples))
                going.add(cell.number)
            last = reply.samples is None or number + 1 == timing.passes
            share = estimate_cell(execution.registry, cell) / timing.passes
            if last:
                passes = tuple(measured[cell.number]) if reply.samples is not None else ()
                result = result_of(
                    cell, reply.outcome, reason=reply.reason, deviation=reply.deviation, seconds=seconds, worker=pid,
                    measurement=Measurement(passes=passes) if passes else None,
                )  # fmt: skip
                execution.record(result, share * (timing.passes - number))
            else:
                execution.watch.advance(share)
        execution.wall_s += crew.busy_s - crew.starting_s
    return [cell for cell in cells if cell.number in going]


def measure_machine(execution: Execution) -> None:
    """Measure the machine's own peak in a worker of its own, with the threads that the backends get."""
    execution.watch.working("machine", "peak of GEMM and copy")
    worker = Worker(execution.path / "workers" / "machine.log", execution.threads)
    try:
        reply = worker.ask(MeasurePeak(), 120.0, execution.plan.limits.memory_bytes)
        assert isinstance(reply, Measured)
        execution.journal.append(PeakEntry(reply.peak))
    except WorkerDiedError as error:
        execution.watch.working("machine", f"peak not measured: {error}")
    finally:
        worker.close()


def finish(execution: Execution) -> Run:
    """Compact the journal to Parquet, read the run back from disk, and tell the plugins."""
    from harness.record.tables import write_tables

    run = read_run(execution.path)
    write_tables(run)
    for implementation in execution.registry.manager.hook.run_finished.get_hookimpls():
        try:
            implementation.function(*([run] if implementation.argnames else []))
        except Exception as error:
            execution.watch.working("plugins", f"{implementation.plugin_name} in run_finished: {error}")
    return run


def estimate_cell(registry: Registry, cell: Cell) -> float:
    """Seconds that a cell is expected to take, for the progress bar; the planner's own estimate is pessimistic."""
    if cell.decided is not None:
        return 0.0
    if cell.kind == "correctness":
        return 0.003 + cell.estimate_s / 50
    if cell.kind == "consensus":
        return 0.01
    timing = registry.suites[cell.suite].timing
    return timing.passes * (timing.sample_s + 0.1) + cell.estimate_s / 10


def _by_backend(execution: Execution, kind: str) -> dict[str, list[Cell]]:
    cells: dict[str, list[Cell]] = defaultdict(list)
    for cell in execution.plan.cells:
        if cell.kind == kind and cell.decided is None:
            cells[cell.backend].append(cell)
    return cells
