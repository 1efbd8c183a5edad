"""The kill matrix as CSV, Markdown and one HTML page: laws as rows, faults as columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.csv_tables import make_cells_inert
from reports.markdown_syntax import escape

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis import KillMatrix

PREFIX = "faulty:"


def kill_frame(matrix: KillMatrix) -> pd.DataFrame:
    """Return one row for every law and fault: whether it was caught, with the problem, outcome and reason."""
    import pandas as pd

    columns = ("law", "fault", "caught", "outcome", "problem", "reason")
    rows = []
    for law in matrix.laws:
        for fault in matrix.faults:
            kill = matrix.kills.get((law, fault))
            told = ("", "", None) if kill is None else (kill.outcome, kill.problem, kill.reason)
            rows.append((law, fault, kill is not None, *told))
    return pd.DataFrame(rows, columns=list(columns)).astype(
        {name: "boolean" if name == "caught" else "string" for name in columns}
    )


def write_csv(matrix: KillMatrix, folder: Path) -> tuple[Path, ...]:
    """Write killmatrix.csv."""
    import pyarrow as pa

    path = folder / "killmatrix.csv"
    table = make_cells_inert(pa.Table.from_pandas(kill_frame(matrix), preserve_index=False))
    table.to_pandas().to_csv(path, index=False, lineterminator="\n")
    return (path,)


def write_markdown(matrix: KillMatrix, folder: Path) -> tuple[Path, ...]:
    """Write killmatrix.md: laws by kills, with the faults that only they catch, and survivors."""
    unique = matrix.unique
    lines = [
        "# Kill matrix", "", f"**{escape(_verdict(matrix))}**", "",
        f"{matrix.tried} applications of {len(matrix.laws)} laws.",
        "", "| law | kills | only killer of |", "|---|---:|---|",
        *(f"| {escape(law)} | {len(matrix.killed(law))} | {_list(unique.get(law, ()))} |" for law in by_kills(matrix)),
        "", "## Faults", "", "| fault | killers | laws |", "|---|---:|---|",
        *(
            f"| {escape(fault)} | {len(matrix.killers(fault))} | {escape(_some(matrix.killers(fault)))} |"
            for fault in matrix.faults
        ),
        "", f"Smallest set of laws that catches all: {_list(matrix.smallest)}.",
    ]  # fmt: skip
    path = folder / "killmatrix.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return (path,)


def write_html(matrix: KillMatrix, folder: Path) -> tuple[Path, ...]:
    """Write killmatrix.html: the matrix as a picture; each field names the problem on which the fault was caught."""
    from reports.html import render

    laws, faults = by_kills(matrix), by_killers(matrix)
    unique = matrix.unique
    context: dict[str, Any] = {
        "title": "Kill matrix", "text": _verdict(matrix), "state": "bad" if matrix.survivors else "good",
        "tried": matrix.tried, "laws": len(matrix.laws), "survivors": matrix.survivors, "idle": matrix.idle,
        "smallest": matrix.smallest, "faults": [fault.removeprefix(PREFIX) for fault in faults], "figures": {},
        "rows": [
            {
                "law": law, "kills": len(matrix.killed(law)),
                "alone": [fault.removeprefix(PREFIX) for fault in unique.get(law, ())],
                "fields": [_field(matrix, law, fault) for fault in faults],
            }
            for law in laws
        ],
    }  # fmt: skip
    return render("kills.html.j2", folder / "killmatrix.html", context)


def by_kills(matrix: KillMatrix) -> list[str]:
    """Sort laws by decreasing number of caught faults."""
    return sorted(matrix.laws, key=lambda law: -len(matrix.killed(law)))


def by_killers(matrix: KillMatrix) -> list[str]:
    """Sort faults by increasing number of laws that catch them."""
    return sorted(matrix.faults, key=lambda fault: len(matrix.killers(fault)))


def _field(matrix: KillMatrix, law: str, fault: str) -> tuple[str, str]:
    """Class and text of one field."""
    kill = matrix.kills.get((law, fault))
    if kill is None:
        return "", ""
    alone = len(matrix.killers(fault)) == 1
    return "only" if alone else "kill", f"{law} on {fault}: {kill.problem}"


def _verdict(matrix: KillMatrix) -> str:
    caught = len(matrix.faults) - len(matrix.survivors)
    lives = f"; {', '.join(matrix.survivors)} survive" if matrix.survivors else ", none survives"
    return f"{caught} of {len(matrix.faults)} planted faults are caught{lives}"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(map(escape, names))


def _some(laws: tuple[str, ...], most: int = 6) -> str:
    more = f" and {len(laws) - most} more" if len(laws) > most else ""
    return ", ".join(laws[:most]) + more
