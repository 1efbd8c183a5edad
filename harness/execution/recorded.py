"""Records with which a resumed run goes on, and how a run's header and journal are opened."""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import UsageError
from harness.execution.identity import check_identity, compare_machines
from harness.plan.cell import Cell
from harness.record.directory import check_directory, encode_header, write_header
from harness.record.formats import decode_header
from harness.record.journal import ArmEntry, Journal, PassEntry
from harness.record.reopening import clear_unbegun, is_unbegun, read_resumable, reopen_run
from harness.record.run import GAVE_UP, Ending, Header, Peak, Result, Run

ENDED_WORKER = ("crashed", "timeout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Everything that the earlier parts of a resumed run have recorded; empty for a new run.

    results: by number of the cell. passes: in order, by number of the cell. arms: reports of workers, by arm.
    spent_s: seconds of all earlier parts. ending: the last one, None without one.
    """

    results: Mapping[int, Result] = field(default_factory=dict)
    passes: Mapping[int, Sequence[PassEntry]] = field(default_factory=dict)
    arms: Mapping[str, ArmEntry] = field(default_factory=dict)
    peaks: tuple[Peak, ...] = ()
    spent_s: float = 0.0
    ending: Ending | None = None

    def has(self, cell: Cell) -> bool:
        """Return True if a cell has its result."""
        return cell.number in self.results

    def missing(self, cells: Iterable[Cell]) -> list[Cell]:
        """Return the cells without a result."""
        return [cell for cell in cells if cell.number not in self.results]

    def count_deaths(self, cells: Iterable[Cell]) -> int:
        """Return how many workers in a row were ended by the last cells with a result, in order."""
        deaths = 0
        for cell in cells:
            found = self.results.get(cell.number)
            if found is not None and not (found.reason or "").endswith(GAVE_UP):
                deaths = deaths + 1 if found.outcome in ENDED_WORKER else 0
        return deaths


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Header and open journal of a run, with the records of its earlier parts.

    run: set if nothing is missing; its journal is then closed.
    """

    header: Header
    journal: Journal
    recorded: Recorded
    run: Run | None = None


def check_resume(folder: Path, output: str | Path | None) -> None:
    """Raise UsageError for a run that cannot be resumed, as far as it shows without a plan.

    folder: of the run. output: option that names the folder of a new run.
    """
    if output is not None and Path(output).resolve() != folder.resolve():
        raise UsageError(
            f"resume: got '{folder}' and the output folder '{output}', wanted one of them: a run goes on where it is"
        )
    if is_unbegun(folder):
        check_directory(str(folder.parent / f".{folder.name}.probe"))  # whether its place can be written
    else:
        read_resumable(folder)


def settle_header(header: Header) -> Header:
    """Return a header as it reads back from its file, so that it is written with the same bytes ever after."""
    return decode_header(encode_header(header), Header)


def open_records(folder: Path, header: Header, *, resume: bool) -> Opened:
    """Write the header of a new run, or reopen the journal of an interrupted one.

    folder: of the run. header: of this command, with its identity. resume: whether the run has begun before.
    Raises UsageError if the run cannot go on with this command, here and now.
    """
    if resume and is_unbegun(folder):
        clear_unbegun(folder)
        resume = False
    if not resume:
        named = settle_header(replace(header, run=secrets.token_hex(16)))
        return Opened(header=named, journal=write_header(folder, named), recorded=Recorded())
    old = read_resumable(folder)
    check_identity(old, header.identity)
    opened = reopen_run(folder, old)
    recorded = _collect(opened.run, opened.contents.entries, opened.spent_s)
    if opened.run.complete:
        opened.journal.final = True
        opened.journal.close()
        return Opened(header=old, journal=opened.journal, recorded=recorded, run=opened.run)
    opened.resume(compare_machines(old.environment, header.environment))
    return Opened(header=old, journal=opened.journal, recorded=recorded)


def _collect(run: Run, entries: Iterable[object], spent_s: float) -> Recorded:
    passes: dict[int, list[PassEntry]] = defaultdict(list)
    arms = {}
    for entry in entries:
        if isinstance(entry, PassEntry):
            passes[entry.cell].append(entry)
        elif isinstance(entry, ArmEntry):
            arms[entry.arm] = entry
    return Recorded(
        results={result.cell: result for result in run.results}, passes=passes, arms=arms,
        peaks=run.measured_peaks, spent_s=spent_s, ending=run.ending,
    )  # fmt: skip


def check_arm(before: ArmEntry, now: ArmEntry) -> None:
    """Raise UsageError if a worker of a resumed run reports something else than the first one of its arm did.

    before, now: reports of the arm's workers.
    """
    for name, old, new in (
        ("availability", before.reason or "available", now.reason or "available"),
        ("versions", before.versions, now.versions),
    ):
        if old != new:
            raise UsageError(
                f"run cannot be resumed: {name} of arm '{now.arm}': got {new}, the run has {old}; wanted the same "
                "environment; restore it, or begin a new run"
            )
