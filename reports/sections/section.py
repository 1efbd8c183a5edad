"""The section: one part of the report of a run, for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis


def nothing(analysis: Analysis) -> Iterator[str]:
    """Return no line: a section of the page alone."""
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report.

    page: variables of the template `run.html.j2`, in which every section has its place; figures by id are added up.
    markdown: lines of the document; none where there is nothing to show.
    lines: what the lines are called where they are cut to fit; empty where they are short.
    share: the section may have one part in so many of the room of a long section.
    """

    page: Callable[[Analysis], dict[str, Any]]
    markdown: Callable[[Analysis], Iterator[str]] = nothing
    lines: str = ""
    share: int = 1
