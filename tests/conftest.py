import os
import shutil
import signal
import tempfile
from functools import cache
from pathlib import Path

import pytest

import harness
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.plugins.manager import load_plugins

ROOT = Path(__file__).parent.parent
SOURCES = Path(harness.__file__).parents[1]  # of the packages: ROOT, or where the wheel under test is installed
FAULTY = tuple(str(path) for path in sorted((ROOT / "tests" / "faulty").glob("*.py")) if path.stem != "dying")
DYING = str(ROOT / "tests" / "faulty" / "dying.py")


# A shell that puts the tests in the background lets them ignore interrupts, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Let no test wait for another's device or compile what another has compiled.

    Every process has its own leases. If no bytecode may be written next to sources, it goes into a folder that all
    processes share: without it every command that a test starts compiles the harness and its libraries anew.
    """
    folder = tempfile.mkdtemp(prefix="harness-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["HARNESS_LEASE_DIR"] = os.path.join(folder, "leases")
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(folder, "bytecode"))


@cache
def _registry():
    return load_plugins((*FAULTY, DYING))


@pytest.fixture(scope="session")
def registry():
    """Everything that is built in, and the faulty backends."""
    found = _registry()
    broken = [row for row in found.rows if row.state == "broken"]
    assert not broken, broken
    return found


@cache
def _probe(backend: str, folder: str) -> str:
    supervisor = WorkerSupervisor(_registry(), backend, Path(folder), 8 * 2**30, None, ())
    try:
        return supervisor.launch()[1].reason
    finally:
        supervisor.close()


def pytest_runtest_setup(item):
    """Skip what is marked `gpu` where the backend that it names cannot run, with the backend's own reason."""
    marker = item.get_closest_marker("gpu")
    if marker is not None:
        backend = marker.args[0]
        reason = _probe(backend, str(item.config._tmp_path_factory.getbasetemp()))
        if reason:
            pytest.skip(f"{backend} is unavailable: {reason}")
