"""Declared semantics: observed behaviour of backends where they have a choice and must declare it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reports.markdown_syntax import cell, escape, section, table
from reports.number_format import shorten
from reports.rows import semantics_rows
from reports.sections.section import Section

if TYPE_CHECKING:
    from harness import Analysis

LONGEST_VALUE = 90  # characters of one observed value


def page(analysis: Analysis) -> dict[str, Any]:
    """Return a row for each law, with a cell of its values for each backend."""
    backends, found = semantics_rows(analysis.results, analysis.semantics)
    rows = [
        {
            "law": row.law, "formula": row.formula, "differs": row.differs,
            "cells": [
                ([shorten(value, LONGEST_VALUE) for value in values], "bad" if wrong else "")
                for values, wrong in (row.cells.get(name, ((), False)) for name in backends)
            ],
        }
        for row in found
    ]  # fmt: skip
    shown = {"backends": backends, "rows": rows, "differing": sum(row.differs for row in found)}
    return {"semantics": shown}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield a table of observations; nothing if no law checks a declaration."""
    backends, found = semantics_rows(analysis.results, analysis.semantics)
    if not found:
        return
    yield from section(
        "Declared semantics",
        "What each backend was seen to do where it may choose and must say so; the most frequent value first.",
        "`differs`: not all do the same on the same problem. Bold: not what the backend declares, or wrong.",
    )
    rows = []
    for row in found:
        shown = (row.cells.get(name, ((), False)) for name in backends)
        cells = [cell("; ".join(shorten(value, LONGEST_VALUE) for value in values), wrong=bad) for values, bad in shown]
        rows.append([escape(row.law), "yes" if row.differs else "", *cells])
    yield from table(["law", "differs", *map(escape, backends)], rows, numbers=0)


SEMANTICS = Section(page=page, markdown=markdown)
