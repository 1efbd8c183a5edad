"""`python -m harness`, and the script `harness`."""

import sys

from harness.exit_codes import ExitCode


def main() -> None:
    """Run the command; one line and exit code 2 where a package that it needs is not installed."""
    try:
        from harness.cli.main import main as run_command
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "harness":
            raise
        sys.stderr.write(
            f"error: the command needs the package '{error.name}', which is not installed, as in an environment for "
            "workers; wanted all dependencies: python -m pip install conv-harness\n"
        )
        sys.exit(ExitCode.USAGE)
    run_command()


if __name__ == "__main__":
    main()
