"""Check and time any implementation of convolution, pooling and their gradients.

The public names, including everything that a plugin imports. Each is loaded on first use, so that `import harness` is
cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.analyse import Analysis, analyse
    from harness.analysis.reporter import Reporter
    from harness.api.comparing import compare, gate, versus
    from harness.api.faults import killmatrix
    from harness.api.fuzzing import fuzz
    from harness.api.machine import doctor, qualify
    from harness.api.running import load, run
    from harness.backend.base import Backend
    from harness.errors import GeometryError, HarnessError, LineError, UsageError
    from harness.exit_codes import ExitCode
    from harness.laws.attachments import Attachments, Picture
    from harness.laws.deviation import Deviation, compare_arrays, declaration, statement, worst_of
    from harness.laws.law import Law, law, network_law
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
    from harness.record.passes import Measurement, Pass
    from harness.record.run import Result, Run
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "analysis.analyse": "Analysis analyse",
            "analysis.reporter": "Reporter",
            "api.comparing": "compare gate versus",
            "api.faults": "killmatrix",
            "api.fuzzing": "fuzz",
            "api.machine": "doctor qualify",
            "api.running": "load run",
            "backend.base": "Backend",
            "errors": "GeometryError HarnessError LineError UsageError",
            "exit_codes": "ExitCode",
            "laws.deviation": "Deviation compare_arrays declaration statement worst_of",
            "laws.attachments": "Attachments Picture",
            "laws.law": "Law law network_law",
            "laws.subject": "BackendUnderTest",
            "networks.architecture": "Architecture",
            "networks.builder": "NetworkBuilder",
            "networks.problem": "NetworkProblem",
            "plan.suite": "NamedProblem ProblemSet Suite Timing",
            "plugins.hookspecs": "hookimpl",
            "problems.line": "parse_line",
            "problems.numerics": "Numerics",
            "problems.operator": "Operator",
            "problems.problem": "Problem",
            "problems.window": "Window",
            "record.passes": "Measurement Pass",
            "record.run": "Result Run",
        },
    )

__version__ = "0.1.0"

__all__ = [
    "Analysis", "Architecture", "Attachments", "Backend", "BackendUnderTest", "Deviation", "ExitCode", "GeometryError",
    "HarnessError", "Law", "LineError", "Measurement", "NamedProblem", "NetworkBuilder", "NetworkProblem",
    "Numerics", "Operator", "Pass", "Picture", "Problem", "ProblemSet", "Reporter", "Result", "Run", "Suite",
    "Timing", "UsageError", "Window", "analyse", "compare", "compare_arrays", "declaration", "doctor", "fuzz",
    "gate", "hookimpl", "killmatrix", "law", "load", "network_law", "parse_line", "qualify", "run", "statement",
    "versus", "worst_of",
]  # fmt: skip
