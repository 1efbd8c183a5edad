"""One cell of speed, timed in one short pass."""

from harness.api import Silent, name_problems
from harness.pipeline import run_plan
from harness.plan.planner import plan_run
from harness.plan.suite import Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.directory import new_directory


def time_once(folder, plugin, backend, problem):
    """The run of a backend of a plugin on one problem."""
    registry = load_plugins([plugin])
    registry.suites["once"] = Suite(
        name="once", kind="speed", description="one short pass", timing=Timing(passes=1, sample_s=0.04)
    )
    plan = plan_run(registry, ["once"], [backend], name_problems([problem]))
    path = new_directory(str(folder / "run"), ("once",))
    return run_plan(plan, registry, path, Silent(), command="", extra=(plugin,), threads=1)
