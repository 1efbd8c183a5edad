"""Build a kill matrix: apply every law to every faulty backend until it catches the fault or has no problem left.

A law is applied to some of its problems, spread evenly over all; to the remaining ones only if no law has caught the
fault.
registry: backends and laws.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from harness.analysis.kill_matrix import Kill, KillMatrix
from harness.errors import UsageError
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.experiments.kill_record import KillRecord
from harness.plan.cell import Cell
from harness.plan.planner import plan_run
from harness.plugins.manager import Registry
from harness.record.run import WRONG

PREFIX = "faulty:"  # begins the name of a backend with a planted fault
MEMORY_BYTES = 6 * 2**30
MOST = 32
Watch = Callable[[str, str, int], None]  # fault, its result, number of applications of laws


def make_matrix(
    registry: Registry,
    faults: Sequence[str],
    laws: Sequence[str],
    folder: Path,
    *,
    plugins: Sequence[str] = (),
    quick: bool = False,
    most: int = MOST,
    jobs: int = 2,
    watch: Watch = lambda fault, what, tried: None,
    record: KillRecord | None = None,
) -> KillMatrix:
    """Apply laws to faulty backends in workers, several backends at a time.

    faults: names of faulty backends.
    laws: names; empty for those of suite `correctness`.
    folder: of the workers' logs.
    plugins: `--plugin` arguments.
    quick: whether to go on to the next fault as soon as one law has caught it; the matrix is then incomplete.
    most: approximate number of problems that each law is first applied to.
    jobs: faulty backends at a time.
    watch: called after each fault.
    record: what was asked before, which is not asked again; it receives what is asked now.
    """
    names = choose_laws(registry, laws)
    record = KillRecord() if record is None else record
    kills: dict[tuple[str, str], Kill] = {}
    tried, stopped = 0, threading.Event()

    def work(fault: str) -> str:
        if fault not in record.hunted:
            hunt(registry, fault, names, folder, plugins, quick, most, record, stopped)
        return fault

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for fault in pool.map(work, faults):
                tried += len(record.asked[fault])
                found = record.list_kills(fault)
                kills |= {(kill.law, fault): kill for kill in found}
                watch(fault, f"caught by {len(found)}" if found else "SURVIVES", tried)
        except BaseException:
            stopped.set()  # the other faults end with their current cell
            raise
    return KillMatrix(faults=tuple(faults), laws=names, kills=kills, tried=tried, complete=not quick)


def choose_laws(registry: Registry, laws: Sequence[str]) -> tuple[str, ...]:
    """Return the laws to apply: those named, or those of suite `correctness`."""
    return tuple(laws or registry.suite("correctness").laws)


def hunt(
    registry: Registry, fault: str, laws: Sequence[str], folder: Path, plugins: Sequence[str], quick: bool, most: int,
    record: KillRecord, stopped: threading.Event,
) -> None:  # fmt: skip
    """Apply laws to one fault until each law has caught it or has no problem left.

    laws, folder, plugins, quick, most, record: as for `make_matrix`. stopped: set if the result is no longer wanted.
    """
    by_law: dict[str, list[Cell]] = defaultdict(list)
    planned = plan_run(registry, ["correctness"], [fault], (), laws).cells
    record.begin(fault, planned)
    for cell in planned:
        if cell.decided is None:
            by_law[cell.law].append(cell)
    some = {law: cells[:: max(1, len(cells) // most)] for law, cells in by_law.items()}
    with closing(_open_supervisors(registry, fault, folder, plugins)) as supervisors:
        caught = _ask(some, supervisors, fault, quick, record, stopped)
        if not caught:
            rest = {law: [cell for cell in cells if cell not in some[law]] for law, cells in by_law.items()}
            _ask(rest, supervisors, fault, quick, record, stopped)
    if not stopped.is_set():
        record.end(fault)


def _ask(
    by_law: Mapping[str, Sequence[Cell]], supervisors: Generator[WorkerSupervisor], fault: str, quick: bool,
    record: KillRecord, stopped: threading.Event,
) -> bool:  # fmt: skip
    """Apply laws until each has caught the fault or has no cell left; `quick` stops after the first kill.

    Return True if any law has caught it.
    """
    caught = False
    for cells in by_law.values():
        supervisor = next(supervisors)
        for cell in cells:
            if stopped.is_set():
                return caught
            found = record.find(fault, cell) or record.add(fault, cell, supervisor.check(cell, ""))
            if found.outcome in WRONG:
                caught = True
                break
        if quick and caught:
            break
    return caught


def _open_supervisors(
    registry: Registry, fault: str, folder: Path, plugins: Sequence[str]
) -> Generator[WorkerSupervisor]:
    """Yield a supervisor for every law: the same one, until its worker has died."""
    while True:
        with closing(WorkerSupervisor(registry, fault, folder, MEMORY_BYTES, 1, tuple(plugins))) as supervisor:
            while supervisor.deaths == 0:
                yield supervisor


def list_files(sources: Sequence[str]) -> tuple[str, ...]:
    """Plugin files of folders and files."""
    found: list[str] = []
    for source in sources:
        path = Path(source)
        if not path.exists():
            raise UsageError(f"faults: got '{source}', wanted a folder or file with faulty backends (--faults)")
        found += [str(file) for file in sorted(path.glob("*.py"))] if path.is_dir() else [source]
    return tuple(file if file.startswith(("/", ".")) else f"./{file}" for file in found if "__init__" not in file)


def choose_faults(registry: Registry, sources: Sequence[str], backends: Sequence[str]) -> tuple[str, ...]:
    """Return the faulty backends by name. Raises UsageError if there is none.

    registry: loaded plugins. sources: modules with faulty backends. backends: names; empty for all.
    """
    if backends:
        return tuple(registry.backend(name).name for name in dict.fromkeys(backends))
    found = tuple(name for name in registry.backends if name.startswith(PREFIX))
    if not found:
        broken = "; ".join(f"{row.name}: {row.reason}" for row in registry.rows if row.state == "broken")
        raise UsageError(
            f"faults: {', '.join(sources)} has no backend whose name begins with '{PREFIX}'{broken and '; '}{broken}"
        )
    return found
