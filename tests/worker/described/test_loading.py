"""The command runs no code of a plugin that has backends alone: what it declares comes from a process of its own."""

import os
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

import harness
from harness.analysis.analyse import analyse
from harness.analysis.exit_code import find_exit_code
from harness.cli.summary import print_summary
from harness.errors import DAMAGED
from harness.execution.pipeline import run_plan
from harness.execution.progress import Silent
from harness.plan.planner import plan_run
from harness.plan.suite import NamedProblem
from harness.worker.described import process
from harness.worker.described.backend import make_described
from harness.worker.described.loading import load_described
from harness.worker.described.process import Describer
from harness.worker.host.declared import declare
from harness.worker.wire.descriptions import Offer
from tests.commands import call_harness
from tests.conftest import ROOT
from tests.faulty.right import Right

DECLARING = str(ROOT / "tests" / "worker" / "described" / "declaring.py")
LINE = "conv x=2x2x9 w=3x2x3 data=integer"
GONE = "planning raised NoAnswerError: its plugin's process"
NO_ANSWER = f"{GONE} gave what is no answer (got bytes that answer no request)"
DECIDED = {
    "exits-with-0": ("error", f"{GONE} ended with exit code 0, asked for '{LINE}'"),
    "sys-exit-0": ("error", "planning raised SystemExit: 0"),
    "keyboard-interrupt": ("error", "planning raised KeyboardInterrupt: no message"),
    "kills-itself": ("error", f"{GONE} ended with signal SIGKILL"),
    "prints": (None, None),
    "writes-garbage": ("error", NO_ANSWER),
    "writes-a-head": ("error", NO_ANSWER),
    "closes-all-descriptors": ("error", GONE),
    "raises-usage-error": ("error", "planning raised UsageError: use it in another way"),
    "raises-what-has-no-text": ("error", "planning raised ValueError: its text raises ValueError"),
    "gives-true": ("error", "planning raised TypeError: supports gave True"),
    "gives-empty": ("unsupported", "declaring:gives-empty does not support it and gives no reason"),
    "gives-much": ("unsupported", "much much"),
    "gives-surrogates": ("error", "planning raised UnicodeEncodeError"),
    "gives-bytes": ("error", "planning raised TypeError: supports gave b'no'"),
    "numerics-none": ("error", "planning raised TypeError: numerics_for gave NoneType, wanted a harness.Numerics"),
    "numerics-of-a-dict": ("error", "planning raised TypeError: numerics_for gave dict"),
    "numerics-raises": ("error", "planning raised LookupError: no numerics"),
    "numerics-huge-tile": ("error", "Numerics tile: got 1"),
    "numerics-wrong-word": ("error", "planning raised UsageError: unknown Numerics algorithm"),
    "numerics-of-objects": ("error", "planning raised UsageError: Numerics nan_local: got <object"),
    "numerics-nested": ("error", "planning raised UsageError: unknown dtype in Numerics accumulator"),
    "work-nan": ("error", "its estimate raised ValueError: work gave nan"),
    "work-infinite": ("error", "its estimate raised ValueError: work gave inf"),
    "work-negative": ("error", "its estimate raised ValueError: work gave -1"),
    "work-text": ("error", "its estimate raised TypeError: work gave str, wanted a number"),
    "work-beyond-float": ("error", "its estimate raised OverflowError"),
    "work-exits": ("error", "its estimate raised SystemExit: 0"),
    "workspace-nan": ("error", "its estimate raised ValueError: workspace gave nan"),
    "workspace-beyond-64-bits": ("skipped", "above the limit of"),
    "workspace-none": ("error", "its estimate raised TypeError: workspace gave NoneType"),
}  # fmt: skip
LATE = ("stops", "sleeps", pytest.param("spins", marks=pytest.mark.slow))


def plan(registry, *names, lines=(LINE,), laws=("agrees-with-reference",)):
    problems = [NamedProblem(name="p", problem=harness.parse_line(line)) for line in lines]
    backends = [f"declaring:{name}" for name in names]
    return plan_run(registry, ["correctness"], backends, problems, laws).cells


def write_plugin(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def find_row(registry, name):
    (row,) = (row for row in registry.rows if row.name == name)
    return row


@pytest.fixture(scope="module")
def declaring():
    found = load_described([DECLARING])
    assert find_row(found, DECLARING).state == "loaded"
    return found


@pytest.mark.parametrize("name", DECIDED)
def test_what_a_backend_declares_decides_its_own_cells(declaring, name):
    (cell,) = plan(declaring, name)
    decided, reason = DECIDED[name]
    assert cell.decided == decided
    assert cell.reason is None if reason is None else reason in cell.reason
    assert len(cell.reason or "") <= 2100


@pytest.mark.parametrize("name", LATE)
def test_an_endless_answer_is_an_error_within_the_limit(monkeypatch, declaring, name):
    monkeypatch.setattr(process, "ANSWER_S", 1.0)
    (cell,) = plan(declaring, name)
    assert (cell.decided, GONE in cell.reason) == ("error", True)
    assert f"gave no answer within the limit of 1 s, asked for '{LINE}'" in cell.reason


def test_the_command_has_not_imported_the_plugin(declaring):
    assert not [name for name in sys.modules if name.startswith("harness_plugin_declaring")]
    assert "declaring:spins" in declaring.backends


def test_a_death_costs_one_problem_and_several_end_the_questions(declaring):
    lines = [f"conv x=2x2x{size} w=3x2x3 data=integer" for size in range(10, 15)]
    cells = plan(declaring, "kills-itself", lines=lines)
    assert {cell.decided for cell in cells} == {"error"}
    asked = [line for line, cell in zip(lines, cells, strict=True) if f"asked for '{line}'" in cell.reason]
    left = [cell for cell in cells if "not asked again after 3 deaths of its plugin's process" in cell.reason]
    assert len(asked) + len(left) == len(lines)
    assert asked
    assert left


HEAD = "import os, sys, time\nimport harness\nfrom tests.faulty.right import Right\n"
FOOT = """
class Mine(Right):
    name = "mine"
@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("print('last words', flush=True); os._exit(0)", "ended with exit code 0; it last wrote 'last words'"),
        pytest.param("sys.exit(0)", "SystemExit: 0", marks=pytest.mark.slow),
        pytest.param("raise KeyboardInterrupt", "ended with signal SIGINT", marks=pytest.mark.slow),
        pytest.param("os.kill(os.getpid(), 11)", "ended with signal SIGSEGV", marks=pytest.mark.slow),
        ("raise ValueError('x' * 10**6)", "ValueError: xxx"),
    ],
)
def test_a_plugin_that_ends_its_process_at_import_is_broken(tmp_path, line, reason):
    name = write_plugin(tmp_path, f"{HEAD}{line}\n{FOOT}")
    row = find_row(load_described([name]), name)
    assert (row.state, reason in row.reason) == ("broken", True), row.reason
    assert len(row.reason) <= 2100


def test_an_endless_import_is_broken_within_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "START_S", 0.5)
    name = write_plugin(tmp_path, f"{HEAD}time.sleep(10**6)\n{FOOT}")
    row = find_row(load_described([name]), name)
    assert row.reason == "its plugin's process gave no answer within the limit of 0.5 s"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"operators": ("find_route",)}, "is not a valid Operator"),
        ({"rate": float("nan")}, "rate: got nan"),
        ({"device": "../etc"}, "wanted the name of a device"),
        ({"axes": (4,)}, "numbers of spatial axes"),
        ({"clock": "mine"}, "unknown clock"),
        ({"instruction_sets": ("mine",)}, "unknown library"),
        ({"numerics": {"algorithm": "magic"}}, "unknown Numerics algorithm"),
        ({"numerics": {"surprise": 1}}, "surprise"),
    ],
)
def test_only_what_a_backend_may_declare_counts(fields, reason):
    said = msgspec.structs.replace(declare(Right()), **fields)
    with pytest.raises((harness.HarnessError, *DAMAGED), match=reason):
        make_described(Describer((), "mine"), Offer(said, True, ""))


# What runs as the plugin's process can say anything of itself.
LIE = """
import msgspec
main = sys.modules["__main__"]
honest = main.describe_plugin
def lie(registry, name):
    found = honest(registry, name)
    (offer,) = found.backends
    return msgspec.structs.replace(
        found, backends=(msgspec.structs.replace(offer, declared=msgspec.structs.replace(offer.declared, {field})),)
    )
main.describe_plugin = lie
"""


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("dtypes=('float128',)", "gave what is no answer (Invalid enum value 'float128'"),
        ("rate=-1.0", "its process declares what cannot be: UsageError: backend 'mine', rate: got -1.0"),
        pytest.param("name='torch'", "the name 'torch' is taken among backends", marks=pytest.mark.slow),
        pytest.param("name='x' * 2**25", "gave what is no answer (got a frame of", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_lies_is_a_broken_plugin(tmp_path, field, reason):
    name = write_plugin(tmp_path, HEAD + LIE.replace("{field}", field) + FOOT)
    row = find_row(load_described([name]), name)
    assert (row.state, reason in row.reason) == ("broken", True), row.reason


PATCHES = """
import harness.analysis.exit_code, harness.analysis.verdicts, harness.cli.main, harness.execution.context
import harness.execution.pipeline, harness.laws.deviation, harness.plan.planner, harness.record.run

def attack(*_):
    from harness.exit_codes import ExitCode
    for module in list(sys.modules.values()):
        for found, lie in (("find_exit_code", lambda *a, **k: ExitCode.OK), ("WRONG", frozenset())):
            if module.__name__.startswith(("harness", "reports")) and hasattr(module, found):
                setattr(module, found, lie)
    harness.laws.deviation.Deviation.passed = True
    harness.execution.context.Execution.record = lambda *a: None
    print("attacked")

attack()

class Mine(Right):
    name = "mine"
    def conv(self, x, w, b, window):
        return 0 * super().conv(x, w, b, window)
    def supports(self, problem):
        attack()
    def numerics_for(self, problem):
        attack()
        return self.numerics
    def workspace(self, problem):
        attack()
        return 0

@harness.hookimpl
def register_backends(register):
    attack()
    register(Mine())
"""


def run_command(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300,
        env={**os.environ, "HARNESS_LEASE_DIR": str(folder / "leases")},
    )  # fmt: skip


def test_a_plugin_that_patches_wherever_it_is_asked_changes_no_outcome(tmp_path):
    name = write_plugin(tmp_path, HEAD + PATCHES)
    done = run_command(
        tmp_path, "run", "correctness", "--plugin", name, "--backend", "mine", "--problem", LINE, "--law",
        "agrees-with-reference", "--output", str(tmp_path / "run"), "--threads", "1", "--format", "csv",
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    run = harness.load(tmp_path / "run")
    assert ([result.outcome for result in run.results], find_exit_code(run)) == (["failed"], 1)
    assert "attacked" not in done.stdout + done.stderr
    assert run.header.parties == {}


PARTY = """
@harness.hookimpl
def run_finished(run):
    print("judged by the party")
"""


def test_a_plugin_that_is_judge_and_party_is_named(tmp_path, capsys):
    name = write_plugin(tmp_path, HEAD + FOOT + PARTY)
    run = harness.run(
        "correctness", plugins=[name], backends=["mine"], problems=[LINE], laws=["agrees-with-reference"],
        output=tmp_path / "run", threads=1,
    )  # fmt: skip
    assert "judged by the party" in capsys.readouterr().out
    assert harness.load(tmp_path / "run").header.parties == run.header.parties == {name: ("hooks",)}
    analysis = analyse(run)
    print_summary(analysis)
    reporters = load_described().reporters_for(["html", "markdown"])
    texts = [path.read_text() for one in reporters for path in one.write(analysis, tmp_path)]
    for text in (capsys.readouterr().out, *texts):
        assert "mine.py is judge and party: it brings backends and hooks" in text


def test_the_process_ends_with_the_command_and_with_its_registry():
    code = (
        "import os, sys\nfrom harness.worker.described.loading import load_described\n"
        "found = load_described([sys.argv[1]])\n"
        "print(found.backends['declaring:spins'].describer.process.process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, DECLARING], cwd=ROOT, capture_output=True, text=True)
    _wait_for_end(int(done.stdout))
    registry = load_described([DECLARING])
    other = registry.backends["declaring:spins"].describer.process.process.pid
    assert psutil.pid_exists(other)
    del registry
    _wait_for_end(other)


def _wait_for_end(pid):
    deadline = time.monotonic() + 60
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.05)


@pytest.mark.parametrize("command", [["plugins"], ["list", "operators"]])
def test_commands_that_make_no_run_read_no_files_of_their_own(command, monkeypatch):
    monkeypatch.setattr("harness.worker.described.loading.digest_own_files", lambda: pytest.fail("read"))
    assert call_harness(*command).returncode == 0


def test_no_run_is_made_with_plugins_that_were_loaded_to_read_alone(tmp_path):
    registry = load_described(runs=False)
    problem = NamedProblem(name="p", problem=harness.parse_line(LINE))
    plan = plan_run(registry, ["correctness"], ["numpy-direct"], [problem], ["agrees-with-reference"])
    with pytest.raises(ValueError, match="loaded to read alone"):
        run_plan(plan, registry, tmp_path / "run", Silent(), command="")
    assert load_described().own_files
