"""Checks and times any implementation of convolution, pooling and their gradients.

What a plugin imports lives here; everything is loaded when it is first asked for, so that `import harness` is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.api import load, run
    from harness.checking.deviation import Deviation, compare, declared, join, structure
    from harness.checking.exhibit import Exhibit, Picture
    from harness.checking.law import Law, law
    from harness.checking.subject import Subject
    from harness.errors import GeometryError, HarnessError, LineError, UsageError
    from harness.exit_codes import ExitCode
    from harness.network.graph import Architecture
    from harness.network.problem import NetworkProblem
    from harness.network.sketch import Sketch
    from harness.plan.suite import NamedProblem, ProblemSet, Reporter, Suite, Timing
    from harness.plugins.backend import Backend
    from harness.plugins.hookspecs import hookimpl
    from harness.record.run import Measurement, Pass, Result, Run
    from harness.spec.line import parse_line
    from harness.spec.numerics import Numerics
    from harness.spec.operator import Operator
    from harness.spec.problem import Problem
    from harness.spec.window import Window

__version__ = "0.1.0"

_HOMES = {
    "harness.api": ("load", "run"),
    "harness.checking.deviation": ("Deviation", "compare", "declared", "join", "structure"),
    "harness.checking.law": ("Law", "law"),
    "harness.checking.subject": ("Subject",),
    "harness.checking.exhibit": ("Exhibit", "Picture"),
    "harness.network.graph": ("Architecture",),
    "harness.network.problem": ("NetworkProblem",),
    "harness.network.sketch": ("Sketch",),
    "harness.errors": ("GeometryError", "HarnessError", "LineError", "UsageError"),
    "harness.exit_codes": ("ExitCode",),
    "harness.plan.suite": ("NamedProblem", "ProblemSet", "Reporter", "Suite", "Timing"),
    "harness.plugins.backend": ("Backend",),
    "harness.plugins.hookspecs": ("hookimpl",),
    "harness.record.run": ("Measurement", "Pass", "Result", "Run"),
    "harness.spec.line": ("parse_line",),
    "harness.spec.numerics": ("Numerics",),
    "harness.spec.operator": ("Operator",),
    "harness.spec.problem": ("Problem",),
    "harness.spec.window": ("Window",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Architecture", "Backend", "Deviation", "Exhibit", "ExitCode", "GeometryError", "HarnessError", "Law",
    "LineError", "Measurement", "NamedProblem", "NetworkProblem", "Numerics", "Operator", "Pass", "Picture", "Problem",
    "ProblemSet", "Reporter", "Result", "Run", "Sketch", "Subject", "Suite", "Timing", "UsageError", "Window",
    "compare", "declared", "hookimpl", "join", "law", "load", "parse_line", "run", "structure",
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
