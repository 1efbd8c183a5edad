"""Records: results and runs, the journal, archives and baselines, and the environment.

`harness` names runs and results; other names of this room for plugins are public here.

`OUTCOMES`: all outcomes of a cell, in the order in which reports list them.
`CANNOT_TELL`: begin of the reason of a cell that is skipped and makes the exit code 5.
`RAN`: outcomes of a cell that was executed. `WRONG`: outcomes that make a backend wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.record.run import CANNOT_TELL, OUTCOMES, RAN, WRONG, Peak
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "run": "CANNOT_TELL OUTCOMES Peak RAN WRONG",
        },
    )

__all__ = [
    "CANNOT_TELL", "OUTCOMES", "RAN", "WRONG", "Peak",
]  # fmt: skip
