"""Commands called in the process of the test: what they print and how they end, without the start of a process.

A start costs a second of processor time. A test whose subject is the process itself (its signals, its imports, its
path) starts one.
"""

import io
import subprocess
from contextlib import redirect_stderr, redirect_stdout

import pytest

from harness.cli.main import main
from tests.conftest import ROOT


def call_harness(*arguments, cwd=ROOT, **environment):
    """Return what `python -m harness ARGUMENTS` prints and its exit code.

    cwd: working directory. environment: variables that are set meanwhile.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        for name, value in {"COLUMNS": "200", **environment}.items():
            patch.setenv(name, str(value))
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
    return subprocess.CompletedProcess(arguments, int(ended.value.code), out.getvalue(), err.getvalue())
