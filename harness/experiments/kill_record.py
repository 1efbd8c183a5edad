"""Record of a kill matrix: every application of a law to a fault, written at once, so that an interrupted one goes on.

It is one file of sealed lines, as a run's journal: first `Head`, then the other entries in the order of the work.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.analysis.kill_matrix import Kill
from harness.errors import DAMAGED, UnwritableError, UsageError
from harness.execution.identity import hash_cells, identify_code, refuse_difference
from harness.machine.files import open_regular, read_file
from harness.plan.cell import Cell
from harness.record.directory import digest_header
from harness.record.environment import describe_environment
from harness.record.journal import MOST_JOURNAL_BYTES, Journal, read_number
from harness.record.reopening import MOMENT, check_bytes, refuse
from harness.record.run import WRONG, Outcome, Result
from harness.record.seal import NAME, Seal, read_seal
from harness.record.writer import claim_journal, is_written, refuse_writer

FILE = "killmatrix.jsonl"
FORMAT = 1


class Head(msgspec.Struct, tag="kills", frozen=True):
    """First line: what is asked, and what another command must have in common with this one to go on.

    record: random name of the record, for its seal.
    """

    format: int
    record: str
    created: str
    command: str
    faults: tuple[str, ...]
    identity: dict[str, str]


class Planned(msgspec.Struct, tag="planned", frozen=True):
    """The plan of a fault.

    cells: hash of its plan, in which numbers of cells have their meaning.
    """

    fault: str
    cells: str


class Asked(msgspec.Struct, tag="asked", frozen=True, omit_defaults=True):
    """One application of a law to a fault.

    cell: number in the plan of the fault. law, problem, reason: only if the fault was caught.
    """

    fault: str
    cell: int
    outcome: Outcome
    law: str = ""
    problem: str = ""
    reason: str | None = None


class Hunted(msgspec.Struct, tag="hunted", frozen=True):
    """Nothing is left to ask of a fault."""

    fault: str


Line = msgspec.json.Decoder(Head | Planned | Asked | Hunted)


@dataclass(slots=True)
class KillRecord:
    """Everything that was asked so far.

    faults: of the matrix. planned: hash of the plan by fault. asked: by fault and number of the cell.
    hunted: faults of which nothing is left to ask.
    journal: open file that receives every application; None if nothing is kept.
    """

    faults: tuple[str, ...] = ()
    planned: dict[str, str] = field(default_factory=dict)
    asked: dict[str, dict[int, Asked]] = field(default_factory=lambda: defaultdict(dict))
    hunted: set[str] = field(default_factory=set)
    journal: Journal | None = None

    def begin(self, fault: str, cells: Iterable[Cell]) -> None:
        """Record the plan of a fault. Raises UsageError if another one was begun."""
        now = hash_cells(cells)
        if (before := self.planned.get(fault, now)) != now:
            raise UsageError(
                f"kill matrix cannot be resumed: cells of '{fault}': got {now}, the record has {before}; wanted the "
                "same problems and laws; begin a new one"
            )
        if fault not in self.planned and self.journal is not None:
            self.journal.append(Planned(fault, now))
        self.planned[fault] = now

    def find(self, fault: str, cell: Cell) -> Asked | None:
        """Return the application of a cell to a fault, None if it is missing."""
        return self.asked[fault].get(cell.number)

    def add(self, fault: str, cell: Cell, result: Result) -> Asked:
        """Record the result of a cell. Raises UnwritableError, also where a full disk may be why a fault was caught."""
        if result.outcome in WRONG:
            told = Asked(fault, cell.number, result.outcome, cell.law, cell.line, result.reason)
        else:
            told = Asked(fault, cell.number, result.outcome)
        if self.journal is not None:
            if told.law:
                self.journal.check_space()
            self.journal.append(told)
        self.asked[fault][cell.number] = told
        return told

    def end(self, fault: str) -> None:
        """Record that nothing is left to ask of a fault."""
        if self.journal is not None:
            self.journal.append(Hunted(fault))
        self.hunted.add(fault)

    def list_kills(self, fault: str) -> list[Kill]:
        """Return the kills of a fault."""
        return [
            Kill(law=one.law, fault=fault, problem=one.problem, outcome=one.outcome, reason=one.reason)
            for one in self.asked[fault].values()
            if one.outcome in WRONG
        ]

    def close(self) -> None:
        """Close the file. Raises UnwritableError."""
        if self.journal is not None:
            self.journal.final = self.hunted >= set(self.faults)
            self.journal.close()


def identify_hunt(
    faults: Sequence[str],
    laws: Sequence[str],
    plugins: Sequence[str],
    without: Sequence[str],
    *,
    quick: bool,
    most: int,
) -> dict[str, str]:
    """Return the identity of a kill matrix by the names of its parts.

    faults, laws, plugins, quick, most: as for `make_matrix`. without: plugins that were left out.
    """
    asked = {
        "faults": " ".join(faults), "laws": " ".join(laws), "quick": str(quick), "most": str(most),
        "plugins left out": " ".join(sorted(without)) or "none",
    }  # fmt: skip
    return asked | identify_code(plugins, describe_environment())


def check_record(output: str | Path | None, resume: str | Path | None) -> Path | None:
    """Return the folder of the record, which is made if it is missing; None if nothing is to be kept.

    output: folder of a new record. resume: folder with the record of an interrupted kill matrix.
    Raises UsageError for what cannot be begun or resumed, as far as it shows before anything is loaded.
    """
    if resume is not None:
        if output is not None and Path(output).resolve() != Path(resume).resolve():
            raise UsageError(
                f"resume: got '{resume}' and the output folder '{output}', wanted one of them: a kill matrix goes on "
                "where it is"
            )
        if not (Path(resume) / FILE).is_file():
            raise UsageError(
                f"resume: got '{resume}', which has no {FILE}, wanted the --output of a kill matrix; begin one"
            )
        return Path(resume)
    if output is None:
        return None
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = (folder / FILE).exists()
    except OSError as error:
        raise UnwritableError(
            f"output folder cannot be written: got '{output}' ({error.strerror}), wanted a writable place; see --output"
        ) from None
    if found:
        refuse_unfinished(folder)
    return folder


def refuse_unfinished(folder: Path) -> None:
    """Raise UsageError unless the record in a folder is complete, so that a new one may take its place."""
    if is_written(folder, FILE):
        raise refuse_writer(folder)
    try:
        head, record = read_lines(folder, read_file(folder / FILE, MOST_JOURNAL_BYTES))
        complete = head is not None and record.hunted >= set(record.faults)
    except (UsageError, OSError):  # damaged, or no file
        complete = False
    if not complete:
        raise UsageError(
            f"output folder is in use: got '{folder}', where a kill matrix was interrupted; go on with --resume "
            f"{folder}, name another folder, or remove '{folder / FILE}'"
        )


def open_record(
    folder: Path | None, faults: Sequence[str], identity: Mapping[str, str], command: str, *, resume: bool
) -> KillRecord:
    """Return an empty record, or that of an interrupted kill matrix, with its file open for what follows.

    folder: as `check_record` returned it. faults: of the matrix. identity: as `identify_hunt` returned it.
    command: for the first line. resume: whether to go on with the record in the folder.
    Raises UsageError if the record cannot go on with this command, here and now.
    """
    if folder is None:
        return KillRecord()
    path = folder / FILE
    try:
        if not resume:
            path.unlink(missing_ok=True)  # complete, as `check_record` has seen
            return _begin(Journal(path), faults, identity, command)
        file = open_regular(path, write=True)
    except OSError as error:
        raise UnwritableError(f"record cannot be written: got '{path}' ({error.strerror}), see --output") from None
    try:
        claim_journal(file, path)
        try:
            data = read_file(path, MOST_JOURNAL_BYTES)
        except OSError as error:
            refuse(folder, f"its {FILE} cannot be read ({error.strerror})")
        kept, head, record = _reopen(folder, data, identity)
        journal = Journal(path, file, kept)
    except BaseException:
        file.close()
        raise
    if head is None:
        return _begin(journal, faults, identity, command)
    _prepare(journal, head)
    record.journal = journal
    return record


def _begin(journal: Journal, faults: Sequence[str], identity: Mapping[str, str], command: str) -> KillRecord:
    head = Head(FORMAT, secrets.token_hex(16), time.strftime(MOMENT), command, tuple(faults), dict(identity))
    _prepare(journal, head)
    journal.append(head)
    return KillRecord(faults=head.faults, journal=journal)


def _prepare(journal: Journal, head: Head) -> None:
    journal.advice = f"make room, then go on with --resume {journal.path.parent}, or name another place with --output"
    journal.use_seal(Seal(head.record, _digest(head)))


def _digest(head: Head) -> str:
    return digest_header(msgspec.json.encode(head))


def _reopen(folder: Path, data: bytes, identity: Mapping[str, str]) -> tuple[bytes, Head | None, KillRecord]:
    """Return the bytes of a record that count, its head (None if there is none yet), and its contents."""
    head, _ = read_lines(folder, data)
    if head is None:
        return b"", None, KillRecord()
    refuse_difference(head.identity, head.command, identity)
    kept = check_bytes(folder, data, read_seal(head.record), _digest(head), FILE)
    return kept, *read_lines(folder, kept)


def read_lines(folder: Path, data: bytes) -> tuple[Head | None, KillRecord]:
    """Read the lines of a record; an incomplete last line is left out.

    folder: of the record. data: contents of its file. Raises UsageError for any line that is not as it was written.
    """
    head, record = None, KillRecord()
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            entry = Line.decode(line)
            if read_number(line) != number or isinstance(entry, Head) != (number == 1):
                raise ValueError("in the wrong place")
        except DAMAGED:
            refuse(folder, f"line {number} of its {FILE} is damaged, or of another release")
        if isinstance(entry, Head):
            if entry.format != FORMAT or not NAME.fullmatch(entry.record):
                refuse(folder, f"its {FILE} is of another release")
            head, record.faults = entry, entry.faults
        elif isinstance(entry, Planned):
            record.planned[entry.fault] = entry.cells
        elif isinstance(entry, Asked):
            record.asked[entry.fault][entry.cell] = entry
        else:
            record.hunted.add(entry.fault)
    return head, record
