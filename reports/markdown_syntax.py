"""Markdown that shows any text as it is: tables, escaped text, code, and a section that has only so much room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def section(title: str, *lines: str) -> Iterator[str]:
    """Begin a section: its heading, and what its table shows."""
    yield from ("", f"## {title}", "", *lines, "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """Make a table; the last `numbers` columns are right-aligned."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if n >= len(head) - numbers else '---' for n in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def escape(text: str) -> str:
    """Text that Markdown and HTML leave alone, on one line."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in flat)


def cell(main: str, note: str = "", *, wrong: bool = False) -> str:
    """Escaped text of a table's cell, with a note in brackets behind it; bold where it is wrong."""
    text = escape(f"{main} ({note})" if main and note else main or note)
    return f"**{text}**" if text and wrong else text


def code(text: str) -> str:
    """Text as a code span, whatever quotes it has."""
    flat, fence = " ".join(text.split()), "`"
    while fence in flat:
        fence += "`"
    edge = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{edge}{flat}{edge}{fence}"


def fit(lines: Iterable[str], what: str, room: int) -> Iterator[str]:
    """Give the lines as long as there is room for them, and how many were left out."""
    left = 0
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            left += bool(line)
        else:
            yield line
    if left:
        yield from ("", f"There are more {what} than have room here ({left} lines); results.csv has them all.")
