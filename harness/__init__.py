"""Check and time any implementation of convolution, pooling and their gradients.

The public names, including everything that a plugin imports. Each is loaded on first use, so that `import harness` is
cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis, analyse
    from harness.analysis.reporter import Reporter
    from harness.api.comparing import gate, versus
    from harness.api.faults import killmatrix
    from harness.api.machine import doctor, qualify
    from harness.api.run import load, run
    from harness.backend.base import Backend
    from harness.errors import GeometryError, HarnessError, LineError, UsageError
    from harness.exit_codes import ExitCode
    from harness.laws.deviation import Deviation, compare, declaration, statement, worst_of
    from harness.laws.exhibit import Exhibit, Picture
    from harness.laws.law import Law, law
    from harness.laws.subject import BackendUnderTest
    from harness.networks.architecture import Architecture
    from harness.networks.builder import NetworkBuilder
    from harness.networks.problem import NetworkProblem
    from harness.plan.suite import NamedProblem, ProblemSet, Suite, Timing
    from harness.plugins.hookspecs import hookimpl
    from harness.problems.line import parse_line
    from harness.problems.numerics import Numerics
    from harness.problems.operator import Operator
    from harness.problems.problem import Problem
    from harness.problems.window import Window
    from harness.record.run import Measurement, Pass, Result, Run

__version__ = "0.1.0"

_HOMES = {
    "harness.api.run": ("load", "run"),
    "harness.api.comparing": ("gate", "versus"),
    "harness.api.faults": ("killmatrix",),
    "harness.api.machine": ("doctor", "qualify"),
    "harness.laws.deviation": ("Deviation", "compare", "declaration", "statement", "worst_of"),
    "harness.laws.law": ("Law", "law"),
    "harness.laws.subject": ("BackendUnderTest",),
    "harness.laws.exhibit": ("Exhibit", "Picture"),
    "harness.networks.architecture": ("Architecture",),
    "harness.networks.problem": ("NetworkProblem",),
    "harness.networks.builder": ("NetworkBuilder",),
    "harness.errors": ("GeometryError", "HarnessError", "LineError", "UsageError"),
    "harness.exit_codes": ("ExitCode",),
    "harness.plan.suite": ("NamedProblem", "ProblemSet", "Suite", "Timing"),
    "harness.analysis.analyse": ("Analysis", "analyse"),
    "harness.analysis.reporter": ("Reporter",),
    "harness.backend.base": ("Backend",),
    "harness.plugins.hookspecs": ("hookimpl",),
    "harness.record.run": ("Measurement", "Pass", "Result", "Run"),
    "harness.problems.line": ("parse_line",),
    "harness.problems.numerics": ("Numerics",),
    "harness.problems.operator": ("Operator",),
    "harness.problems.problem": ("Problem",),
    "harness.problems.window": ("Window",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Analysis", "Architecture", "Backend", "BackendUnderTest", "Deviation", "Exhibit", "ExitCode", "GeometryError",
    "HarnessError", "Law", "LineError", "Measurement", "NamedProblem", "NetworkBuilder", "NetworkProblem",
    "Numerics", "Operator", "Pass", "Picture", "Problem", "ProblemSet", "Reporter", "Result", "Run", "Suite",
    "Timing", "UsageError", "Window", "analyse", "compare", "declaration", "doctor", "gate", "hookimpl",
    "killmatrix", "law", "load", "parse_line", "qualify", "run", "statement", "versus", "worst_of",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names."""
    return sorted(__all__)
