"""Planted faults against laws."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from harness.analysis.kill_matrix import KillMatrix
from harness.api.comparing import load_all
from harness.experiments.kill_matrix import MOST, choose_faults, choose_laws, list_files, make_matrix
from harness.experiments.kill_record import check_record, identify_hunt, open_record


def killmatrix(
    *sources: str, backends: Sequence[str] = (), laws: Sequence[str] = (), quick: bool = False, most: int = MOST,
    jobs: int = 2, plugins: Sequence[str] = (), without: Sequence[str] = (),
    output: str | Path | None = None, resume: str | Path | None = None,
) -> KillMatrix:  # fmt: skip
    """Apply laws to planted faults, as `python -m harness killmatrix`; `.survivors` names faults that no law catches.

    sources: folders and files with backends whose names begin with "faulty:". backends: try only these.
    laws: names, by default those of the suite correctness. quick: stop at the first law that catches a fault.
    most: number of problems on which a law is tried at first. jobs: number of faults tried in parallel.
    plugins, without: as in `run`. output: folder of a record, with which an interrupted matrix goes on.
    resume: folder of such a record, begun with the same arguments; only what is missing is asked.
    Raises UsageError if there is no fault, or if the record cannot go on.
    """
    kept = check_record(output, resume)
    files = (*list_files(sources), *plugins)
    registry = load_all(files, without)
    faults = choose_faults(registry, sources, backends)
    wanted = [registry.law(name).name for name in laws]
    identity = identify_hunt(faults, choose_laws(registry, wanted), files, without, quick=quick, most=most)
    command = f"harness.killmatrix({', '.join(map(repr, sources))})"
    record = open_record(kept, faults, identity, command, resume=resume is not None)
    with tempfile.TemporaryDirectory() as folder, closing(record):
        return make_matrix(
            registry, faults, wanted, Path(folder), plugins=files, quick=quick, most=most, jobs=jobs, record=record
        )
