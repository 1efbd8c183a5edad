"""A worker runs where nothing is installed but what the extra `worker` names."""

import os
import subprocess

import pytest

from harness.errors import UsageError
from harness.execution.environment_build import list_worker_needs, select_needs
from harness.execution.environments import Place
from harness.execution.worker_process import Worker, WorkerDiedError
from harness.worker.protocol import Check, Prepare, Sample, Start
from tests.execution.bare import make_bare_environment

LINE = "conv x=2x3x8x8 w=4x3x3x3"
REQUESTS = (
    Start(
        plugins=("backends.numpy_direct",), extra=(), backend="numpy-direct", laws=("suites.correctness",), threads=1
    ),
    Check(law="agrees-with-reference", problem=f"{LINE} data=integer"),
    Prepare(problem=LINE, number=0),
    Sample(budget_ns=1_000_000, warm_ns=100_000, least=3),
)
METADATA = [
    "numpy>=2.1",
    "ml-dtypes>=0.4",
    "pandas>=2.2",
    'torch>=2.6; extra == "torch"',
    "ml_dtypes; extra == 'worker'",
]


@pytest.fixture
def start(tmp_path):
    """Starts a worker in an environment that has these requirements only."""
    workers = []

    def start_worker(requirements):
        interpreter = str(make_bare_environment(tmp_path / "bare", requirements))
        place = Place(
            interpreter=interpreter, variables={"PYTHONPATH": ""}, folder=str(tmp_path), plugins=(), names={}, what=""
        )
        workers.append(Worker(tmp_path / "worker.log", 1, place))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.close()


def test_a_worker_checks_and_times_with_its_own_needs_only(start):
    worker = start(list_worker_needs())
    ready, checked, prepared, sampled = (worker.ask(request, 60.0, 2**33) for request in REQUESTS)
    assert ready.reason is None
    assert (checked.outcome, checked.deviation.compared) == ("passed", 576)
    assert prepared.outcome == "passed", prepared.reason
    assert len(sampled.samples_ns) >= 3
    assert min(sampled.samples_ns) > 0


@pytest.mark.parametrize("missing", ["msgspec", "threadpoolctl"])
def test_a_worker_without_one_of_them_says_so(start, missing):
    """The environment is bare indeed: what is not asked for is not found somewhere else."""
    worker = start([text for text in list_worker_needs() if not text.startswith(missing)])
    try:
        replies = [worker.ask(request, 60.0, 2**33) for request in REQUESTS[:2]]
        told = f"{replies[0].reason} {replies[1].reason}"
    except WorkerDiedError as death:
        told = str(death)
    assert f"No module named '{missing}'" in told


def test_the_command_says_what_it_lacks_there(tmp_path):
    interpreter = make_bare_environment(tmp_path / "bare", list_worker_needs())
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [interpreter, "-m", "harness", "run"], cwd=tmp_path, env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: the command needs the package 'click', which is not installed")
    assert done.stderr.count("\n") == 1


def test_the_needs_are_names_of_the_extra_with_the_versions_of_the_dependencies(monkeypatch, tmp_path):
    from harness.execution import environment_build

    monkeypatch.setattr(environment_build, "__file__", str(tmp_path / "a" / "b" / "c.py"))  # no checkout
    monkeypatch.setattr(environment_build.metadata, "requires", lambda name: METADATA)
    assert list_worker_needs() == ["ml-dtypes>=0.4"]
    monkeypatch.setattr(environment_build.metadata, "requires", lambda name: METADATA[:4])
    with pytest.raises(UsageError, match="got no extra 'worker' in the installed metadata of conv-harness"):
        list_worker_needs()


def test_a_need_that_is_no_dependency_is_refused():
    with pytest.raises(UsageError, match="extra 'worker': got 'click', wanted one of the dependencies"):
        select_needs(["numpy>=2.1"], ["numpy", "click"])
