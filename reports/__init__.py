"""Reports of a run for people and programs: pandas frames, CSV and Markdown tables, Parquet files, HTML pages.

In a notebook: `reports.frame(harness.load("RUN"))`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.frames import blocks_frame, comparison_frame, frame, networks_frame, samples_frame, verdicts_frame

__all__ = ["blocks_frame", "comparison_frame", "frame", "networks_frame", "samples_frame", "verdicts_frame"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that pandas is loaded only where it is needed."""
    if name not in __all__:
        raise AttributeError(f"module 'reports' has no attribute '{name}'")
    from reports import frames

    return getattr(frames, name)


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
