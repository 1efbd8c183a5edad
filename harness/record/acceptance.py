"""Findings of a comparison that were accepted beforehand, kept with the run so that every report can tell."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from harness.errors import UsageError
from harness.record.run import Run

FILE = "accepted.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """By number of the cell: what was accepted and why; and why a blessing of the cell does not hold any more."""

    accepted: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def read_acceptance(run: Run) -> Acceptance:
    """What was accepted in a run; nothing where no file says so. Raises UsageError for a damaged one."""
    try:
        return msgspec.json.decode((run.path / FILE).read_bytes(), type=Acceptance)
    except (FileNotFoundError, NotADirectoryError):  # a baseline keeps what was measured, in one file
        return Acceptance()
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"run is torn: '{run.path / FILE}' {error}; wanted it as `gate` wrote it, or absent") from None
