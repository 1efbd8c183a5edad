"""Which findings of a comparison were accepted beforehand, kept with the run so that its reports say it anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from harness.errors import UsageError
from harness.record.run import Run

if TYPE_CHECKING:
    from harness.analysis.gate_report import GateReport

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


def write_acceptance(report: GateReport, repository: Path | None) -> None:
    """Ask the repository's blessings about every cell that is slower or missing, and keep the answers."""
    from harness.analysis.verdicts import Judgement
    from harness.gating.blessings import describe_blessing, find_blessing, read_blessings, revision_of

    blessings = () if repository is None else read_blessings(repository)
    found = Acceptance()
    for cell in report.cells if blessings else ():
        if cell.base is None or cell.finding not in ("SLOWER", "MISSING"):
            continue
        assert repository is not None
        base, head = (revision_of(report.run, one.backend) for one in (cell.base, cell.new))
        judgement = cell.judgement or Judgement(verdict="MISSING")
        blessing, why = find_blessing(
            blessings, cell.backend, cell.new.problem, judgement, base, head, repository
        )  # fmt: skip
        if blessing is not None:
            found.accepted[cell.new.cell] = describe_blessing(blessing)
        elif why:
            found.refused[cell.new.cell] = why
    if blessings:
        (report.run.path / FILE).write_bytes(msgspec.json.encode(found))
