"""Exit codes of all commands, and the meaning of each."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """An exit code; `meaning` is its text in README.md and `--help`."""

    OK = 0
    WRONG = 1
    USAGE = 2
    SLOWER = 3
    INCOMPLETE = 4
    CANNOT_TELL = 5
    SYSTEM = 6
    INTERNAL = 7
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """Meaning of the code, in one line."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "all good",
    ExitCode.WRONG: "a backend is wrong (failed, error, crashed, timeout) or breaks a claim",
    ExitCode.USAGE: "usage or bad input",
    ExitCode.SLOWER: "slower, with more instructions, missing or beyond a limit (gate, compare, versus --gate)",
    ExitCode.INCOMPLETE: "nothing ran or could be compared, or the run is incomplete or leaves a known bug or a claim "
    "undecided",
    ExitCode.CANNOT_TELL: "the machine cannot tell if a time is true or memory was short, or it or the base "
    "cannot tell of a change",
    ExitCode.SYSTEM: "the system is in the way (disk full, place that cannot be written, closed output, no UTF-8)",
    ExitCode.INTERNAL: "the harness or its installation is at fault, or a plugin ended it; a log has the traceback",
    ExitCode.INTERRUPTED: "interrupted; what was done is on disk",
}
