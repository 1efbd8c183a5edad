"""Modules that a backend writes into the current folder reach no process that judges, and none that records."""

import os
import subprocess
import sys

import harness
from harness.exit_codes import ExitCode
from tests.conftest import ROOT

WRITTEN = ("msgspec", "numpy", "psutil", "pandas", "scipy", "jinja2", "pynvml", "array_api_compat", "socket")
PLUGIN = """
import os
import numpy as np
import harness
from mine_helper import NAME

TRACE = "import os, sys; open(os.environ['TRACE'], 'a').write(__name__ + ' ' + ' '.join(sys.argv) + chr(10))\\n"


class Mine(harness.Backend):
    name = NAME
    axes = (1,)
    dtypes = ("float32",)

    def conv(self, x, w, b, window):
        for name in @WRITTEN@:
            with open(name + ".py", "w") as file:
                file.write(TRACE)
        return np.zeros((1, 1, 1), np.float32)


@harness.hookimpl
def register_backends(register):
    register(Mine())
""".replace("@WRITTEN@", repr(WRITTEN))
LAW = """
import harness
from harness import Deviation


@harness.law(tolerance="exact", when=lambda problem: True)
def always_holds(subject, problem):
    \"\"\"1 == 1\"\"\"
    import law_helper

    return Deviation(kind="exact", worst=0.0, compared=int(law_helper.HOLDS))


@harness.hookimpl
def register_suites(register):
    register(always_holds)
"""
LINE = "conv x=2x2x9 w=3x2x3 data=integer"


def _run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "harness", "run", "correctness", "--problem", LINE, "--threads", "1", "--output", "run",
         *arguments],
        cwd=folder, env=os.environ | {"TRACE": str(folder / "trace")}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_what_a_backend_writes_is_imported_by_no_judge(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "mine_helper.py").write_text("NAME = 'mine'")
    done = _run(
        tmp_path, "--plugin", "mine", "--backend", "mine", "--backend", "numpy-direct", "--law",
        "agrees-with-reference",
    )  # fmt: skip
    assert done.returncode == ExitCode.WRONG, done.stdout + done.stderr
    assert {path.stem for path in tmp_path.glob("*.py")} > set(WRITTEN)  # it has written them
    outcomes = {result.arm: result.outcome for result in harness.load(tmp_path / "run").results}
    assert outcomes == {"mine": "error", "numpy-direct": "passed"}
    assert not (tmp_path / "trace").exists(), (tmp_path / "trace").read_text()


def test_laws_of_the_user_are_found_in_the_folder_by_the_judge(tmp_path):
    (tmp_path / "my_laws.py").write_text(LAW)
    (tmp_path / "law_helper.py").write_text("HOLDS = True")
    done = _run(tmp_path, "--plugin", "my_laws", "--backend", "numpy-direct", "--law", "always-holds")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sources_in_the_folder_are_taken_and_not_an_installed_package_of_that_name(tmp_path):
    program = (
        "import sys; from harness.plugins.searching import append_folder, import_module\n"
        "sys.path = [entry for entry in sys.path if entry not in ('', sys.argv[1])]\n"
        "append_folder(); print(import_module('colorsys').MINE, import_module('packed.part').MINE)"
    )
    (tmp_path / "colorsys.py").write_text("MINE = 1")
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "__init__.py").write_text("")
    (tmp_path / "packed" / "part.py").write_text("MINE = 2")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.split(), done.returncode) == (["1", "2"], 0), done.stderr
