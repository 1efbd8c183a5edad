"""Tables of a run as pandas frames, for notebooks and programs.

Each function takes a run, or its analysis if there is one, so that nothing is computed twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Analysis, analyse
from harness.analysis import comparison_frame as comparison_frame

if TYPE_CHECKING:
    import pandas as pd

    from harness import Run


def frame(of: Run | Analysis) -> pd.DataFrame:
    """Return one row for each result, with the columns, order and dtypes of RESULT_COLUMNS."""
    return _take(of, "results")


def samples_frame(of: Run | Analysis) -> pd.DataFrame:
    """Return one row for each raw sample, with the columns SAMPLE_COLUMNS; `cell` joins it to `frame`."""
    return _take(of, "samples")


def blocks_frame(of: Run | Analysis) -> pd.DataFrame:
    """Return one row for each block of samples, with the columns BLOCK_COLUMNS; `cell` joins it to `frame`."""
    return _take(of, "blocks")


def networks_frame(of: Run | Analysis) -> pd.DataFrame:
    """Return one row for each network, input and backend, with the columns NETWORK_COLUMNS."""
    return _take(of, "networks")


def verdicts_frame(of: Run | Analysis) -> pd.DataFrame:
    """Return one row for each cell of an arm that has a base, worst first, with the columns VERDICT_COLUMNS.

    Raises KeyError if the run compared no arms.
    """
    return _take(of, "verdicts")


def _take(of: Run | Analysis, name: str) -> pd.DataFrame:
    made = (of if isinstance(of, Analysis) else analyse(of)).frame(name)
    return made.copy() if name == "results" else made
