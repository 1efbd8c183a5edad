"""`python -m harness`, and the script `harness`."""

import sys

from harness.exit_codes import ExitCode


def main() -> None:
    """Run the command; one line and an exit code other than 1 where it cannot even be imported."""
    try:
        from harness.plugins.searching import close_folder

        close_folder()
        from harness.cli.main import main as run_command
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "harness":
            _end(error)
        sys.stderr.write(
            f"error: the command needs the package '{error.name}', which is not installed, as in an environment for "
            "workers; wanted all dependencies: python -m pip install conv-harness\n"
        )
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except BaseException as error:  # 1, which Python would make of it, means that a backend is wrong
        _end(error)
    run_command()


def _end(error: BaseException) -> None:
    from harness.cli.ending import tell_fault

    sys.exit(tell_fault(error))


if __name__ == "__main__":
    main()
