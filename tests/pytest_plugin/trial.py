"""A repository in a temporary folder, in which pytest is run with this plugin and no other that is installed."""

import sys

from tests.conftest import ROOT

LINE = "conv x=1x2x5x6 w=3x2x3x3 pad=1 data=integer"
CANONICAL = "conv x=1x2x5x6 w=3x2x3x3 pad=1,1 data=integer"
PLUGIN, BENCHMARK = ("-p", "harness.pytest_plugin.plugin"), ("-p", "pytest_benchmark.plugin")
OWN = "def test_own():\n    assert True\n"
BACKENDS = '''
import numpy as np
import harness
from harness import Deviation, Suite, law
from harness.problems import reference


class Mine(harness.Backend):
    name = "mine"
    dtypes = ("float32",)

    def conv(self, x, w, b, window):
        return reference.conv(x, w, b, window).astype(x.dtype)


class Negated(Mine):
    name = "negated"

    def conv(self, x, w, b, window):
        return -super().conv(x, w, b, window)


class Raises(Mine):
    name = "raises"

    def conv(self, x, w, b, window):
        return self.launch()

    def launch(self):
        raise RuntimeError("no such kernel")


class Absent(Mine):
    name = "absent"

    def probe(self):
        return "its device is at lunch"


class Late(Mine):
    """Right until it is timed."""

    name = "late"

    def prepare(self, problem, arrays):
        call = super().prepare(problem, arrays)
        return lambda: -call() if type(self).timed else call()

    timed = False


@law(tolerance="structure", when=lambda p: True)
def nothing_is_compared(subject, problem):
    """0 = 0"""
    return Deviation(kind="structure", worst=0.0, compared=0)


@law(tolerance="structure", when=lambda p: True)
def warns(subject, problem):
    """1 = 1"""
    import warnings

    warnings.warn("old", DeprecationWarning)
    return harness.statement(True, "it warned")


@harness.hookimpl
def register_backends(register):
    for one in (Mine(), Negated(), Raises(), Absent(), Late()):
        register(one)


@harness.hookimpl
def register_suites(register):
    register(nothing_is_compared)
    register(warns)
'''


def make_repository(pytester, monkeypatch):
    """Backends and a test of its own; nothing of the session around it reaches in."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot.restore", lambda _: forget_modules(pytester.path))
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(test_own=OWN, backends_here=BACKENDS)


def forget_modules(folder):
    """Forget the repository's modules alone, where a session within a session would forget all that it imported.

    A library of C code can be loaded once in a process, and tests of other files may run here afterwards.
    """
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def run_cells(pytester, *options, suite="correctness", backends=("mine",), problem=LINE, laws=(), timed=False):
    """Run pytest there on few cells."""
    given = ["--harness-plugin", "backends_here.py", "--harness-suite", suite]
    given += [word for name in backends for word in ("--harness-backend", name)]
    given += [word for name in laws for word in ("--harness-law", name)]
    given += ["--harness-problem", problem] if problem else []
    return pytester.runpytest_inprocess(*PLUGIN, *(BENCHMARK if timed else ()), *given, *options)
