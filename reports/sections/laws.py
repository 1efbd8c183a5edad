"""Laws: numbers of passed and ran applications, by law and backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.analysis import plain_records
from reports.markdown_syntax import cell, escape, section, table
from reports.rows import backend_order
from reports.sections.section import Section
from reports.words import law_words

if TYPE_CHECKING:
    from harness import Analysis


def page(analysis: Analysis) -> dict[str, Any]:
    """Return a row for each law with its formula, and a cell for each backend."""
    results = analysis.results
    found = {(row["law"], row["arm"]): row for row in plain_records(analysis.laws.reset_index())}
    backends = backend_order(results, [backend for _, backend in found])
    rows = []
    for law in dict.fromkeys(law for law, _ in found):
        cells = [found.get((law, backend)) for backend in backends]
        formula = max((cell["formula"] for cell in cells if cell), key=len)
        words = [(*law_words(cell), _law_state(cell)) if cell else ("", "", "") for cell in cells]
        rows.append({"law": law, "formula": formula, "cells": words})
    folds: dict[str, list[dict[str, Any]]] = {"telling": [], "passed": [], "idle": []}
    for row in rows:
        folds[_find_fold({state for _, _, state in row["cells"]})].append(row)
    return {"laws": {"backends": backends, "rows": rows, **folds}}


def _find_fold(states: set[str]) -> str:
    """Return the part of the table with a law: `passed` and `idle` (it did not run) are folded, `telling` is not."""
    if states <= {"", "idle"}:
        return "idle"
    return "passed" if states <= {"", "idle", "good"} else "telling"


def _law_state(cell: dict[str, Any]) -> str:
    if not cell["ran"]:
        return "idle"
    return "bad" if cell["passed"] + cell["proves_nothing"] < cell["ran"] else "good" if cell["passed"] else "open"


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a table of laws; nothing if none was applied."""
    results = analysis.results
    cells = {(row["law"], row["arm"]): row for row in plain_records(analysis.laws.reset_index())}
    if not cells:
        return
    backends = backend_order(results, [backend for _, backend in cells])
    rows = []
    for law in dict.fromkeys(law for law, _ in cells):
        words = [law_words(cells[law, b]) if (law, b) in cells else ("", "") for b in backends]
        rows.append([escape(law), *(cell(main, note) for main, note in words)])
    yield from section("Laws", "Passed of those that ran; `worst` is the largest error in units of its bound.")
    yield from table(["law", *map(escape, backends)], rows, numbers=len(backends))


LAWS = Section(page=page, markdown=markdown)
