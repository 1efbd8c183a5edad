"""Duration of the command line and the planner: `python -m pytest tests/benchmarks/bench_command.py`."""

import subprocess
import sys

from harness import NamedProblem
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins
from suites.geometries import correctness_problems


def test_help(benchmark):
    benchmark.pedantic(
        lambda: subprocess.run([sys.executable, "-m", "harness", "--help"], capture_output=True, check=True),
        rounds=20, warmup_rounds=2,
    )  # fmt: skip


def test_planning_a_hundred_thousand_cells(benchmark):
    registry = load_plugins()
    items = [
        NamedProblem(name=item.name, problem=item.problem.with_(seed=seed))
        for seed in range(9) for item in correctness_problems()
    ]  # fmt: skip
    plan = benchmark.pedantic(lambda: plan_run(registry, ["correctness"], problems=items), rounds=5, warmup_rounds=1)
    assert len(plan.cells) > 100_000
    benchmark.extra_info["cells"] = len(plan.cells)
