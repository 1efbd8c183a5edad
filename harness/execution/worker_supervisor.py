"""Supervisor of one backend's worker: started on demand, restarted when it dies, given up after repeated deaths."""

from __future__ import annotations

import hashlib
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.execution.counted_start import CountedStart
from harness.execution.provenance import Loaded
from harness.execution.worker_process import A_START, AN_ORDER, Worker, WorkerDiedError
from harness.machine.threads import ONE
from harness.measure.block import WARM_NS
from harness.networks.problem import NetworkProblem
from harness.plan.arm import Settings
from harness.plan.cell import Cell
from harness.plan.suite import Mode, Timing
from harness.plan.task import list_numerics
from harness.plugins.manager import Registry
from harness.problems.numerics import Numerics
from harness.problems.validation import MOST_WORD_BYTES
from harness.record.run import CANNOT_TELL, GAVE_UP, Result, result_of
from harness.worker.described.backend import DescribedBackend
from harness.worker.protocol import (
    Answer,
    Answered,
    Check,
    Checked,
    Count,
    FilesLoaded,
    ListFiles,
    Prepare,
    Ready,
    Release,
    Reply,
    Request,
    Sample,
    Sampled,
    Start,
)

if TYPE_CHECKING:
    from harness.execution.environments import Place

START_S = 120.0
LOOKS = 0.4  # share of a cell's limit for close looks at a block: beyond it the machine cannot tell
MOST_DEATHS = 3
AHEAD = 4  # most requests that a worker has at a time, including the current one


class WorkerSupervisor:
    """Runs the cells of one backend (of one arm) in its worker, one after the other."""

    def __init__(
        self,
        registry: Registry,
        backend: str,
        folder: Path,
        memory_bytes: int,
        threads: int | None,
        extra: tuple[str, ...],
        arm: str = "",
        place: Place | None = None,
        settings: Settings = (),
        observe: bool = False,
        failed_starts: Counter[str] | None = None,
        look: Callable[[str, Loaded], None] | None = None,
        *,
        planned: bool = True,
        counting: CountedStart | None = None,
    ) -> None:
        """Make a supervisor without a worker.

        folder: of the log.
        memory_bytes: limit of a cell, unless the cell has its own.
        threads: of the backend's process; its judge has one then. None leaves those of both unchanged.
        extra: `--plugin` arguments.
        arm: name of the arm; "" for the backend's own.
        place: environment of the arm; None for this one.
        settings: environment variables of the arm.
        observe: whether the worker reports the instruction sets that its libraries use. This loads and calls the
            libraries, so it is not done in workers that time.
        failed_starts: by arm, how many workers in a row died while starting; supervisors may share it.
        look: receives the files that each worker has loaded: when it is ready, after it has first prepared a problem,
            and at its end.
        planned: whether the plan asked this very backend what it supports: not one of another environment, or with
            settings of its own.
        counting: how its instructions are counted; None if they are not.
        """
        self.backend, self.memory_bytes, self.threads, self.place = backend, memory_bytes, threads, place
        self.settings = settings
        self.arm = arm or backend
        self.log = folder / name_log(self.arm)
        names = plugins_for(registry, backend)
        there = tuple(map(place.name_of, names)) if place else names
        laws = tuple(map(place.name_of, law_plugins(registry))) if place else law_plugins(registry)
        offers = {one: row.name for row in registry.rows if row.state == "loaded" for one in row.backends}
        if place:
            offers = {one: place.name_of(name) for one, name in offers.items()}
        self.start = Start(
            plugins=there, extra=extra, backend=backend, laws=laws, offers=offers, observe=observe, threads=threads,
            folder=place is None and not sys.flags.safe_path, counter=counting.kind if counting else None,
            dumps=str(counting.folder) if counting else "", watches_opens=look is not None,
        )  # fmt: skip
        self.start_s = START_S * (counting.slower if counting else 1)
        self.worker: Worker | None = None
        self.ready: Ready | None = None
        self.deaths = 0
        self.failed_starts = Counter[str]() if failed_starts is None else failed_starts
        self.stopped = False
        self.look, self.looks_again = look, False
        self.planned = planned
        self.declarer = registry.backends.get(backend)

    def check(self, cell: Cell, formula: str) -> Result:
        """Apply the cell's law; `formula` goes into the result."""
        reply, seconds, pid = self._do(cell, self._ask_law(cell), cell.time_limit_s)
        return self._result(cell, formula, reply, seconds, pid)

    def check_all(
        self, cells: Sequence[Cell], formulas: Mapping[str, str], begin: Callable[[Cell], None]
    ) -> Iterator[tuple[Cell, Result]]:
        """Apply the laws of cells in order; the worker has a few requests queued and never waits for the next.

        formulas: by law.
        begin: receives each cell before its reply is awaited.
        A worker that dies costs only its current cell; the queued requests are sent to the next worker.
        """
        waiting, asked = deque(cells), deque[Cell]()
        while waiting or asked:
            cell = asked[0] if asked else waiting[0]
            begin(cell)
            begun, pid = time.monotonic(), 0
            reply = self._given_up()
            if reply is None:
                try:
                    worker, ready = self.launch()
                    pid = worker.pid
                    reply = Checked("unavailable", ready.reason) if ready.reason else None
                    while reply is None and waiting and len(asked) < AHEAD:
                        worker.tell(self._ask_law(waiting[0]))
                        asked.append(waiting.popleft())
                    reply = reply or self._hear(worker, cell)
                except WorkerDiedError as error:
                    self.died(error)
                    reply = explain_death(cell, error)
                    waiting.extendleft(reversed(asked))
                    asked.clear()
            (asked or waiting).popleft()
            yield cell, self._result(cell, formulas[cell.law], reply, time.monotonic() - begun, pid)

    def _hear(self, worker: Worker, cell: Cell) -> Checked:
        reply = self._hold_to_plan(cell, worker.hear(cell.time_limit_s, cell.memory_bytes or self.memory_bytes))
        assert isinstance(reply, Checked)
        self.deaths = 0
        return reply

    def _given_up(self) -> Checked | None:
        """Return the outcome of all further cells after too many deaths in a row, or after `stop`; None before."""
        deaths = max(self.deaths, self.failed_starts[self.arm])
        if deaths >= MOST_DEATHS or self.stopped:
            return Checked("skipped", f"{deaths} cells in a row ended the worker; {GAVE_UP}")
        return None

    def _ask_law(self, cell: Cell) -> Check:
        return Check(law=cell.law, problem=cell.line, numerics=self._find_planned(cell))

    def _find_planned(self, cell: Cell) -> Numerics | tuple[Numerics, ...] | None:
        """Return the numerics that a plugin's process declared to the plan for a cell; None if it was not asked."""
        if not self.planned or not isinstance(self.declarer, DescribedBackend):
            return None
        if isinstance(cell.problem, NetworkProblem):
            return list_numerics(self.declarer, cell.problem)
        return self.declarer.numerics_for(cell.problem)

    def _hold_to_plan(self, cell: Cell, reply: Reply) -> Reply:
        """Return a reply, or an error if it denies what the same backend has declared to the plan."""
        if not isinstance(reply, Checked) or reply.outcome != "unsupported" or not reply.declared:
            return reply
        if not self.planned or cell.route.kind == "unsupported":
            return reply
        why = reply.reason or "it gives no reason"
        return Checked("error", f"it was planned as {cell.route}, but in its process it is unsupported: {why}")

    def _result(self, cell: Cell, formula: str, reply: Checked, seconds: float, pid: int) -> Result:
        return result_of(
            cell, reply.outcome, reason=reply.reason or cell.route.reason or None, deviation=reply.deviation,
            formula=formula, seconds=seconds, worker=pid, threads=self.threads or 0,
        )  # fmt: skip

    def prepare(self, cell: Cell, number: int, mode: Mode, *, probe: bool) -> tuple[Checked, float, int]:
        """Prepare the cell for timing in this process; return the reply, the seconds it took and the process number.

        number: of the pass.
        mode: of the caches.
        probe: whether to run the honesty checks.
        """
        request = Prepare(
            problem=cell.line, number=number, mode=mode, slowdown=cell.slowdown or 0.0, probe=probe,
            numerics=self._find_planned(cell),
        )  # fmt: skip
        reply = self._do(cell, request, cell.time_limit_s)
        if self.looks_again:
            self.list_files()
        return reply

    def sample(self, cell: Cell, timing: Timing) -> tuple[Sampled | Checked, float, int]:
        """Time a block of the cell prepared last; return the reply, the seconds it took and the process number."""
        request = Sample(
            budget_ns=int(timing.block_s * 1e9), warm_ns=WARM_NS, least=timing.least_samples,
            looks_s=LOOKS * cell.time_limit_s,
        )  # fmt: skip
        return self._do(cell, request, cell.time_limit_s)

    def count(self, cell: Cell, calls: int, slower: float) -> tuple[Checked, float, int]:
        """Count the instructions of a cell; return the reply, the seconds it took and the process number.

        calls: counted. slower: how many times as long as without a counter it may take.
        """
        request = Count(problem=cell.line, calls=calls, numerics=self._find_planned(cell))
        reply = self._do(cell, request, slower * cell.time_limit_s)
        if self.looks_again:
            self.list_files()
        return reply

    def release(self) -> None:
        """Let the worker free the problem prepared last."""
        if self.worker is not None:
            try:
                self.worker.ask(Release(), START_S, self.memory_bytes, AN_ORDER)
            except WorkerDiedError as error:  # while arrays were freed; earlier times stay valid
                self.died(error)

    @property
    def pids(self) -> tuple[int | None, int | None]:
        """Return the process numbers of the judge and of the backend's process; None if there is none."""
        return (self.worker.pid if self.worker else None), (self.ready.pid if self.ready else None)

    def suspend(self, *, look_again: bool = True) -> None:
        """Suspend the worker until it is resumed, so that it does not disturb others."""
        if self.worker is not None:
            self.worker.suspend(look_again=look_again)

    def resume(self) -> None:
        """Resume the worker."""
        if self.worker is not None:
            self.worker.resume()

    def answer(self, cell: Cell) -> tuple[Answered | Checked, float, int]:
        """Return the cell's outputs or the outcome that prevented them, the seconds it took and the process number."""
        return self._do(cell, Answer(problem=cell.line), cell.time_limit_s)

    def _do(self, cell: Cell, request: Request, time_s: float) -> tuple[Any, float, int]:
        begun, pid = time.monotonic(), 0
        if given_up := self._given_up():
            return given_up, 0.0, pid
        try:
            worker, ready = self.launch()
            pid = worker.pid
            if ready.reason:
                return Checked("unavailable", ready.reason), 0.0, pid
            reply = self._hold_to_plan(cell, worker.ask(request, time_s, cell.memory_bytes or self.memory_bytes))
            assert isinstance(reply, Checked | Answered | Sampled)
            self.deaths = 0
        except WorkerDiedError as error:
            self.died(error)
            reply = explain_death(cell, error)
        return reply, time.monotonic() - begun, pid

    def died(self, error: WorkerDiedError) -> None:
        """Forget a worker that is gone; the next request starts another."""
        self.worker, self.ready, self.deaths = None, None, self.deaths + 1

    def launch(self) -> tuple[Worker, Ready]:
        """Return the live worker, started if needed, and its report. Raises WorkerDiedError if it dies at its start."""
        if self.worker is not None and self.ready is not None:
            return self.worker, self.ready
        judging = None if self.threads is None else ONE  # its products are too small to share among threads
        self.worker = Worker(self.log, judging, self.place, self.settings)
        self.failed_starts[self.arm] += 1
        reply = self.worker.ask(self.start, self.start_s, self.memory_bytes, A_START)
        assert isinstance(reply, Ready)
        self.ready = reply
        self.failed_starts[self.arm] = 0
        if not reply.reason:
            self.list_files()
            self.looks_again = True  # libraries may be loaded by the first call
        return self.worker, reply

    def list_files(self) -> None:
        """Pass the files that the worker has loaded to `look`, if there is one. Raises what `look` raises.

        A worker whose backend cannot run has loaded a part of them, from which nothing follows.
        """
        self.looks_again = False
        if self.look is None or self.worker is None or self.worker.suspended or self.stopped:
            return
        if self.ready is None or self.ready.reason:
            return
        try:
            reply = self.worker.ask(ListFiles(), START_S, self.memory_bytes, AN_ORDER)
        except WorkerDiedError as error:
            self.died(error)
            return
        assert isinstance(reply, FilesLoaded)
        files, packages, opened, read = map(frozenset, (reply.files, reply.packages, reply.opened, reply.read))
        loaded = Loaded(files=files, packages=packages, opened=opened, read=read, overfull=reply.overfull)
        self.look(self.arm, loaded)

    def stop(self) -> None:
        """Kill the worker at once; the request in flight ends with WorkerDiedError."""
        self.stopped = True
        if self.worker is not None:
            self.worker.kill()

    def close(self) -> None:
        """Let the worker end."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def explain_death(cell: Cell, error: WorkerDiedError) -> Checked:
    """Return the outcome of a cell whose worker died.

    A cell that may take all free memory has begun with as much as its arrays and the backend's workspace() need. An end
    for want of memory is therefore the backend's own, unless other programs have taken memory meanwhile: where the
    kernel may have killed the worker, and it was never seen with more than the estimate, the machine cannot tell.
    """
    if error.outcome != "crashed" or not cell.need_bytes:
        return Checked(error.outcome, str(error))
    estimate = f"{cell.need_bytes / 2**30:.3g} GiB for arrays and workspace()"
    if error.used_bytes > cell.need_bytes:
        used = f"{error.used_bytes / 2**30:.3g} GiB"
        return Checked("crashed", f"{error}; it used {used}, where the estimate was {estimate}")
    if error.starved is False:
        return Checked("crashed", str(error))
    return Checked("skipped", f"{CANNOT_TELL} whether memory was short: {error}; the estimate was {estimate}")


def law_plugins(registry: Registry) -> tuple[str, ...]:
    """Return the plugins that the judge's process of a worker loads: those with laws or networks."""
    return tuple(row.name for row in registry.rows if row.state == "loaded" and (row.laws or row.networks))


def plugins_for(registry: Registry, backend: str) -> tuple[str, ...]:
    """Return the plugins that the backend's process of a worker loads: the backend's own, and those with networks."""
    return tuple(
        row.name for row in registry.rows if row.state == "loaded" and (backend in row.backends or row.networks)
    )


def name_log(arm: str) -> str:
    """Return the name of the log of an arm's workers; of a name that is too long for a file, its begin and a hash."""
    name = arm.replace("/", "_")
    if len(name.encode()) > MOST_WORD_BYTES:
        digest = hashlib.blake2b(arm.encode(), digest_size=8).hexdigest()
        name = f"{name.encode()[: MOST_WORD_BYTES - 20].decode(errors='ignore')}-{digest}"
    return f"{name}.log"
