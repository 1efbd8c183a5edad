"""State shared by the stages of one run: output, observer, and how workers are started and stopped."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.errors import UsageError
from harness.execution.counted_start import CountedStart
from harness.execution.progress import Watch
from harness.execution.provenance import Loaded, Origins, hash_files, own_files
from harness.execution.recorded import Recorded, check_arm
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.machine.threads import sleep_at_once
from harness.plan.cell import Cell, Plan
from harness.plan.counting import CounterKind, Counting
from harness.plan.gate import Gate
from harness.plan.suite import CellKind
from harness.plugins.manager import Registry
from harness.record.journal import ArmEntry, Journal, ResultEntry
from harness.record.run import WRONG, Peak, Result, Run
from harness.worker.protocol import MOST_OPENED

if TYPE_CHECKING:
    from harness.execution.environments import Place


COUNTED_START_S: dict[CounterKind, float] = {"kernel": 2.0, "valgrind": 30.0}  # of a worker
COUNTED_S = 5.0  # of a cell under valgrind, besides its calls
S_PER_GIB = 5.0  # to draw, call and check arrays that fill the memory


@dataclass(slots=True, kw_only=True)
class Execution:
    """State shared by the stages of one run.

    path: of the run directory.
    extra: `--plugin` arguments.
    jobs: worker processes at a time.
    cores: processors of the machine.
    threads: of every worker; None: see `run_plan`.
    """

    plan: Plan
    registry: Registry
    path: Path
    extra: tuple[str, ...]
    watch: Watch
    journal: Journal
    run: Run
    jobs: int
    cores: int
    threads: int | None
    places: Mapping[str, Place] = field(default_factory=dict)  # of the arms from other environments
    lease_wait_s: float | None = None  # how long to wait for a device; None: without limit
    recorded: Recorded = field(default_factory=Recorded)  # by earlier parts of the run, if it is resumed
    lock: threading.Lock = field(default_factory=threading.Lock)
    supervisors: list[WorkerSupervisor] = field(default_factory=list)
    said: dict[str, ArmEntry] = field(default_factory=dict)  # by arm, recorded when its first worker started
    failed_starts: Counter[str] = field(default_factory=Counter)  # by arm, consecutive ones
    idle: set[int] = field(default_factory=set)  # numbers of the cells of idle arms, which are skipped
    peaks: list[Peak] = field(default_factory=list)
    timed_s: float = 0.0
    wall_s: float = 0.0
    begun: float = field(default_factory=time.monotonic)
    origins: Origins | None = None  # required origins of files, if arms come from other environments
    loaded: dict[str, Loaded] = field(default_factory=dict)  # by arm, files that its workers have loaded so far

    def show(self, cell: Cell) -> None:
        """Tell the observer which cell of a law begins."""
        self.watch.working(cell.arm, f"{cell.law}  {cell.line}")

    def record(self, result: Result, seconds: float = 0.0) -> None:
        """Write a result to the journal, then tell plugins and the observer.

        seconds: estimated duration of the cell, for the progress bar.
        Raises UnwritableError if the disk is full; a backend is then not said to be wrong, as it may need the disk.
        """
        with self.lock:
            if result.outcome in WRONG:
                self.journal.check_space()
            kept = result if result.measurement is None else replace(result, measurement=None)
            self.journal.append(ResultEntry(kept))  # its passes were written before
            for failure in self._tell(result):
                self.watch.working(result.arm, failure)
            self.watch.recorded(result)
            self.watch.advance(seconds)

    def _tell(self, result: Result) -> list[str]:
        """Pass the result to each plugin separately; return a description of every exception that one raises."""
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

    def introduce(self, supervisor: WorkerSupervisor) -> None:
        """Record what the backend of an arm reported at the start of its worker, once for each arm."""
        with self.lock:
            if supervisor.arm not in self.said and supervisor.ready is not None:
                self.said[supervisor.arm] = entry = ArmEntry(
                    supervisor.arm, supervisor.backend, supervisor.ready.reason, supervisor.ready.versions,
                    supervisor.ready.process,
                )  # fmt: skip
                if (before := self.recorded.arms.get(entry.arm)) is not None:
                    check_arm(before, entry)
                else:
                    self.journal.append(entry)

    def look(self, arm: str, loaded: Loaded) -> None:
        """Record the files that a worker has loaded. Raises UsageError if an arm does not run its own files."""
        assert self.origins is not None
        with self.lock:
            self.loaded[arm] = self.loaded[arm] | loaded if arm in self.loaded else loaded
            if loaded.overfull:
                raise UsageError(
                    f"cannot tell whether base and head run their own files: code of {arm} opens more than "
                    f"{MOST_OPENED:,} files, wanted fewer: ask for what opens none (--suite, --problem), or keep its "
                    "data in fewer files"
                )
            if reason := self.origins.find_foreign(arm, self.loaded):
                raise UsageError(f"base and head do not run their own files: {reason}")
            if reason := self.origins.find_stale(arm, loaded):
                raise UsageError(f"a version does not run its sources: {reason}")

    def record_files(self) -> None:
        """Write the arm's own loaded files with their hashes, added to what its backend reported."""
        for arm, loaded in self.loaded.items():
            if (entry := self.said.get(arm)) is not None:
                assert self.origins is not None
                trees = [side.tree for side in self.origins.sides.values() if side.tree is not None]
                files = hash_files(own_files(loaded, trees, self.origins.instrument))
                self.journal.append(msgspec.structs.replace(entry, process={**entry.process, "files": files}))

    @contextmanager
    def supervisor(
        self,
        arm: str,
        threads: int | None,
        *,
        observe: bool = False,
        asleep: bool = False,
        counting: CountedStart | None = None,
    ) -> Iterator[WorkerSupervisor]:
        """Open a supervisor for the workers of an arm; it is closed at the end in any case.

        threads: of the worker; None leaves them unchanged.
        observe: whether the worker reports the instruction sets that its libraries use.
        asleep: whether idle threads sleep at once. For timed workers the wake-up time would cost more than it saves.
        counting: how its instructions are counted; None if they are not.
        """
        environment = self.plan.arm(arm).environment
        place, settings = self.places.get(arm), environment.settings
        if asleep:
            settings = (*sleep_at_once({*os.environ, *dict(settings)}), *settings)
        if counting is not None:
            settings = (*counting.settings, *settings)
        supervisor = WorkerSupervisor(
            self.registry, self.plan.arm(arm).backend, self.path / "workers", self.plan.limits.memory_bytes, threads,
            place.plugins if place else self.extra, arm, place, settings, observe, self.failed_starts,
            self.look if self.origins is not None else None,
            planned=not (environment.elsewhere or environment.settings), counting=counting,
        )  # fmt: skip
        self.supervisors.append(supervisor)
        try:
            yield supervisor
            supervisor.list_files()
        finally:
            supervisor.close()
            self.supervisors.remove(supervisor)

    def cells_of(self, kind: CellKind) -> list[Cell]:
        """Return the cells of a kind that the plan left to workers."""
        return [cell for cell in self.plan.cells if cell.kind == kind and cell.decided is None]

    def by_backend(self, kind: CellKind) -> dict[str, list[Cell]]:
        """Return the cells of a kind that the plan left to workers, by arm."""
        cells: dict[str, list[Cell]] = defaultdict(list)
        for cell in self.cells_of(kind):
            cells[cell.arm].append(cell)
        return cells


def estimate_cell(registry: Registry, cell: Cell) -> float:
    """Return the expected seconds of a cell, for the progress bar; the planner's own estimate is pessimistic."""
    if cell.decided is not None:
        return 0.0
    if cell.need_bytes:
        return S_PER_GIB * cell.need_bytes / 2**30
    if cell.kind == "correctness":
        return 0.003 + cell.estimate_s / 50
    if cell.kind == "consensus":
        return 0.01
    if cell.kind == "count":
        return COUNTED_S + cell.estimate_s
    timing = registry.suites[cell.suite].timing
    return timing.passes * (timing.sample_s + 0.1) + cell.estimate_s / 10


def estimate_run(
    registry: Registry, gate: Gate | None, cells: Iterable[Cell], counting: Counting | None = None
) -> float:
    """Return the expected seconds of cells, for the progress bar; a budget counts only if there is something to time.

    registry: suites of the cells. gate, counting: of the plan. cells: what is left to do.
    """
    left = [cell for cell in cells if cell.decided is None]
    timed = [cell for cell in left if cell.kind == "speed"]
    started = len({cell.arm for cell in left if cell.kind == "count"}) if counting is not None else 0
    start_s = started * COUNTED_START_S[counting.counter] if counting is not None else 0.0
    laws_s = start_s + sum(estimate_cell(registry, cell) for cell in left if cell.kind != "speed")
    if gate is None:
        return laws_s + sum(estimate_cell(registry, cell) for cell in timed)
    if not timed:
        return laws_s
    return max(laws_s, gate.budget_s) if gate.whole else laws_s + gate.budget_s
