"""Course of a run: plan, workers, journal, Parquet. Reports read only the run directory."""

from __future__ import annotations

import errno
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from harness.errors import ChangedError, UnwritableError, UsageError
from harness.execution.context import Execution, estimate_cell, estimate_run
from harness.execution.counting_stage import count_problems
from harness.execution.environments import Place, check_environments, find_origins, open_places
from harness.execution.identity import identify
from harness.execution.progress import Watch
from harness.execution.recorded import check_resume, open_records
from harness.execution.switching import leave_out_idle_arms, still_to_ask
from harness.execution.timing_stage import time_problems
from harness.execution.vote_stage import hold_vote
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.machine.own_files import describe_changes
from harness.machine.threads import ALL, count_threads
from harness.networks.problem import is_network_line
from harness.plan.arm import Arm
from harness.plan.cell import Cell, Plan
from harness.plugins.manager import Registry
from harness.record.directory import check_directory, close_run, new_directory
from harness.record.environment import describe_environment
from harness.record.run import FORMAT, ArmRecord, Ending, Header, Run, result_of
from harness.worker.described.backend import rest

DISK_IS_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
TURN = 64  # cells between changes of the worker, for a job that alternates between two
MOST_WIDE = 2  # simultaneous workers of one backend that use all processors
WORTH_S = 0.5  # expected work from which on another worker is worth its start


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
    lease_wait_s: float | None = None,
    resume: bool = False,
) -> Run:
    """Execute a plan and write the run directory; an interrupt leaves an incomplete run and is raised again.

    registry: plugins of this process.
    path: of the run directory.
    watch: observer of the progress.
    command: command line or call that started the run, for its header.
    extra: `--plugin` arguments.
    flags: further options of the command line, for the header.
    jobs: worker processes at a time; None: as many as the machine has cores.
    threads: of every worker; None: one or all for laws, as planned, one for votes, the libraries' own for times.
    lease_wait_s: how long to wait for a device that another run times on; None: without limit.
    resume: whether the run has begun before: only what is missing is done.
    Raises UsageError if an environment cannot be made, if an arm does not run its own files, or if the run cannot be
    resumed; ValueError if the plugins were loaded to read alone, so that files that they change would stay unknown.
    """
    if registry.own_files is None:
        raise ValueError("registry: got plugins loaded to read alone, wanted those of `load_described` with runs=True")
    begun = time.monotonic()
    rest(registry.backends.values())
    with open_places(
        [arm.environment.place for arm in plan.arms], extra, lambda text: watch.working("environment", text)
    ) as places:
        environment = describe_environment(threads)
        arms = tuple(_record_arm(arm, places[arm.environment.place]) for arm in plan.arms)
        header = Header(
            format=FORMAT, created=time.strftime("%Y-%m-%dT%H:%M:%S%z"), command=command, suites=plan.suites,
            arm_names=plan.arm_names, cells=len(plan.cells), environment=environment, plugins=tuple(extra),
            flags=tuple(flags), gate=plan.gate, bugs=plan.bugs, arms=arms,
            parties=registry.find_parties({cell.backend for cell in plan.cells}),
            identity=identify(plan, arms, environment, extra, threads), claims=plan.claims,
            counting=plan.counting,
        )  # fmt: skip
        opened = open_records(path, header, resume=resume)
        if opened.run is not None:
            return write_again(opened.run)
        execution = Execution(
            plan=plan, registry=registry, path=path, extra=tuple(extra), watch=watch,
            journal=opened.journal, run=Run(path=path, header=opened.header), recorded=opened.recorded,
            jobs=jobs or environment["cores"], cores=environment["cores"], threads=threads,
            lease_wait_s=lease_wait_s, begun=begun - opened.recorded.spent_s, peaks=list(opened.recorded.peaks),
            places={arm.name: places[arm.environment.place] for arm in plan.arms if arm.environment.elsewhere},
            origins=find_origins(plan.arms, places, extra),
        )  # fmt: skip
        return _execute(execution)


def _record_arm(arm: Arm, place: Place) -> ArmRecord:
    return ArmRecord(
        name=arm.name, backend=arm.backend, text=arm.text, family=arm.family, revision=place.revision,
        interpreter=place.interpreter, dirty=place.dirty, switch=arm.switch,
    )  # fmt: skip


def _execute(execution: Execution) -> Run:
    """Run the stages one after the other; write the end of the journal in any case."""
    begun = time.monotonic()
    reason: str | None = "interrupted"
    changed: str | None = None
    plan, gate, recorded = execution.plan, execution.plan.gate, execution.recorded
    left = recorded.missing(plan.cells)
    execution.watch.begin(plan, estimate_run(execution.registry, gate, left, plan.counting))
    for result in recorded.results.values():
        execution.watch.recorded(result)
    if recorded.ending is not None:
        execution.timed_s, execution.wall_s = recorded.ending.timed_s, recorded.ending.speed_wall_s
    try:
        record_decided(execution)
        leave_out_idle_arms(execution, "correctness")
        check_laws(execution)
        check_alone(execution)
        hold_votes(execution)
        count_problems(execution, _side_by_side)
        time_problems(execution)
        reason = changed = describe_changes(execution.registry.own_files or {})
    except UsageError as error:
        reason = str(error)
        if isinstance(error, UnwritableError):  # without what to do next
            reason = reason.partition("; ")[0]
        raise
    except OSError as error:  # of the harness itself: those of a backend end in its worker
        reason = f"the system refuses: {error.strerror or error}"
        if error.errno not in DISK_IS_FULL:
            raise
        raise UnwritableError(
            f"disk is full: '{error.filename or execution.path}' cannot be written ({error.strerror}); what was done "
            f"is on disk, see it with `python -m harness report {execution.path}`; make room, then go on with "
            f"--resume {execution.path}"
        ) from None
    finally:
        ending = Ending(
            complete=reason is None, reason=reason, seconds=time.monotonic() - begun + recorded.spent_s,
            timed_s=execution.timed_s,
            speed_wall_s=execution.wall_s,
        )  # fmt: skip
        run = execution.run
        try:
            run = finish(execution, ending)
        finally:
            execution.watch.end(run)
    if changed is not None:
        raise ChangedError(
            f"run is void: {changed}; a backend, an installation or an editor has written there; see what was written, "
            "restore it, then run again"
        )
    return run


def record_decided(execution: Execution) -> None:
    """Record the cells that the plan alone decided."""
    for cell in execution.recorded.missing(execution.plan.cells):
        if cell.decided is not None:
            execution.record(result_of(cell, cell.decided, reason=cell.reason))


def check_laws(execution: Execution) -> None:
    """Apply laws, several backends in parallel; half of each backend's cells run with one thread, half with all.

    The number of threads of a worker is fixed at its start, as in normal use of the libraries. If there are fewer
    backends than jobs, the cells of each are divided among several workers, as far as they are worth it; otherwise they
    run in order, alternating between two workers. Isolated cells are left to `check_alone`.
    """
    by_backend = {
        name: together
        for name, cells in still_to_ask(execution, "correctness").items()
        if (together := [cell for cell in cells if not cell.isolate])
    }
    hands = max(1, execution.jobs // max(1, len(by_backend)))
    observe = any(arm.environment.settings for arm in execution.plan.arms)

    formulas = {name: law.formula for name, law in execution.registry.laws.items()}

    def work(cells: Sequence[Cell]) -> None:
        supervisors: dict[int, WorkerSupervisor] = {}
        with ExitStack() as stack:
            for threads, planned in take_turns(cells, execution.cores):
                turn = execution.recorded.missing(planned)
                if not turn:
                    continue
                if threads not in supervisors:
                    opened = execution.supervisor(turn[0].arm, threads, observe=observe, asleep=True)
                    supervisors[threads] = stack.enter_context(opened)
                    alike = (cell for cell in cells if count_threads(cell.threads, execution.cores) == threads)
                    supervisors[threads].deaths = execution.recorded.count_deaths(alike)
                supervisor = supervisors[threads]
                for cell, result in supervisor.check_all(turn, formulas, execution.show):
                    execution.introduce(supervisor)
                    if supervisor.stopped:
                        return
                    execution.record(result, estimate_cell(execution.registry, cell))

    def deal(cells: Sequence[Cell]) -> list[Sequence[Cell]]:
        expected_s = [estimate_cell(execution.registry, cell) for cell in cells]
        return deal_cells(cells, min(hands, count_hands(cells, expected_s)))

    _side_by_side(execution, work, [part for cells in by_backend.values() for part in deal(cells)])


def count_hands(cells: Sequence[Cell], expected_s: Sequence[float]) -> int:
    """Return how many workers of one backend are worth their start, at least one for each number of threads.

    A worker takes a second of processor time to start. The cost of a network's training is not known beforehand, so
    each cell of a network counts as worth a worker.

    expected_s: of each cell.
    """
    networks = sum(is_network_line(cell.line) for cell in cells)
    return max(len({cell.threads for cell in cells}), networks + math.ceil(sum(expected_s) / WORTH_S))


def take_turns(cells: Sequence[Cell], cores: int) -> Iterator[tuple[int, list[Cell]]]:
    """Split cells into runs with one number of threads each, so that one job never keeps two workers busy.

    cores: processors of the machine, the number of threads of a cell that uses all.
    """
    for start in range(0, len(cells), TURN):
        by_threads: dict[int, list[Cell]] = defaultdict(list)
        for cell in cells[start : start + TURN]:
            by_threads[count_threads(cell.threads, cores)].append(cell)
        yield from by_threads.items()


def deal_cells(cells: Sequence[Cell], hands: int) -> list[Sequence[Cell]]:
    """Divide the cells of one backend among `hands` jobs; each of several parts has one number of threads.

    Parts with all threads are few, as each of them keeps the whole machine busy. Empty parts are dropped.
    """
    wide = [cell for cell in cells if cell.threads == ALL]
    narrow = [cell for cell in cells if cell.threads != ALL]
    if hands == 1:
        return [cells]
    most = min(MOST_WIDE, max(1, hands // 2)) if wide else 0
    left = max(1, hands - most)
    parts = [*(wide[hand::most] for hand in range(most)), *(narrow[hand::left] for hand in range(left))]
    return [part for part in parts if part]


def check_alone(execution: Execution) -> None:
    """Apply laws to isolated cells, one at a time while nothing else runs.

    Cells with the same label share a fresh worker; a cell that may take all memory has its own, with all threads unless
    the run limits them.
    """
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cells in still_to_ask(execution, "correctness").values():
        for cell in execution.recorded.missing(cells):
            if cell.isolate:
                groups[cell.arm, cell.label, cell.line if cell.memory_bytes else ""].append(cell)
    for (backend, _, line), cells in groups.items():
        threads = execution.threads if line else count_threads(cells[0].threads, execution.cores)
        with execution.supervisor(backend, threads) as supervisor:
            for cell in cells:
                execution.show(cell)
                result = supervisor.check(cell, execution.registry.laws[cell.law].formula)
                execution.introduce(supervisor)
                execution.record(result, estimate_cell(execution.registry, cell))


def _side_by_side(
    execution: Execution, work: Callable[[Sequence[Cell]], None], dealt: Sequence[Sequence[Cell]]
) -> None:
    """Run each part in its own thread, `jobs` at a time; on an interrupt or error, kill all workers and re-raise it."""
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
            for supervisor in list(execution.supervisors):
                supervisor.stop()
            raise


def hold_votes(execution: Execution) -> None:
    """Hold the votes: each backend answers in its own worker, then the answers are compared.

    A vote of which a resumed run lacks a result is held again; results that it has stand.
    """
    by_problem: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cells in execution.by_backend("consensus").values():
        for cell in cells:
            by_problem[cell.suite, cell.line].append(cell)
    by_problem = {key: cells for key, cells in by_problem.items() if execution.recorded.missing(cells)}
    names = list(dict.fromkeys(cell.arm for cells in by_problem.values() for cell in cells))
    with ExitStack() as stack:
        supervisors = {name: stack.enter_context(execution.supervisor(name, execution.threads or 1)) for name in names}
        for cells in by_problem.values():
            for result in hold_vote(execution.registry, supervisors, cells):
                execution.introduce(supervisors[result.arm])
                if result.cell not in execution.recorded.results:
                    execution.record(result, 0.01)


def write_again(run: Run) -> Run:
    """Write the Parquet tables of a run and return it; the kill that interrupted it may have come after its journal.

    Raises UnwritableError for a complete run; one that has failed says why, not what followed.
    """
    from harness.analysis.tables import write_tables

    try:
        write_tables(run)
    except OSError as error:
        if run.complete:
            raise UnwritableError(
                f"tables cannot be written: '{run.path}' ({error.strerror or error}); the journal has all results, see "
                f"them with `python -m harness report {run.path}`; make room, then go on with --resume {run.path}"
            ) from None
    return run


def finish(execution: Execution, ending: Ending) -> Run:
    """Write the end of the journal, read the run back, write its Parquet tables, and notify the plugins.

    Raises UnwritableError, and ChangedError if something else has written to the journal or the header.
    """
    try:
        execution.record_files()
    finally:
        run = close_run(execution.journal, execution.run.header, ending)
    write_again(run)
    for implementation in execution.registry.manager.hook.run_finished.get_hookimpls():
        try:
            implementation.function(*([run] if implementation.argnames else []))
        except Exception as error:
            execution.watch.working("plugins", f"{implementation.plugin_name} in run_finished: {error}")
    return run


def check_start(
    output: str | Path | None, arms: Sequence[Arm] = (), plugins: Sequence[str] = (), resume: str | Path | None = None
) -> None:
    """Raise UsageError for what `start` would refuse, as far as it shows at once; a plan of a whole suite takes long.

    output: of the run directory; None for a new one.
    arms: whose environments are asked for.
    plugins: `--plugin` arguments.
    resume: folder of an interrupted run; None for a new run.
    """
    if resume is None:
        check_directory(None if output is None else str(output))
    else:
        check_resume(Path(resume), output)
    check_environments((arm.environment.place for arm in arms), plugins)


def start(
    registry: Registry,
    plan: Plan,
    names: Sequence[str],
    output: str | Path | None,
    plugins: Sequence[str],
    jobs: int | None,
    threads: int | None,
    watch: Watch,
    command: str = "",
    flags: Sequence[str] = (),
    lease_wait_s: float | None = None,
    resume: str | Path | None = None,
) -> Run:
    """Execute a plan in a new run directory, or go on with a run; return the run as read back from disk.

    registry: plugins of this process.
    watch: observer of the progress.
    names: of suites, for the name of the directory and the default of `command`.
    output: the directory; None chooses one.
    plugins: `--plugin` arguments.
    jobs, threads, command, flags: as for `run_plan`.
    lease_wait_s: how long to wait for a device that another run times on; None: without limit.
    resume: folder of an interrupted run, of which only what is missing is done; None for a new run.
    """
    path = new_directory(None if output is None else str(output), tuple(names)) if resume is None else Path(resume)
    command = command or f"harness.run({', '.join(map(repr, names))})"
    return run_plan(
        plan, registry, path, watch, command=command, extra=plugins, flags=flags, jobs=jobs, threads=threads,
        lease_wait_s=lease_wait_s, resume=resume is not None,
    )  # fmt: skip
