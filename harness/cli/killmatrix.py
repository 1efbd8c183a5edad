"""`harness killmatrix`: apply laws to planted faults; show which law catches which fault, and survivors."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import load_registry, plugin_options, say_parties
from harness.cli.saying import say
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.kill_matrix import KillMatrix
    from harness.plugins.manager import Registry

SHOWN = 4


@click.command("killmatrix")
@click.option(
    "--faults", "sources", multiple=True, metavar="FOLDER|FILE.py", default=("tests/faulty",), show_default=True,
    help="Plugins with faulty backends, whose names begin with 'faulty:'; may be repeated.",
)  # fmt: skip
@click.option("--backend", "backends", multiple=True, metavar="NAME", help="Only this fault; may be repeated.")
@click.option("--law", "laws", multiple=True, metavar="NAME", help="Only this law; may be repeated.")
@click.option("--quick", is_flag=True, help="Stop at the first law that catches a fault: survivors only.")
@click.option(
    "--most", type=click.IntRange(1), default=32, show_default=True,
    help="Problems on which a law is asked at first; what no law has caught then is asked on all.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Faults tried side by side.")
@click.option(
    "--output", metavar="FOLDER", help="Also write the matrix as files into this folder, with a record for --resume."
)
@click.option("--resume", metavar="FOLDER", help="Folder of --output that was interrupted: ask only what is missing.")
@plugin_options
def command(
    sources: tuple[str, ...], backends: tuple[str, ...], laws: tuple[str, ...], quick: bool, most: int, jobs: int,
    output: str | None, resume: str | None, plugins: tuple[str, ...], without: tuple[str, ...],
) -> ExitCode:  # fmt: skip
    """Ask every law of every planted fault, and show which law catches which: kills, only killers, survivors.

    Faults are backends whose names begin with `faulty:`. The laws are those of suite `correctness`. All faults against
    all laws take some minutes; --quick only looks for survivors. Exit code 1: a fault survives.

    \b
    python -m harness killmatrix --output killmatrix
    python -m harness killmatrix --resume killmatrix
    """
    import tempfile

    from harness.cli.options import command_line
    from harness.experiments.kill_matrix import choose_faults, choose_laws, list_files, make_matrix
    from harness.experiments.kill_record import check_record, identify_hunt, open_record

    kept = check_record(output, resume)
    files = (*list_files(sources), *plugins)
    registry = load_registry(files, without)
    faults = choose_faults(registry, sources, backends)
    say_parties(registry, faults)
    for law in laws:
        registry.law(law)
    identity = identify_hunt(faults, choose_laws(registry, laws), files, without, quick=quick, most=most)
    record = open_record(kept, faults, identity, command_line(sys.argv[1:]), resume=resume is not None)
    try:
        with tempfile.TemporaryDirectory() as folder, closing(record):
            matrix = make_matrix(
                registry,
                faults,
                laws,
                Path(folder),
                plugins=files,
                quick=quick,
                most=most,
                jobs=jobs,
                watch=_Progress(len(faults)),
                record=record,
            )
    except KeyboardInterrupt:
        if kept is not None:
            say(f"go on with --resume {kept}", error=True)
        raise
    print_matrix(matrix)
    if kept is not None:
        for path in _write(registry, matrix, kept):
            say(path)
    return ExitCode.WRONG if matrix.survivors else ExitCode.OK


class _Progress:
    """A line for each fault, on standard error."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0

    def __call__(self, fault: str, what: str, tried: int) -> None:
        self.done += 1
        say(f"[{self.done}/{self.total}] {fault}: {what} ({tried} applications of laws)", error=True)


def print_matrix(matrix: KillMatrix) -> None:
    """Print laws by kills, with the faults that only they catch; then the smallest set of laws, and survivors."""
    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    if matrix.complete:
        table = plain_table("law", "kills", "only killer of", numbers=0)
        unique = matrix.unique
        for law in sorted(matrix.laws, key=lambda law: -len(matrix.killed(law))):
            alone = unique.get(law, ())
            more = f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
            table.add_row(law, str(len(matrix.killed(law))), ", ".join(alone[:SHOWN]) + more)
        console.print(table)
        console.print(f"smallest set that catches all: {', '.join(matrix.smallest)}", soft_wrap=True)
        if matrix.idle:
            console.print(f"laws that catch no fault: {', '.join(matrix.idle)}", soft_wrap=True)
    caught = len(matrix.faults) - len(matrix.survivors)
    console.print(
        f"{caught} of {len(matrix.faults)} faults caught, {matrix.tried} applications of {len(matrix.laws)} laws"
    )
    if matrix.survivors:
        console.print(f"[red]survivors[/red]: {', '.join(matrix.survivors)}", soft_wrap=True)


def _write(registry: Registry, matrix: KillMatrix, folder: Path) -> list[Path]:
    """Every format that knows how to write a kill matrix."""
    reporters = registry.reporters_for(writer="write_kills")
    return [path for one in reporters if one.write_kills for path in one.write_kills(matrix, folder)]
