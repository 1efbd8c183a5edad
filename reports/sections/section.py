"""Section: one part of the report of a run, for the page and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness import Analysis


def nothing(analysis: Analysis) -> Iterator[str]:
    """Return no lines, for a section of the page only."""
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of a report.

    page: variables of the template `run.html.j2`, with a place for every section; all `figures` are merged.
    markdown: lines of the document; none if there is nothing to show.
    lines: name of the lines in the note if they are cut to fit; empty if the section is always short.
    share: the section gets the room of a long section, divided by this number.
    """

    page: Callable[[Analysis], dict[str, Any]]
    markdown: Callable[[Analysis], Iterator[str]] = nothing
    lines: str = ""
    share: int = 1
