"""The reporter: one output format, registered by a plugin."""

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
    """One output format: writes what a run says into a file.

    write: takes the Analysis of a run and the folder to write into; returns the paths that it wrote.
    write_comparison: the same for a comparison of two runs, None where the format has no such thing.
    write_kills: the same for a kill matrix.
    write_history: the same for the history of many runs.
    default: whether it is written where no format is asked for.
    """

    name: str
    description: str
    write: Callable[[Analysis, Path], tuple[Path, ...]]
    write_comparison: Callable[[Comparison, Path], tuple[Path, ...]] | None = None
    write_kills: Callable[[KillMatrix, Path], tuple[Path, ...]] | None = None
    write_history: Callable[[History, Path], tuple[Path, ...]] | None = None
    default: bool = True

    def __post_init__(self) -> None:
        """Refuse what would fail only when a run has ended."""
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
