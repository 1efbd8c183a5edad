"""Arithmetic: effective bits, and the class of sums measured by probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reports.markdown_syntax import cell, escape, section, table
from reports.rows import arithmetic_rows
from reports.sections.section import Section
from reports.words import arithmetic_words

if TYPE_CHECKING:
    from harness import Analysis


def page(analysis: Analysis) -> dict[str, Any]:
    """Return a row for each operator and dtype, with bits and class for each backend."""
    backends, found = arithmetic_rows(analysis.results, analysis.arithmetic)
    groups: dict[str, list[tuple[str, list[tuple[str, str, str]]]]] = {}
    for row in found:
        words = [arithmetic_words(row.cells[name]) if name in row.cells else ("", "", True) for name in backends]
        cells = [(main, note, "" if well else "bad") for main, note, well in words]
        groups.setdefault(row.operator, []).append((row.dtype, cells))
    return {"arithmetic": {"backends": backends, "groups": groups}}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a table of effective bits; nothing if no comparison rounds."""
    backends, found = arithmetic_rows(analysis.results, analysis.arithmetic)
    if not found:
        return
    yield from section(
        "Arithmetic",
        "Fewest effective bits over all comparisons with the float64 reference on normal and uniform data, and what",
        "probes measured: the significand that survives in inputs → in sums.",
        "Bold: not what the backend declares, or beyond a bound.",
    )
    rows = []
    for row in found:
        shown = (arithmetic_words(row.cells[b]) if b in row.cells else ("", "", True) for b in backends)
        cells = [cell(main, note, wrong=not well) for main, note, well in shown]
        rows.append([escape(row.operator), escape(row.dtype), *cells])
    yield from table(["operator", "dtype", *map(escape, backends)], rows, numbers=len(backends))


ARITHMETIC = Section(page=page, markdown=markdown)
