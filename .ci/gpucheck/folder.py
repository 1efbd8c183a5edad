"""Output folder: a summary, all results, and archives, rewritten after every part."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpucheck.schedule import Ended

MOST_BYTES = 16 * 2**20  # of a file
MOST_FILES = 8
COPIES = {"covering": "correctness.md", "layers": "speed.md"}  # reports that are copied to separate files


def write_folder(output: Path, work: Path, facts: dict[str, Any], ended: Sequence[Ended]) -> None:
    """Write summary.md, results.json, the archives of logs and runs, and copies of existing reports.

    work: folder with `logs` and `runs`, outside of the output.
    facts: of the whole check.
    ended: results of the parts so far.
    """
    output.mkdir(parents=True, exist_ok=True)
    _write(output / "results.json", json.dumps({**facts, "parts": [asdict(one) for one in ended]}, indent=1) + "\n")
    left_out = archive(output / "logs.tar.gz", work / "logs") + archive(output / "runs.tar.gz", work / "runs")
    for run, name in COPIES.items():
        report = work / "runs" / run / "report" / "report.md"
        if report.exists() and report.stat().st_size <= MOST_BYTES:
            shutil.copyfile(report, (output / name).with_suffix(".new")).replace(output / name)
    _write(output / "summary.md", summarize(facts, ended, left_out))


def _write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def archive(path: Path, folder: Path) -> list[str]:
    """Pack a folder; leave out the largest file while the archive is too large. Return the names of those left out."""
    files = sorted((one for one in folder.rglob("*") if one.is_file()), key=lambda one: one.stat().st_size)
    left_out: list[str] = []
    while True:
        fresh = path.with_suffix(".new")
        with tarfile.open(fresh, "w:gz", compresslevel=6) as made:
            for one in sorted(files):
                made.add(one, arcname=str(one.relative_to(folder.parent)))
        if fresh.stat().st_size <= MOST_BYTES or not files:
            fresh.replace(path)
            return left_out
        files.sort(key=lambda one: one.stat().st_size)
        left_out.append(str(files.pop().relative_to(folder.parent)))


def summarize(facts: dict[str, Any], ended: Sequence[Ended], left_out: Sequence[str] = ()) -> str:
    """Return the summary: the device, a row for each part, and the facts of each.

    facts: of the whole check.
    ended: results of the parts so far.
    left_out: names of files left out of the archives.
    """
    lines = [
        "# GPU check", "", f"Device: {facts.get('device') or 'none'}. "
        f"Python {facts.get('python', '?')}; {facts.get('seconds', 0):.0f} s of {facts.get('budget_s', 0):.0f} s used.",
        "", "| part | state | s | |", "|---|---|---|---|",
    ]  # fmt: skip
    lines += [f"| {one.title} | {one.state} | {one.seconds:.0f} | {_cell(one.reason)} |" for one in ended]
    for text in facts.get("lacks", ()):
        lines += ["", f"Missing: {text}"]
    for one in ended:
        if found := describe(one):
            lines += ["", f"## {one.title}", "", *found]
    if left_out:
        lines += ["", f"Left out, to keep files below {MOST_BYTES >> 20} MiB: {', '.join(left_out)}"]
    return "\n".join(lines) + "\n"


def describe(one: Ended) -> list[str]:
    """Return the facts of a part as lines of Markdown."""
    lines = [f"- {name}: {_cell(value)}" for name, value in one.facts.items() if not isinstance(value, (list, dict))]
    for name, value in one.facts.items():
        if isinstance(value, dict) and value:
            lines += [f"- {name}: " + ", ".join(f"{key} {_cell(inner)}" for key, inner in value.items())]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            lines += ["", f"{name}:", "", *_table(value)]
        elif isinstance(value, list) and value:
            lines += [f"- {name}: " + "; ".join(map(_cell, value))]
    return lines


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return head + ["| " + " | ".join(_cell(row.get(name, "")) for name in names) + " |" for row in rows]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str("" if value is None else value).split()).replace("|", "\\|")
