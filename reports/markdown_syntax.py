"""Markdown syntax: tables, escaped text, code, and sections of limited length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.analysis import show_text

LONGEST_TEXT, LONGEST_CODE = 1000, 4000  # characters; code may be a command that is to be copied


def section(title: str, *lines: str) -> Iterator[str]:
    """Begin a section: its heading, and lines that describe its table."""
    yield from ("", f"## {title}", "", *lines, "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """Yield the lines of a table.

    head: headings. rows: escaped cells. numbers: how many columns at the end are right-aligned.
    """
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if n >= len(head) - numbers else '---' for n in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _flatten(text: str, most: int = LONGEST_TEXT) -> str:
    return " ".join(show_text(text, most).split())


def escape(text: str) -> str:
    """Escape text for Markdown and HTML, on one line; it is inert, and shortened if it is very long."""
    flat = _flatten(text).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in flat)


def cell(main: str, note: str = "", *, wrong: bool = False) -> str:
    """Return the escaped text of a cell of a table.

    main: the value. note: follows it in brackets. wrong: True for bold.
    """
    text = escape(f"{main} ({note})" if main and note else main or note)
    return f"**{text}**" if text and wrong else text


def code(text: str) -> str:
    """Return text as a code span, whatever backquotes it contains."""
    flat, fence = _flatten(text, LONGEST_CODE), "`"
    while fence in flat:
        fence += "`"
    edge = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{edge}{flat}{edge}{fence}"


def fit(lines: Iterable[str], what: str, room: int) -> Iterator[str]:
    """Yield the lines that fit into the room, and a note on how many were left out.

    lines: of a section. what: name of the lines in the note. room: in bytes.
    """
    left = 0
    for line in lines:
        room -= len(line.encode())
        if room < 0:
            left += bool(line)
        else:
            yield line
    if left:
        yield from ("", f"There are more {what} than have room here ({left} lines); results.csv has them all.")
