"""Write the acceptance of a comparison: which of its findings the repository's blessings accept."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.analysis.gate_report import GateReport
from harness.analysis.verdicts import Judgement
from harness.gating.blessings import describe_blessing, find_blessing, read_blessings, revision_of
from harness.record.acceptance import FILE, Acceptance


def write_acceptance(report: GateReport, repository: Path | None) -> Acceptance:
    """Look up the repository's blessings for every slower or missing cell; store and return the answers.

    Nothing is written if the repository has no blessings.
    """
    blessings = () if repository is None else read_blessings(repository)
    found = Acceptance()
    for cell in report.cells if blessings else ():
        if cell.base is None or cell.finding not in ("SLOWER", "MISSING"):
            continue
        assert repository is not None
        base, head = (revision_of(report.run, one.arm) for one in (cell.base, cell.new))
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
    return found
