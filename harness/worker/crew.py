"""The worker of one backend: started when needed, replaced when it dies, given up when it dies again and again."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

from harness.plan.cell import Cell
from harness.plan.suite import Timing
from harness.plugins.manager import Registry
from harness.record.run import Result, result_of
from harness.worker.process import Worker, WorkerDiedError
from harness.worker.protocol import Answer, Answered, Check, Checked, Ready, Request, Start, Time

START_S = 120.0
MOST_DEATHS = 3


class Crew:
    """Gives the cells of one backend to its worker, one after the other."""

    def __init__(
        self,
        registry: Registry,
        backend: str,
        folder: Path,
        memory_bytes: int,
        threads: int | None,
        extra: tuple[str, ...],
    ) -> None:
        self.backend, self.memory_bytes, self.threads = backend, memory_bytes, threads
        self.log = folder / f"{backend}.log"
        self.start = Start(plugins=plugins_for(registry, backend), extra=extra, backend=backend)
        self.worker: Worker | None = None
        self.ready: Ready | None = None
        self.deaths = 0
        self.stopped = False
        self.busy_s = 0.0  # from the request to the reply, all cells
        self.starting_s = 0.0  # of it, the start of workers

    def check(self, cell: Cell, formula: str) -> Result:
        """Apply the cell's law, whose formula goes into the result."""
        reply, seconds, pid = self._do(cell, Check(law=cell.law, problem=cell.line), cell.time_limit_s)
        return result_of(
            cell, reply.outcome, reason=reply.reason or cell.route.reason, deviation=reply.deviation,
            formula=formula, seconds=seconds, worker=pid,
        )  # fmt: skip

    def time(self, cell: Cell, number: int, timing: Timing) -> tuple[Checked, float, int]:
        """Verify and time the cell once in this process; the reply, the seconds it took and the process."""
        request = Time(
            problem=cell.line, number=number, budget_ns=int(timing.sample_s * 1e9), least_samples=timing.least_samples
        )
        return self._do(cell, request, cell.time_limit_s)

    def answer(self, cell: Cell) -> tuple[Answered | Checked, float, int]:
        """The cell's outputs, or what became of it instead; the seconds it took and the process."""
        return self._do(cell, Answer(problem=cell.line), cell.time_limit_s)

    def _do(self, cell: Cell, request: Request, time_s: float) -> tuple[Any, float, int]:
        begun, pid = time.monotonic(), 0
        if self.deaths >= MOST_DEATHS or self.stopped:
            return Checked("skipped", f"{self.deaths} cells in a row ended the worker; the rest is not tried"), 0.0, pid
        try:
            worker, ready = self.launch()
            pid = worker.pid
            if ready.reason:
                return Checked("unavailable", ready.reason), 0.0, pid
            reply = worker.ask(request, time_s, self.memory_bytes)
            assert isinstance(reply, Checked | Answered)
            self.deaths = 0
        except WorkerDiedError as error:
            self.worker, self.deaths = None, self.deaths + 1
            reply = Checked("timeout" if error.outcome == "timeout" else "crashed", str(error))
        seconds = time.monotonic() - begun
        self.busy_s += seconds
        return reply, seconds, pid

    def launch(self) -> tuple[Worker, Ready]:
        """The live worker and what its backend said; raises WorkerDiedError where it dies while starting."""
        if self.worker is not None and self.ready is not None:
            return self.worker, self.ready
        begun = time.monotonic()
        self.worker = Worker(self.log, self.threads)
        reply = self.worker.ask(self.start, START_S, self.memory_bytes)
        assert isinstance(reply, Ready)
        self.ready = reply
        self.starting_s += time.monotonic() - begun
        return self.worker, reply

    def stop(self) -> None:
        """Kill the worker at once; the ask in flight ends with WorkerDiedError."""
        self.stopped = True
        if self.worker is not None:
            self.worker.kill()

    def close(self) -> None:
        """Let the worker end."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def plugins_for(registry: Registry, backend: str) -> tuple[str, ...]:
    """The plugins that a worker loads: the backend's own, and those with laws."""
    return tuple(row.name for row in registry.rows if row.state == "loaded" and (backend in row.backends or row.laws))


def shuffled(items: list[Cell], seed: int) -> list[Cell]:
    """The cells in an order of their own for each pass, the same for each run."""
    order = list(items)
    random.Random(seed).shuffle(order)
    return order
