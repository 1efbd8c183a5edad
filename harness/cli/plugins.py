"""`harness plugins`: list every plugin with what it registered, or why it is broken."""

from __future__ import annotations

import click

from harness.cli.options import plugin_options
from harness.exit_codes import ExitCode


@click.command("plugins")
@plugin_options
@click.option("--header", is_flag=True, help="Print the path of harness_backend.h, for backends in C and the like.")
def command(plugins: tuple[str, ...], without: tuple[str, ...], header: bool) -> ExitCode:
    """Show every plugin: where it comes from, what it registered, or why it is broken.

    A broken one that comes with the harness ends this and every other command with an error.
    """
    if header:
        from harness.backend.compiled.header import HEADER

        print(HEADER)
        return ExitCode.OK
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table
    from harness.plugins.manager import KINDS
    from harness.worker.described.loading import load_described

    table = plain_table("plugin", "origin", "state", "gave, or why not")
    rows = load_described(plugins, without, runs=False).rows
    for row in rows:
        gave = [
            f"{len(names)} laws" if kind == "laws" else f"{kind} {', '.join(names)}"
            for kind in KINDS if (names := getattr(row, kind))
        ]  # fmt: skip
        nothing = "hooks only" if row.hooks else "nothing"
        state = f"[red]{row.state}[/red]" if row.state == "broken" else row.state
        table.add_row(escape(row.name), row.origin, state, escape(row.reason or "; ".join(gave) or nothing))
    open_console().print(table)
    broken = any(row.state == "broken" and row.origin == "built-in" for row in rows)
    return ExitCode.INTERNAL if broken else ExitCode.OK
