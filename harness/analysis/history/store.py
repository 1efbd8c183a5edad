"""A folder of run directories as a store: headers are read one by one, tables are queried in place with DuckDB.

There are no locks and no index: each run is a directory of its own, so any number of writers may add to a folder, and
folders are merged by copying.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.errors import DAMAGED, UsageError
from harness.machine.files import read_file
from harness.record.formats import decode_header
from harness.record.run import FORMAT, ArmRecord

if TYPE_CHECKING:
    import pyarrow as pa

PART = ".part"  # ends the name of a directory that is still being written
SLOWED_BEFORE_3 = "qualify+"  # began the names of suites whose arms are slowed by known work
MAGIC, FOOTER = b"PAR1", 8  # a Parquet file begins and ends with it; before the end stands the length of its footer
COLUMNS = ("problem", "median_ns", "low_ns", "high_ns")
TYPED = ("problem::VARCHAR AS problem", *(f"{name}::DOUBLE AS {name}" for name in COLUMNS[1:]))
TIMED = """
    kind = 'speed' AND outcome = 'passed' AND median_ns > 0 AND isfinite(median_ns::DOUBLE)
    AND proves_nothing IS NOT TRUE AND contains(problem, $part)
"""


class _Environment(msgspec.Struct, frozen=True):
    fingerprint: str
    threads: int | None = None
    variables: dict[str, str] = {}
    git: dict[str, Any] | None = None
    cpu: str = ""
    cores: int | None = None


class Head(msgspec.Struct, frozen=True):
    """Part of a header that a history needs."""

    format: int
    created: str
    arm_names: tuple[str, ...]
    environment: _Environment
    arms: tuple[ArmRecord, ...] = ()

    @property
    def moment(self) -> float:
        """Seconds since 1970; a date without a zone is taken as UTC. Raises ValueError for an invalid date."""
        found = datetime.datetime.fromisoformat(self.created)
        return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run directory with its header."""

    path: Path
    head: Head
    moment: float

    @property
    def table(self) -> Path:
        """Path of its results."""
        return self.path / "results.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """All runs below a folder in the order of their creation, and notices on runs that cannot be read."""

    folder: Path
    runs: tuple[StoredRun, ...]
    notices: tuple[str, ...]


def open_store(folder: str | Path) -> Store:
    """Read the header of every run below a folder. Raises UsageError if there is no folder, or no run in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"history: got '{folder}', which is no folder, wanted one with run directories; see --runs")
    notices: list[str] = []
    runs: dict[tuple[bytes, int], StoredRun] = {}
    copies = 0
    for path in _find_directories(folder, notices):
        try:
            raw = read_file(path / "header.json")
            run = _read_head(path, raw)
        except FileNotFoundError:
            notices.append(f"left out: '{path}' has no header.json")
        except (OSError, *DAMAGED) as error:
            notices.append(f"left out: '{path}/header.json' cannot be read ({error})")
        else:
            key = raw, _size(path / "journal.jsonl")
            copies += key in runs
            if key not in runs or not is_whole(runs[key].table):
                runs[key] = run
    if copies:
        notices.append(f"{copies} runs are copies of others, and count once")
    if not runs:
        said = f" ({'; '.join(notices)})" if notices else ""
        raise UsageError(
            f"history: got '{folder}', which holds no run that can be read{said}, wanted a folder of run directories; "
            "make one with `python -m harness run`, or name another with --runs"
        )
    ordered = sorted(runs.values(), key=lambda run: (run.moment, str(run.path)))
    return Store(folder=folder, runs=tuple(ordered), notices=tuple(notices))


def _find_directories(folder: Path, notices: list[str]) -> Iterator[Path]:
    """Directories that are or look like runs; a run directory is not searched for others."""

    def note(error: OSError) -> None:
        notices.append(f"left out: '{error.filename}' cannot be read ({error.strerror})")

    for place, inner, files in os.walk(folder, onerror=note):
        inner[:] = sorted(name for name in inner if not name.endswith(PART))
        if not {"header.json", "journal.jsonl", "results.parquet"}.isdisjoint(files):
            inner.clear()
            yield Path(place)


def _read_head(path: Path, raw: bytes) -> StoredRun:
    head = decode_header(raw, Head)
    if head.format > FORMAT:
        raise ValueError(f"format {head.format} is newer than {FORMAT}; upgrade the harness")
    return StoredRun(path=path, head=head, moment=head.moment)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def is_whole(path: Path) -> bool:
    """Return True if a Parquet file has its magic bytes at both ends, and a footer that fits into it."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size < len(MAGIC) + FOOTER:
                return False
            file.seek(-FOOTER, os.SEEK_END)
            end = file.read(FOOTER)
            file.seek(0)
            length = int.from_bytes(end[:4], "little")
            return file.read(4) == MAGIC == end[4:] and length <= size - len(MAGIC) - FOOTER
    except OSError:
        return False


def query_times(runs: Sequence[StoredRun], sides: pa.Table, part: str) -> tuple[pa.Table, list[str]]:
    """Return every verified time of the requested sides, ordered by series and source, and notices on damaged runs.

    runs: runs to query.
    sides: columns file (path of the table), side (arm of its results), source (number in the order of the points of
    a series), backend, environment. part: text that problem lines must contain.
    Columns of the result: backend, problem, mode, environment, source, median_ns, low_ns, high_ns.
    Raises UsageError if the runs cannot be queried.
    """
    notices: list[str] = []
    whole, rescued = [], []
    for run in runs:
        if is_whole(run.table):
            whole.append(run)
        else:
            rescued.append(run)
    while True:
        try:
            rows = _rescue(rescued, part, notices)
            return _query(whole, rows, sides, part), notices
        except Exception as error:  # the tables look complete, but one cannot be read: find out which
            damaged = [run for run in whole if not _answers(run, part)]
            if not damaged:
                raise UsageError(f"history: the runs cannot be queried ({_first_line(error)})") from None
            notices.clear()
            rescued += damaged
            whole = [run for run in whole if run not in damaged]


def _select(runs: Sequence[StoredRun], side: str, mode: str, plain: str) -> str:
    files = ", ".join(_quote(str(run.table)) for run in runs)
    return (
        f"SELECT filename AS file, {side}::VARCHAR AS side, ({mode})::VARCHAR AS mode, {', '.join(TYPED)} "
        f"FROM read_parquet([{files}], filename = true) WHERE {TIMED} AND {plain}"
    )


def _selects(runs: Sequence[StoredRun]) -> list[str]:
    """One query for each group of formats.

    Before 2 there was no column for the mode, and everything was hot; before 3 slowed arms were told by their suite;
    before 5 the column `backend` held the name of the arm.
    """
    by_suite, by_share = f"NOT starts_with(suite, '{SLOWED_BEFORE_3}')", "coalesce(slowdown, 0) = 0"
    mode = "coalesce(mode, 'hot')"
    groups = ((0, 2, "backend", "'hot'", by_suite), (2, 3, "backend", mode, by_suite),
              (3, 5, "backend", mode, by_share), (5, FORMAT + 1, "arm", mode, by_share))  # fmt: skip
    found = []
    for first, end, side, mode, plain in groups:
        if chosen := [run for run in runs if first <= run.head.format < end]:
            found.append(_select(chosen, side, mode, plain))
    return found


def _query(runs: Sequence[StoredRun], rescued: pa.Table, sides: pa.Table, part: str) -> pa.Table:
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.register("sides", sides)
        connection.register("rescued", rescued)
        found = " UNION ALL ".join([f"SELECT file, side, mode, {', '.join(COLUMNS)} FROM rescued", *_selects(runs)])
        found_rows = connection.sql(
            f"""
            SELECT sides.backend, problem, mode, environment, source, {", ".join(COLUMNS[1:])}
            FROM ({found}) AS found JOIN sides USING (file, side)
            ORDER BY sides.backend, problem, environment, mode, source
            """,
            params={"part": part} if runs else None,
        )
        return found_rows.to_arrow_table()


def _answers(run: StoredRun, part: str) -> bool:
    """True if the table of one run can be read to its end."""
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        try:
            connection.execute(_selects([run])[0], {"part": part}).fetchall()
        except duckdb.Error:
            return False
    return True


def _rescue(runs: Iterable[StoredRun], part: str, notices: list[str]) -> pa.Table:
    """The same rows from the journals of runs whose table is missing or damaged."""
    import pyarrow as pa

    from harness.analysis.descriptions import describe_damage
    from harness.analysis.tables import result_rows
    from harness.record.directory import read_run

    rows = []
    for run in runs:
        why = "is damaged" if run.table.exists() else "is not there yet: the run goes on, or was cut short"
        try:
            read = read_run(run.path)
            found = [row for row in result_rows(read) if _is_timed(row, part)]
            damage = describe_damage(read)
            notices.append(
                f"'{run.table}' {why}; {len(found)} times taken from its journal{'; ' if damage else ''}{damage}"
            )
        except UsageError as error:
            notices.append(f"left out: '{run.table}' {why}, and its journal cannot be read ({error})")
            continue
        rows += [
            {"file": str(run.table), "side": row["arm"], "mode": row["mode"] or "hot"}
            | {name: row[name] for name in COLUMNS}
            for row in found
        ]
    fields = [
        (name, pa.float64() if name.endswith("_ns") else pa.string()) for name in ("file", "side", "mode", *COLUMNS)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def _is_timed(row: dict[str, Any], part: str) -> bool:
    """The condition TIMED for a row that DuckDB does not see."""
    return (
        row["kind"] == "speed" and row["outcome"] == "passed" and (row["median_ns"] or 0) > 0
        and not row["proves_nothing"] and not row["slowdown"] and part in row["problem"]
    )  # fmt: skip


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
