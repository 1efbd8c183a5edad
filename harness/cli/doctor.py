"""`harness doctor`: find noise of this machine, and give advice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.machine.diagnosis import Finding

COLOURS = {"good": "green", "poor": "red", "unknown": "yellow"}


@click.command("doctor")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600.0),
    default=2.5,
    show_default=True,
    help="Length of the probes; rarer noise wants longer ones.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the same as JSON.")
def command(seconds: float, as_json: bool) -> ExitCode:
    """Say what makes this machine noisy and what to do about it, and whether instructions can be counted instead.

    Nothing is changed, and no rights are needed; what cannot be read is unknown. It is advice: the exit code is 0.
    """
    from harness.machine.diagnosis import diagnose
    from harness.measure.instructions.choose import diagnose_counter

    click.echo(f"probing for {seconds:g} s ...", err=True)
    findings = (*diagnose(seconds), diagnose_counter())
    (print_json if as_json else print_findings)(findings)
    return ExitCode.OK


def print_findings(findings: Sequence[Finding]) -> None:
    """Print a table of all findings, and their conclusion."""
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table
    from harness.machine.diagnosis import conclude

    console = open_console()
    table = plain_table("state", "what", "found", "what to do")
    for one in findings:
        colour = COLOURS[one.state]
        table.add_row(f"[{colour}]{one.state}[/{colour}]", one.name, escape(one.found), escape(one.advice))
    console.print(table)
    console.print(conclude(findings), markup=False, soft_wrap=True)


def print_json(findings: Sequence[Finding]) -> None:
    """Print all findings and their conclusion as one JSON object."""
    import json
    from dataclasses import asdict

    from harness.machine.diagnosis import conclude

    print(json.dumps({"findings": [asdict(one) for one in findings], "conclusion": conclude(findings)}, indent=2))
