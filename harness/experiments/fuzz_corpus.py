"""The corpus: cases that failed before, as text files that can be read, versioned and merged.

A folder with one file per backend, NAME.txt, and one line per case: the law's name, a tab, the canonical problem line.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError, UnwritableError, UsageError
from harness.machine.files import read_file
from harness.problems.line import parse_line

DEFAULT_FOLDER = "harness-corpus"


@dataclass(frozen=True, slots=True)
class Case:
    """A law and the canonical line of a problem on which a backend broke it."""

    law: str
    line: str


def open_corpus(folder: str | Path) -> Path:
    """Return the folder of a corpus, which need not exist yet. Raises UsageError if it cannot be a folder."""
    path = Path(folder).expanduser()
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not nearest.is_dir():
        raise UsageError(f"corpus: '{nearest}' is a file, wanted a folder")
    return path


def read_cases(folder: Path, backend: str, laws: Container[str] | None = None) -> tuple[Case, ...]:
    """Return the cases of a backend without duplicates, oldest first; empty if it has no file.

    folder: of the corpus.
    laws: allowed names; None allows any.
    Raises UsageError for a file that cannot be read and, with file and line, for a line that is not a valid case.
    """
    path = case_file(folder, backend)
    try:
        text = read_file(path).decode()
    except FileNotFoundError:
        return ()
    except UnicodeDecodeError as error:
        raise UsageError(f"corpus: {path} is not text: {error}") from None
    except OSError as error:
        raise UsageError(f"corpus: {path} cannot be read: {error.strerror}") from None
    lines = text.split("\n")
    if lines.pop():
        raise UsageError(f"corpus: {path}, line {len(lines) + 1} is torn (no end of line): mend or remove it")
    cases = (_read_line(line, f"{path}, line {number}", laws) for number, line in enumerate(lines, 1))
    return tuple(dict.fromkeys(cases))


def _read_line(line: str, where: str, laws: Container[str] | None) -> Case:
    law, tab, problem = line.partition("\t")
    if not tab or not law or law.split() != [law]:
        raise UsageError(f"corpus: {where}: got '{line[:80]}', wanted a law, a tab and a problem line")
    if laws is not None and law not in laws:
        raise UsageError(f"corpus: {where}: unknown law '{law}'; see `python -m harness list laws`, or give its plugin")
    try:
        return Case(law, parse_line(problem).line)
    except HarnessError as error:
        raise UsageError(f"corpus: {where}: {error}") from None


def append_case(folder: Path, backend: str, case: Case) -> bool:
    """Append a case unless it is there already; return True if it was appended. Raises UsageError as `read_cases` does.

    folder: of the corpus; it is made if needed.
    """
    if case in read_cases(folder, backend):
        return False
    path = case_file(folder, backend)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="\n") as sink:
            sink.write(f"{case.law}\t{case.line}\n")
    except OSError as error:
        raise UnwritableError(f"corpus: {path} cannot be written: {error.strerror}") from None
    return True


def case_file(folder: Path, backend: str) -> Path:
    """Return the file of a backend."""
    return folder / f"{backend.replace('/', '_')}.txt"  # settings may contain paths
