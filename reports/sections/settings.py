"""Settings: outcomes by arm, if arms of one backend differ only in settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.analysis import STATUSES
from reports.markdown_syntax import code, escape, section, table
from reports.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness import Analysis
    from harness.analysis import SettingRow


def page(analysis: Analysis) -> dict[str, Any]:
    """Return counts by arm, if arms of one backend differ in settings, with what their libraries use."""
    rows = analysis.settings
    columns = count_columns(rows)
    shown = {
        "columns": columns,
        "rows": [
            (
                row.plain, row.setting or "nothing", row.reported or "not told",
                [(name, row.counts.get(name, 0)) for name in columns],
            )
            for row in rows
        ],
    }  # fmt: skip
    return {"settings": shown}


def markdown(analysis: Analysis) -> Iterator[str]:
    """Yield outcomes by arm, if arms of one backend differ in settings."""
    found = analysis.settings
    if not found:
        return
    columns = count_columns(found)
    rows = [
        [
            escape(row.plain), code(row.setting) if row.setting else "nothing",
            escape(row.reported) or "not told",
            *(str(row.counts.get(name) or "") for name in columns),
        ]
        for row in found
    ]  # fmt: skip
    yield from section("Settings", "Laws by what is set for the backend's processes, and what its libraries say.")
    yield from table(["backend", "set", "libraries use", *columns], rows, numbers=len(columns))


SETTINGS = Section(page=page, markdown=markdown)


def count_columns(rows: Sequence[SettingRow]) -> list[str]:
    """Return the outcomes that occur in rows, in their usual order."""
    return [name for name in STATUSES if any(row.counts.get(name) for row in rows)]
