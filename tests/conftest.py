import gc
import os
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

import harness
from harness.cli.main import GC_THRESHOLDS
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.plugins.manager import load_plugins
from tests.lenient import keep_all_blocks

ROOT = Path(__file__).parent.parent
SOURCES = Path(harness.__file__).parents[1]  # of the packages: ROOT, or where the wheel under test is installed
FAULTY = tuple(str(path) for path in sorted((ROOT / "tests" / "faulty").glob("*.py")) if path.stem != "dying")
DYING, FORWARD, RIGHT = (str(ROOT / "tests" / "faulty" / f"{name}.py") for name in ("dying", "forward", "right"))
MIXED = ("conv x=1x2x9 w=3x2x3 data=integer", "conv x=2x2x9 w=3x2x3", "max_pool x=1x2x9 kernel=3")  # of `mixed_run`


# A shell that puts the tests in the background lets them ignore interrupts, and what they start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config):
    """Let no test wait for another's device or compile what another has compiled.

    Every process has its own leases. Bytecode is written even if the environment forbids it: without it every process
    that a test starts compiles the harness anew, and every process of tests the tests. It lies next to the sources, as
    that of installed libraries does, or in a folder that all processes share if the checkout cannot be written.
    """
    folder = tempfile.mkdtemp(prefix="harness-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ["HARNESS_LEASE_DIR"] = os.path.join(folder, "leases")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", "")
    sys.dont_write_bytecode = False
    if not os.access(SOURCES, os.W_OK):
        os.environ.setdefault("PYTHONPYCACHEPREFIX", os.path.join(folder, "bytecode"))
    gc.set_threshold(*GC_THRESHOLDS)


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


@pytest.fixture(scope="session", autouse=True)
def peak_measured_once():
    """Measure the machine's peak once in this process, for all runs that the process times with as many threads.

    A measurement takes seconds of every core. It is repeated as ever before a backend is accused of impossible times,
    and in every run of a command that a test starts as a process.
    """
    from harness.execution import timing_stage
    from harness.record.journal import PeakEntry

    measure, measured = timing_stage.measure_machine, {}

    def measure_once(state, *, quick):
        execution = state.execution
        devices = {state.backend(cell).device for cell in execution.cells_of("speed")}
        if (peaks := measured.get((*sorted(devices), execution.threads))) is None:
            before = len(execution.peaks)
            measure(state, quick=False)
            if len(peaks := execution.peaks[before:]) == len(devices):
                measured[*sorted(devices), execution.threads] = peaks
            return
        for peak in peaks:
            execution.journal.append(PeakEntry(peak))
            execution.peaks.append(peak)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing_stage, "measure_machine", measure_once)
        yield


@contextmanager
def share(factory, name):
    """Yield the path of this name in the folder that all processes of the session share, while no other has it.

    factory: `tmp_path_factory`.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # each worker has one of its own below
    with FileLock(folder / f"shared-{name}.lock"):
        yield folder / f"shared-{name}"


def share_run(factory, name, make):
    """Return the run of this name, which the first process of the session that needs it makes, for all of them.

    factory: `tmp_path_factory`. make: makes the run in the folder that it is given.
    """
    with share(factory, name) as path:
        if not path.exists():
            begun = path.with_name(f"{path.name}-of-{os.getpid()}")
            make(begun)
            begun.rename(path)
    return harness.load(path)


def leaves_out_slow(config):
    """Return True if slow tests are left out, as by `make test`: what tests share is then as small as they allow."""
    return config.getoption("markexpr") == "not slow"


@pytest.fixture(scope="session")
def mixed_run(tmp_path_factory):
    """A run of all laws and times of two backends that are right, one that is wrong and one that is unavailable.

    On one thread each backend has one worker; further threads would need a second one, and add no kind of cell.
    """

    def make(path):
        with keep_all_blocks():
            harness.run(
                "correctness", "speed-short", backends=["im2col", "fft", "faulty:scaled", "dying:unavailable"],
                problems=MIXED, threads=1, plugins=[FORWARD, DYING], output=path,
            )  # fmt: skip

    return share_run(tmp_path_factory, "mixed", make)


def _probe(backend: str, factory: pytest.TempPathFactory) -> str:
    with share(factory, f"reason-of-{backend}") as path:
        if not path.exists():
            supervisor = WorkerSupervisor(_registry(), backend, path.parent, 8 * 2**30, None, ())
            try:
                path.write_text(supervisor.launch()[1].reason)
            finally:
                supervisor.close()
        return path.read_text()


def pytest_runtest_setup(item):
    """Skip what is marked `gpu` where the backend that it names cannot run, with the backend's own reason."""
    marker = item.get_closest_marker("gpu")
    if marker is not None:
        backend = marker.args[0]
        reason = _probe(backend, item.config._tmp_path_factory)
        if reason:
            pytest.skip(f"{backend} is unavailable: {reason}")
