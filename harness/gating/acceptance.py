"""Write the acceptance of a comparison: which of its findings the repository's blessings accept."""

from __future__ import annotations

from pathlib import Path

import msgspec

from harness.analysis.gate_report import GateReport
from harness.gating.blessings import describe_blessing, find_blessing, read_blessings, revision_of
from harness.record.acceptance import FILE, Acceptance


def write_acceptance(report: GateReport, repository: Path | None) -> Acceptance:
    """Look up the repository's blessings for everything that fails a cell that is right; store and return the answers.

    Nothing is written if the repository has no blessings.
    """
    blessings = () if repository is None else read_blessings(repository)
    found = Acceptance()
    for cell in report.cells if blessings else ():
        if cell.base is None or not cell.seen:
            continue
        assert repository is not None
        base, head = (revision_of(report.run, one.arm) for one in (cell.base, cell.new))
        accepted: dict[str, str] = {}
        refused: list[str] = []
        for seen in cell.seen:
            one, why = find_blessing(blessings, cell.backend, cell.new.problem, seen, base, head, repository)
            if one is not None:
                accepted[seen.verdict] = describe_blessing(one)
            elif why:
                refused.append(why)
        if len(accepted) == len(cell.seen):
            found.accepted[cell.new.cell] = "; ".join(accepted.values())
        elif accepted:
            found.partly[cell.new.cell] = accepted
        if refused:
            found.refused[cell.new.cell] = "; ".join(refused)
    if blessings:
        (report.run.path / FILE).write_bytes(msgspec.json.encode(found))
    return found
