"""`python -m harness` and `harness`: find the command; report errors in one line, with an exit code."""

from __future__ import annotations

import gc
import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from harness import __version__
from harness.cli.ending import (
    check_arguments,
    end_output,
    open_missing_streams,
    steady_streams,
    tell,
    tell_error,
    tell_fault,
)
from harness.cli.settings import make_defaults, read_settings
from harness.errors import HarnessError
from harness.exit_codes import ExitCode

COMMANDS = {
    "run": ("harness.cli.run", "Run suites on backends and write a report."),
    "report": ("harness.cli.report", "Write reports of a run again, or in another format."),
    "fuzz": ("harness.cli.fuzz", "Search for a problem on which a backend breaks a law."),
    "versus": ("harness.cli.versus", "Time arms in turns on this machine and say which is slower."),
    "capture": ("harness.cli.capture", "Take the problems of a model of your own."),
    "qualify": ("harness.cli.qualify", "Show how far this machine's verdicts can be trusted."),
    "doctor": ("harness.cli.doctor", "Say what makes this machine noisy, and what to do about it."),
    "gate": ("harness.cli.gate", "Fail where one revision is slower or more wrong than another."),
    "bisect": ("harness.cli.bisect", "Find the commit that made a cell slower or wrong."),
    "baseline": ("harness.cli.baseline", "Keep runs by name, and compare with them."),
    "bless": ("harness.cli.bless", "Accept a known change, with the reason."),
    "claims": ("harness.cli.claims", "Write promises and known faults from a run, and check them."),
    "history": ("harness.cli.history", "Show times over commits, and where they changed."),
    "import": ("harness.cli.importing", "Take pytest-benchmark's files into the history."),
    "compare": ("harness.cli.compare", "Compare two runs cell by cell."),
    "killmatrix": ("harness.cli.killmatrix", "Show which law catches which planted fault, and what survives."),
    "list": ("harness.cli.listing", "List backends, suites, problems, operators or laws."),
    "plugins": ("harness.cli.plugins", "Show every plugin, what it gave, or why it is broken."),
}
# Plans and records are many small objects without cycles: with the defaults, their collection took a fifth of the time.
GC_THRESHOLDS = (50_000, 20, 50)


class CommandFaultError(Exception):
    """An exception, its cause, that click would turn into an exit code of its own."""


class LazyGroup(click.Group):
    """Command group that imports the module of a command only when it is requested, so that --help stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return found

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. For a broken pipe, click would end the process with 1; the end of a file would be an abort.

        Raises CommandFaultError.
        """
        try:
            return super().invoke(ctx)
        except (OSError, EOFError) as error:
            raise CommandFaultError from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), code.meaning) for code in ExitCode])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Say of any implementation of convolution, pooling and their gradients whether it is right, and how fast.

    \b
    Begin with:   python -m harness run suite
    Your own:     python -m harness run suite --plugin ./mine.py --backend mine --backend torch
    Slower?       python -m harness versus im2col@HEAD~1 im2col
    In CI:        python -m harness gate --base origin/main
    """
    if ctx.invoked_subcommand is not None:
        take_settings(ctx, ctx.invoked_subcommand)


def take_settings(ctx: click.Context, name: str) -> None:
    """Make the settings of the project's pyproject.toml the defaults of a command.

    ctx: of the group. name: of the command. Raises UsageError for settings that cannot be used.
    """
    found = read_settings(Path.cwd())
    command = cli.get_command(ctx, name)
    if found is None or command is None:
        return

    def find(one: str) -> click.Command:
        other = cli.get_command(ctx, one)
        assert other is not None, "it is in COMMANDS"
        return other

    ctx.default_map = {name: make_defaults(*found, command, COMMANDS, find)}


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with the code of the command, whatever happens to its output."""
    gc.set_threshold(*GC_THRESHOLDS)
    signal.signal(signal.SIGTERM, _interrupt)  # removes worktrees and workers, and ends the run as interrupted
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # `nohup` ignores it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        open_missing_streams()
    except HarnessError as error:
        sys.exit(tell_error(error))
    output = steady_streams()
    code = _run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(end_output(code, output))


def _run(arguments: Sequence[str]) -> int:
    """Run the command; return its exit code, or that of the exception that it raised."""
    try:
        check_arguments(arguments)
        code = cli.main(args=list(arguments), standalone_mode=False)
        return code if isinstance(code, int) else ExitCode.OK
    except click.exceptions.Exit as done:
        return done.exit_code
    except HarnessError as error:
        return tell_error(error)
    except click.ClickException as error:
        tell(f"error: {error.format_message()}")
        return ExitCode.USAGE
    except (KeyboardInterrupt, click.Abort):
        return _tell_interrupt()
    except BaseException as error:  # also SystemExit; Python's own exit code for these, 1, means a wrong backend
        fault = error.__cause__ if isinstance(error, CommandFaultError) else None
        return tell_fault(fault or error)


def _tell_interrupt() -> int:
    tell("interrupted; what was done is on disk")
    return ExitCode.INTERRUPTED
