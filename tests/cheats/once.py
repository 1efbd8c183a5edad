"""One cell of speed, timed in one short pass whose blocks all count.

A busy machine leaves blocks out, and a pass without blocks says nothing of a backend: what is asked here is whether
cheats are found, not whether the machine is quiet.
"""

from harness.capture.workload import name_problems
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.plan.planner import plan_run
from harness.plan.suite import Suite, Timing
from harness.plugins.manager import load_plugins
from harness.record.directory import new_directory
from harness.record.run import CANNOT_TELL
from tests.lenient import keep_all_blocks

TRIES = 5


def time_once(folder, plugin, backends, problem, passes=1):
    """The run of a backend of a plugin, or of several in turns, on one problem."""
    registry = load_plugins([plugin])
    registry.suites["once"] = Suite(
        name="once", kind="speed", description="short passes", timing=Timing(passes=passes, sample_s=0.04)
    )
    names = [backends] if isinstance(backends, str) else list(backends)
    plan = plan_run(registry, ["once"], names, name_problems([problem], registry.networks))
    path = new_directory(str(folder / "run"), ("once",))
    with keep_all_blocks():
        return run_plan(plan, registry, path, Silent(), command="", extra=(plugin,), threads=1)


def time_until_told(folder, plugin, backend, problem):
    """The run of one backend on one problem, again where the machine is too busy to tell whether its times are true.

    No run that cannot tell may have a time.
    """
    for number in range(TRIES):
        run = time_once(folder / str(number), plugin, backend, problem)
        (result,) = run.results
        if result.outcome != "skipped" or not result.reason.startswith(CANNOT_TELL):
            return run
        assert result.measurement is None
    raise AssertionError(f"{TRIES} times: {result.reason}")
