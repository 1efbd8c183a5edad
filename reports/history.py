"""The history of many runs as CSV and as one page: a figure for each series, drawn when it becomes visible."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.csv_tables import make_cells_inert
from reports.number_format import count, format_percent

if TYPE_CHECKING:
    import pyarrow as pa

    from harness.analysis import History, Series, Shift

MOST_FIGURES = 200
DIGITS = 5  # significant digits of times in the page
KEY = ("backend", "problem", "mode", "environment")


def write_csv(history: History, folder: Path) -> tuple[Path, ...]:
    """Write history.csv, with a row for every point, and changes.csv, with a row for every change."""
    from pyarrow import csv

    tables = {"history": points_table(history), "changes": changes_table(history)}
    for name, table in tables.items():
        csv.write_csv(make_cells_inert(table), folder / f"{name}.csv", csv.WriteOptions(quoting_style="needed"))
    return tuple(folder / f"{name}.csv" for name in tables)


def points_table(history: History) -> pa.Table:
    """Return one row for every point: its series, its index, its source, and the time with its interval."""
    import numpy as np
    import pyarrow as pa

    lengths = [len(one) for one in history.series]
    numbers = np.repeat(np.arange(len(lengths)), lengths)
    chosen = _join([one.sources for one in history.series])
    columns: dict[str, Any] = {
        name: pa.array([getattr(one.key, name) for one in history.series], pa.string()).take(pa.array(numbers))
        for name in KEY
    }
    columns["point"] = _join([np.arange(length) for length in lengths])
    told = {
        "revision": [one.revision for one in history.sources], "dirty": [one.dirty for one in history.sources],
        "created": [one.created for one in history.sources],
        "run": [str(one.run.path.relative_to(history.folder)) for one in history.sources],
    }  # fmt: skip
    for name, values in told.items():
        kind = pa.bool_() if name == "dirty" else pa.string()
        columns[name] = pa.array(values, kind).take(pa.array(chosen, pa.int64()))
    for name in ("median_ns", "low_ns", "high_ns"):
        columns[name] = _join([getattr(one, name) for one in history.series])
    return pa.table(columns)


def _join(columns: Sequence[Any]) -> Any:
    import numpy as np

    return np.concatenate(columns) if columns else np.empty(0)


def changes_table(history: History) -> pa.Table:
    """Return one row for every change, the largest first: series, range of commits, and ratio of the levels."""
    import pyarrow as pa

    kinds = {"point": pa.int64(), "inside": pa.bool_(), **dict.fromkeys(("ratio", "low", "high", "p"), pa.float64())}
    names = (*KEY, "point", "good", "bad", "inside", "since", "ratio", "low", "high", "p")
    rows = [
        {name: getattr(one.key, name) for name in KEY} | {
            "point": shift.change.at, "good": shift.good.revision if shift.good else "", "bad": shift.bad.revision,
            "inside": shift.inside, "since": shift.first.created, "ratio": shift.change.ratio.value,
            "low": shift.change.ratio.low, "high": shift.change.ratio.high, "p": shift.change.p,
        }
        for one, shift in list_shifts(history)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(name, pa.string())) for name in names]))


def list_shifts(history: History) -> list[tuple[Series, Shift]]:
    """Return all changes with their series, the largest first."""
    found = [(one, shift) for one in history.series for shift in (history.shifts or {}).get(one.key, ())]
    return sorted(found, key=lambda pair: -pair[1].size)


def write_html(history: History, folder: Path) -> tuple[Path, ...]:
    """Write history.html."""
    from reports.html import render

    shifts = list_shifts(history)
    shown = choose_series(history)
    places = {one.key: number for number, one in enumerate(shown)}
    judged = len(history.series) - history.short
    text = f"{count(len(shifts), 'change')} in {judged} series" if shifts else f"No change in {judged} series"
    context = {
        "title": "History", "text": text, "state": "open" if shifts else "good", "short": history.short,
        "points": sum(map(len, history.series)), "runs": history.runs, "notices": history.notices,
        "environments": history.environments, "more": len(history.series) - len(shown), "most": MOST_FIGURES,
        "shifts": [
            {
                "commits": shift.commits, "since": shift.first.created, "backend": one.key.backend,
                "problem": one.key.problem, "mode": one.key.mode, "environment": one.key.environment,
                "change": f"{'+' if shift.change.ratio.value > 1 else '−'}"
                          f"{format_percent(abs(shift.change.ratio.value - 1))}",
                "slower": shift.change.ratio.value > 1, "ratio": f"{shift.change.ratio.value:.3f}",
                "interval": f"{shift.change.ratio.low:.3f} to {shift.change.ratio.high:.3f}",
                "place": places.get(one.key),
            }
            for one, shift in shifts
        ],
        "figures": pack(history, shown),
    }  # fmt: skip
    return render("history.html.j2", folder / "history.html", context)


def choose_series(history: History) -> list[Series]:
    """Return the series that get a figure: those with most changes first, then the longest."""
    shifts = history.shifts or {}
    return sorted(history.series, key=lambda one: -len(shifts.get(one.key, ())))[:MOST_FIGURES]


def pack(history: History, shown: Sequence[Series]) -> dict[str, Any]:
    """Return the data of the page: each source once, and series as columns; empty if there is no point."""
    if not shown:
        return {}
    used = sorted({number for one in shown for number in one.sources.tolist()})
    place = {number: at for at, number in enumerate(used)}
    told = [history.sources[number] for number in used]
    return {
        "sources": [[one.commit, one.created, str(one.run.path.relative_to(history.folder))] for one in told],
        "series": [_pack_series(one, place, (history.shifts or {}).get(one.key, ())) for one in shown],
    }


def _pack_series(series: Series, place: dict[int, int], shifts: Sequence[Shift]) -> dict[str, Any]:
    import numpy as np

    edges = [0, *(shift.change.at for shift in shifts), len(series)]
    return {
        **{name: getattr(series.key, name) for name in KEY},
        "source": [place[number] for number in series.sources.tolist()],
        **{name: _short(getattr(series, f"{name}_ns")) for name in ("median", "low", "high")},
        "levels": [
            [begin, end, _short(np.median(series.median_ns[begin:end], keepdims=True))[0]]
            for begin, end in itertools.pairwise(edges)
        ],
        "shifts": [
            [one.earliest, one.at, one.latest, round(one.ratio.value, 4), shift.commits]
            for shift in shifts
            for one in (shift.change,)
        ],
    }  # fmt: skip


def _short(times_ns: Any) -> list[float]:
    """Times in ms with DIGITS significant digits."""
    return [float(f"{value / 1e6:.{DIGITS}g}") for value in times_ns.tolist()]
