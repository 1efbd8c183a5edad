"""Ends of a command: 1 is only ever a wrong backend, whatever happens to the command, its output or its files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import harness
from harness.cli import ending, main
from harness.errors import UnwritableError
from harness.exit_codes import ExitCode
from tests.conftest import ROOT

LONG = "a" * 300


def run_shell(command, **variables):
    """Run `$H ...`, where H is the harness, in bash; its exit code is that of the harness, with `| ...` too."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "H": f"{sys.executable} -m harness"} | variables
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, env=environment, capture_output=True, timeout=600
    )


def assert_one_line(said, words):
    (line,) = [line for line in said.splitlines() if line.strip()]
    assert line.startswith("error: ") and words in line
    return line


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("$H list laws > /dev/full", 6, "standard output could not be written (No space left on device)"),
        ("$H list laws >&-", 6, "standard output is closed"),
        ("$H run correctness --output /tmp/$'\\xff'", 6, "wanted text in UTF-8"),
    ],
)
def test_trouble_with_the_system_is_one_line_and_a_code_of_its_own(command, code, words):
    done = run_shell(command)
    assert done.returncode == code == ExitCode.SYSTEM
    assert_one_line(done.stderr.decode(), words)


@pytest.mark.parametrize("command", ["$H list laws | head -1", "$H --help 2>&1 | head -1", "$H list operators <&-"])
def test_a_reader_who_has_read_enough_and_no_input_are_no_failure(command):
    done = run_shell(command)
    assert done.returncode == 0
    assert done.stdout and not done.stderr


def test_a_broken_pipe_does_not_hide_what_the_command_found():
    """The reader is gone before the first line; the code is still that of the command."""
    done = run_shell("$H list things 2>&1 | true")
    assert done.returncode == ExitCode.USAGE


def test_characters_that_the_output_cannot_hold_are_written_as_codes():
    done = run_shell("$H list laws", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert rb"\u229b_wide" in done.stdout and done.stdout.isascii()


def test_an_import_that_fails_is_an_internal_error(tmp_path):
    (tmp_path / "click.py").write_text("raise RuntimeError('not the real one')")
    done = run_shell("$H list laws", PYTHONPATH=f"{tmp_path}:{ROOT}", TMPDIR=str(tmp_path))
    assert done.returncode == ExitCode.INTERNAL
    assert_one_line(done.stderr.decode(), "RuntimeError: not the real one")


# --- in this process ---------------------------------------------------------------------------------------------


class NoTextError(Exception):
    def __str__(self):
        raise ValueError("no text")


class OwnError(BaseException):
    pass


@pytest.fixture
def end(monkeypatch, capsys, tmp_path):
    """Run a command that raises an exception; return its exit code and its line."""
    monkeypatch.setattr(ending.tempfile, "tempdir", str(tmp_path))

    def end_with(error):
        def fail():
            raise error

        monkeypatch.setattr(main.cli, "get_command", lambda context, name: click.Command(name, callback=fail))
        with pytest.raises(SystemExit) as ended:
            main.main(["fail"])
        return ended.value.code, capsys.readouterr().err

    return end_with


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ValueError("odd\x1b[31m\nthing"), 7, "internal error, please report it: ValueError: odd\\x1b[31m thing"),
        (RecursionError("deep"), 7, "RecursionError: deep"),
        (NoTextError(), 7, "NoTextError: its text raises ValueError"),
        (OwnError("mine"), 7, "OwnError: mine"),
        (EOFError("the end"), 7, ""),
        (SystemExit(0), 7, "a plugin ended the command (SystemExit: 0)"),
        (SystemExit(), 7, "a plugin ended the command (SystemExit: "),
        (SystemExit(1), 7, "a plugin ended the command (SystemExit: "),
        (OSError(28, "No space left on device", "x.json"), 6, "No space left on device, at 'x.json'"),
        (BrokenPipeError(32, "Broken pipe"), 6, "Broken pipe"),
        (MemoryError(), 6, "out of memory"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"), 6, "is no UTF-8"),
    ],
)
def test_an_unexpected_exception_is_one_line_and_its_traceback_is_in_a_file(end, error, code, words):
    ended, said = end(error)
    assert ended == code
    line = assert_one_line(said.strip(), words)
    (path,) = re.findall(r"the traceback is in (\S+)$", line)
    text = Path(path).read_text()
    assert "in fail" in text and f"harness {harness.__version__}" in text
    assert Path(path).stat().st_mode & 0o077 == 0


def test_a_log_file_that_cannot_be_written_is_said(end, monkeypatch):
    monkeypatch.setattr(ending.tempfile, "tempdir", "/proc/none")
    code, said = end(ValueError("odd"))
    assert code == ExitCode.INTERNAL
    assert_one_line(said, "its traceback could not be written")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.exceptions.Exit(4)])
def test_what_is_no_fault_keeps_its_code(end, error):
    code, said = end(error)
    assert code == (130 if isinstance(error, KeyboardInterrupt) else 4)
    assert "traceback" not in said


@pytest.mark.parametrize("output", [LONG, f"{LONG}/run", f"new/{LONG}", "/proc/none/run"])
def test_an_output_folder_that_cannot_be_is_trouble_of_the_system(output, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main.main(["run", "correctness", "--output", output])
    assert ended.value.code == ExitCode.SYSTEM
    line = assert_one_line(capsys.readouterr().err, "output folder cannot be written")
    assert "traceback" not in line
    assert not list(tmp_path.iterdir())


def test_a_steady_file_loses_nothing_silently():
    with open("/dev/full", "wb", buffering=0) as target:
        file = ending.SteadyFile(target.fileno(), "w", closefd=False)
        assert file.write(b"lost") == 4
        assert file.failure is not None and file.failure.errno == 28
        assert file.write(b"nor this") == 8


def test_arguments_are_text():
    ending.check_arguments(["run", "--problem", "conv ⋆"])
    with pytest.raises(UnwritableError, match="wanted text in UTF-8"):
        ending.check_arguments(["run", "\udcff"])
