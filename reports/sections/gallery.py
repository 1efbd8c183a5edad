"""Gallery: pictures shown by laws, as a table of their figures, and as a page that compares all backends.

Only results with the pictures RESULT and DIFFERENCE among their attachments appear; a PHOTOGRAPH is shown once,
from any result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis import describe_incomplete
from reports.html import render
from reports.markdown_syntax import cell, escape, section, table
from reports.number_format import count, format_number, shorten
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis, Attachments, Picture, Result, Run

PHOTOGRAPH, RESULT, DIFFERENCE, KERNEL = "photograph", "result", "difference", "kernel"
SUM, WANTED, GOT = "sum of the kernel", "brightness wanted", "brightness got"
LARGEST, UNITS = "largest difference", "largest difference in units of its bound"
NEEDS_PILLOW = "Pictures need Pillow, which is not installed: pip install 'conv-harness[learn]'"
LONGEST_REASON = 160
DIGITS = 4  # of a brightness


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A law with pictures on one problem: the attachments of one backend, and the results of all that ran.

    title: the law, with the problem if there are several.
    """

    law: str
    title: str
    formula: str
    problem: str
    attachments: Attachments
    results: dict[str, Result]


def gallery_rows(run: Run) -> list[Row]:
    """Return laws and problems with pictures, in the order of the run."""
    from harness.record import RAN

    found: dict[tuple[str, str], dict[str, Result]] = {}
    shown = {
        result.law for result in run.results
        if result.deviation is not None and result.deviation.attachments is not None and _pictures(result)
    }  # fmt: skip
    for result in run.results if shown else ():
        if result.law in shown and result.outcome in RAN and result.law:
            found.setdefault((result.law, result.problem), {})[result.arm] = result
    rows, often = [], Counter(law for law, _ in found)
    for (law, problem), results in found.items():
        first = next((result for result in results.values() if _pictures(result)), None)
        if first is not None and (attachments := first.attachments) is not None:
            title = f"{law}: {problem}" if often[law] > 1 else law
            row = Row(
                law=law, title=title, formula=first.formula, problem=problem, attachments=attachments, results=results
            )
            rows.append(row)
    return rows


def gallery_backends(rows: Iterable[Row]) -> list[str]:
    """Return the backends of any of these rows."""
    return list(dict.fromkeys(name for row in rows for name in row.results))


def _pictures(result: Result) -> dict[str, Picture]:
    """Pictures of a result if it has both RESULT and DIFFERENCE, else none."""
    attachments = result.attachments
    pictures = {} if attachments is None else attachments.pictures
    return pictures if RESULT in pictures and DIFFERENCE in pictures else {}


def field_words(result: Result | None) -> tuple[str, str, bool]:
    """Return one field of the table: brightness, worst difference over its bound, and True if all is well."""
    if result is None:
        return "", "", True
    well = result.outcome == "passed"
    attachments = result.attachments
    if attachments is None:
        return result.outcome, shorten(result.reason or "", LONGEST_REASON), well
    figures = attachments.figures
    units = f"worst {format_number(figures[UNITS], 2)}" if UNITS in figures else ""
    return (_bright(figures[GOT]) if GOT in figures else result.outcome), units, well


def _bright(value: float) -> str:
    """Format a brightness; 0 for values within rounding of it."""
    return format_number(value, DIGITS) if not abs(value) < 10.0**-DIGITS else "0"


def row_words(row: Row) -> tuple[str, str]:
    """Return the sum of the kernel and the brightness that it requires, empty if the law has no such figures."""
    figures = row.attachments.figures
    return (
        f"{figures[SUM]:.{DIGITS}g}" if SUM in figures else "",
        _bright(figures[WANTED]) if WANTED in figures else "",
    )  # fmt: skip


def page(analysis: Analysis) -> dict[str, Any]:
    """Return the table for the run's page, a link to the gallery, and a note if Pillow is missing."""
    rows = gallery_rows(analysis.run)
    backends = gallery_backends(rows)
    shown = {
        "backends": backends, "page": "gallery.html", "needs": "" if can_paint() else NEEDS_PILLOW,
        "rows": [
            {"title": row.title, "formula": row.formula, "words": row_words(row),
             "fields": [field_words(row.results.get(name)) for name in backends]}
            for row in rows
        ],
    }  # fmt: skip
    return {"gallery": shown}


def can_paint() -> bool:
    """Return True if Pillow is installed, which encodes pictures."""
    try:
        import PIL.Image  # noqa: F401
    except ImportError:
        return False
    return True


def encode(picture: Picture) -> str:
    """Encode a picture as a PNG in a data URI."""
    import base64
    import io

    from PIL import Image

    height, width = picture.shape[:2]
    mode = "L" if len(picture.shape) == 2 else "RGB"
    data = io.BytesIO()
    Image.frombytes(mode, (width, height), picture.pixels).save(data, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write gallery.html if results have pictures and Pillow is installed."""
    run = analysis.run
    rows = gallery_rows(run)
    if not rows or not can_paint():
        return ()
    return render("gallery.html.j2", folder / "gallery.html", _context(run, rows))


def _context(run: Run, rows: list[Row]) -> dict[str, Any]:
    results = [result for row in rows for result in row.results.values()]
    wrong = sum(result.outcome != "passed" for result in results)
    photograph = next((shown[PHOTOGRAPH] for shown in map(_pictures, results) if PHOTOGRAPH in shown), None)
    many = f"{wrong} of {count(len(results), 'picture')} {'is' if wrong == 1 else 'are'} wrong"
    verdict = many if wrong else "Every picture is right"
    height, width = rows[0].attachments.pictures[RESULT].shape[:2]
    return {
        "title": f"Run {run.path.name}", "state": "bad" if wrong else "good", "text": verdict,
        "incomplete": describe_incomplete(run),
        "photograph": encode(photograph) if photograph else "", "width": width, "height": height,
        "rows": [_row_context(row, gallery_backends(rows)) for row in rows], "figures": {},
        "left_out": _left_out(run, gallery_backends(rows), {row.law for row in rows}),
    }  # fmt: skip


def _row_context(row: Row, backends: Iterable[str]) -> dict[str, Any]:
    kernel = row.attachments.matrices.get(KERNEL, ())
    total, wanted = row_words(row)
    return {
        "law": row.law, "formula": row.formula, "problem": row.problem, "sum": total, "wanted": wanted,
        "kernel": [[f"{value:.3f}".rstrip("0").rstrip(".") for value in line] for line in kernel],
        "fields": [_field_context(row.results[name]) for name in backends if name in row.results],
    }  # fmt: skip


def _field_context(result: Result) -> dict[str, Any]:
    pictures, attachments = _pictures(result), result.attachments
    figures = attachments.figures if attachments else {}
    words, units, well = field_words(result)
    return {
        "backend": result.arm, "outcome": result.outcome, "well": well, "bright": words if pictures else "",
        "units": units if pictures else "", "white": format_number(figures[LARGEST], 2) if LARGEST in figures else "",
        "result": encode(pictures[RESULT]) if pictures else "",
        "difference": encode(pictures[DIFFERENCE]) if pictures else "",
        "reason": "" if well else shorten(result.reason or "", LONGEST_REASON),
    }  # fmt: skip


def _left_out(run: Run, shown: Iterable[str], laws: Iterable[str]) -> dict[str, str]:
    """Backends without a result for these laws, with their reasons."""
    return {
        result.arm: f"{result.outcome}: {run.unavailable.get(result.arm) or result.reason or ''}".removesuffix(": ")
        for result in run.results if result.law in laws and result.arm not in shown
    }  # fmt: skip


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield brightness and differences of the pictures of each kernel; nothing without pictures."""
    found = gallery_rows(analysis.run)
    if not found:
        return
    backends = gallery_backends(found)
    yield from section(
        "Gallery",
        "Brightness of a photograph under each kernel, which follows its sum, and the largest difference of a pixel",
        "from the reference in units of its bound. Bold: wrong. The HTML report shows the pictures.",
    )
    rows = []
    for row in found:
        shown = (field_words(row.results.get(name)) for name in backends)
        cells = [cell(main, note, wrong=not well) for main, note, well in shown]
        rows.append([escape(row.title), *row_words(row), *cells])
    head = ["law", "sum", "brightness wanted", *map(escape, backends)]
    yield from table(head, rows, numbers=len(head) - 1)


GALLERY = Section(page=page, markdown=markdown)
