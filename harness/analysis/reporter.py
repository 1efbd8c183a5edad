"""Reporter: one output format, registered by a plugin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.problems.validation import check_callable, check_type, check_word

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis
    from harness.analysis.history.series import History
    from harness.analysis.kill_matrix import KillMatrix
    from harness.analysis.run_comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """One output format: writes a run into files.

    write: takes the Analysis of a run and an output folder; returns the paths of the files that it wrote.
    write_comparison: the same for a comparison of two runs; None if the format does not support it.
    write_kills: the same for a kill matrix. write_history: the same for a history of many runs.
    default: True if the format is written when no format is named.
    """

    name: str
    description: str
    write: Callable[[Analysis, Path], tuple[Path, ...]]
    write_comparison: Callable[[Comparison, Path], tuple[Path, ...]] | None = None
    write_kills: Callable[[KillMatrix, Path], tuple[Path, ...]] | None = None
    write_history: Callable[[History, Path], tuple[Path, ...]] | None = None
    default: bool = True

    def __post_init__(self) -> None:
        """Check the fields now instead of at the end of a run. Raises UsageError."""
        check_word("Reporter name", self.name)
        what = f"reporter '{self.name}'"
        check_type(f"{what}, description", self.description, str, "a text")
        check_callable(
            f"{what}, write",
            self.write,
            "a function of a harness.Analysis and a folder that returns the paths it wrote",
        )
        for name in ("write_comparison", "write_kills", "write_history"):
            if getattr(self, name) is not None:
                check_callable(f"{what}, {name}", getattr(self, name), "a function, or None")
        check_type(f"{what}, default", self.default, bool, "True or False")
