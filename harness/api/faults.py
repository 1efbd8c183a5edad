"""Planted faults against laws."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.analysis.kill_matrix import KillMatrix
from harness.api.comparing import load_all
from harness.experiments.kill_matrix import MOST, choose_faults, list_files, make_matrix


def killmatrix(
    *sources: str, backends: Sequence[str] = (), laws: Sequence[str] = (), quick: bool = False, most: int = MOST,
    jobs: int = 2, plugins: Sequence[str] = (), without: Sequence[str] = (),
) -> KillMatrix:  # fmt: skip
    """Apply laws to planted faults, as `python -m harness killmatrix`; `.survivors` names faults that no law catches.

    sources: folders and files with backends whose names begin with "faulty:". backends: try only these.
    laws: names, by default those of the suite correctness. quick: stop at the first law that catches a fault.
    most: number of problems on which a law is tried at first. jobs: number of faults tried in parallel.
    plugins, without: as in `run`.
    Raises UsageError if there is no fault.
    """
    files = (*list_files(sources), *plugins)
    registry = load_all(files, without)
    faults = choose_faults(registry, sources, backends)
    wanted = [registry.law(name).name for name in laws]
    with tempfile.TemporaryDirectory() as folder:
        return make_matrix(
            registry, faults, wanted, Path(folder), plugins=files, quick=quick, most=most, jobs=jobs
        )  # fmt: skip
