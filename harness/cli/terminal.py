"""Output of commands to a terminal: no text of a backend, a plugin or a file acts there, and none is too long."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.analysis.inert_text import make_inert, show_text
from harness.cli.saying import LONGEST_LINE

LEAST_COLUMNS = 40  # of a terminal; in fewer a table has no room, and COLUMNS=0 would print nothing at all
LEAST_WIDTH = 240  # of files and pipes, so that no table is cut
LONGEST_CELL = 400  # characters of a cell of a table


class InertConsole(Console):
    """A console on which every text is inert; colours come from its markup alone."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Render text as rich does, after it was made inert and without pictures for words such as :bug:."""
        return super().render_str(show_text(text, LONGEST_LINE), **{"emoji": False, **options})


class InertTable(Table):
    """A table whose cells are shortened."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row. Text may have markup, which is read before it is cut."""
        super().add_row(*(_cut(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def _cut(cell: str) -> str | Text:
    if len(cell) <= LONGEST_CELL:
        return cell
    text = Text.from_markup(make_inert(cell), emoji=False)
    text.truncate(LONGEST_CELL, overflow="ellipsis")
    return text


def open_console(*, error: bool = False) -> InertConsole:
    """Return a console as wide as the terminal; for files and pipes, wide enough that no table is cut.

    error: True for standard error.
    """
    console = InertConsole(highlight=False, stderr=error)
    least = LEAST_COLUMNS if console.is_terminal else LEAST_WIDTH
    return console if console.width >= least else InertConsole(highlight=False, stderr=error, width=least)


def plain_table(*columns: str, numbers: int = 0) -> Table:
    """Return a table without lines; the last `numbers` columns are right-aligned."""
    table = InertTable(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), collapse_padding=True
    )
    for position, column in enumerate(columns):
        right = position >= len(columns) - numbers
        words = max(map(len, column.split()), default=0)
        table.add_column(column, justify="right" if right else "left", overflow="fold", min_width=min(words, 40))
    return table
