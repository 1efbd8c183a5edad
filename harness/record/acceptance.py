"""Accepted findings of a comparison, stored with the run so that every report can show them."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from harness.errors import DAMAGED, UsageError
from harness.machine.files import read_file
from harness.record.run import Run

FILE = "accepted.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """By cell number: reasons for accepted findings, and reasons why a blessing of the cell is no longer valid.

    accepted: of cells of which all is accepted. partly: of other cells, the accepted verdicts with their reasons.
    """

    accepted: dict[int, str] = field(default_factory=dict)
    partly: dict[int, dict[str, str]] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def read_acceptance(run: Run) -> Acceptance:
    """Read the accepted findings of a run; empty without a file. Raises UsageError if the file is damaged."""
    try:
        return msgspec.json.decode(read_file(run.path / FILE), type=Acceptance)
    except (FileNotFoundError, NotADirectoryError):  # a baseline is a single file with the measurements only
        return Acceptance()
    except (OSError, *DAMAGED) as error:
        raise UsageError(f"run is torn: '{run.path / FILE}' {error}; wanted it as `gate` wrote it, or absent") from None
