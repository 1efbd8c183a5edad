"""`harness import`: import timings of pytest-benchmark as runs of a history."""

from __future__ import annotations

import sys
from collections import Counter

import click

from harness.cli.saying import say
from harness.exit_codes import ExitCode
from harness.record.directory import DEFAULT

SHOWN = 5  # names of one reason


@click.command("import")
@click.argument("files", metavar="FILE.json...", nargs=-1, required=True)
@click.option("--runs", default=DEFAULT, show_default=True, metavar="FOLDER", help="History to write them into.")
def command(files: tuple[str, ...], runs: str) -> ExitCode:
    """Write each FILE of pytest-benchmark as a run directory into a history.

    Only benchmarks whose extra_info names `problem` and `backend` and holds `verified: true` are taken; the others are
    listed with the reason. The same file is never taken twice. Exit code 4: there was nothing to take.

    \b
    python -m harness import pytest-benchmark.json
    """
    from harness.analysis.history.importing import read_benchmarks, write_foreign
    from harness.cli.options import command_line

    said = command_line(sys.argv[1:])
    found = [read_benchmarks(file, said) for file in files]  # all are read before the first is written
    taken = 0
    for foreign in found:
        if foreign.results:
            path, new = write_foreign(foreign, runs)
            say(f"{path}: {len(foreign.results)} timings of {foreign.file}" if new else f"{path}: already there")
            taken += len(foreign.results)
        else:
            say(f"{foreign.file}: nothing to take")
        reasons = Counter(reason for _, reason in foreign.left_out)
        for reason, count in reasons.items():
            names = [name for name, why in foreign.left_out if why == reason]
            more = f" and {count - SHOWN} more" if count > SHOWN else ""
            say(f"  left out, {reason}: {', '.join(names[:SHOWN])}{more}")
    return ExitCode.OK if taken else ExitCode.INCOMPLETE
