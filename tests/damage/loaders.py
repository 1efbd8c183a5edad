"""Every loader of files from disk, each with a valid file of its own."""

import importlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click
import msgspec

from harness.analysis.analyse import analyse
from harness.analysis.history.importing import read_benchmarks
from harness.analysis.history.series import judge_history, read_history
from harness.analysis.qualification import Qualification, qualification_file, read_qualification
from harness.analysis.tables import write_tables
from harness.capture.workload import name_problems, read_workload
from harness.cli.main import COMMANDS
from harness.cli.settings import make_defaults, read_settings
from harness.cli.summary import print_summary
from harness.execution.environment_build import is_package, list_asked, list_versions
from harness.experiments.fuzz_corpus import read_cases
from harness.experiments.kill_record import FILE as KILLS
from harness.experiments.kill_record import Head, Hunted, Planned, read_lines
from harness.gating.blessings import FILE as BLESSINGS
from harness.gating.blessings import read_blessings
from harness.gating.dependencies import told, why_compiled
from harness.machine.files import read_file
from harness.machine.limits import describe_limits, usable_memory
from harness.machine.system import describe_machine
from harness.measure.device_lock import read_holder
from harness.measure.tickets import read_ticket
from harness.plan.claims.read import build_claims, read_claims
from harness.plugins.manager import load_plugins
from harness.record.acceptance import read_acceptance
from harness.record.archive import read_archive, write_archive
from harness.record.directory import read_run, write_header
from harness.record.journal import ArmEntry, EndEntry, PassEntry, PeakEntry, ResultEntry, seal_line
from harness.record.run import FORMAT, Ending, Header, Peak, Run
from harness.record.seal import read_seal, seal_file
from harness.record.writer import refuse_writer
from tests.analysis.history.stored import MACHINE, timed
from tests.damage.kinds import write_toml
from tests.record.older import make_older
from tests.reports.made import PLAIN, fail, observe

ANALYSED = (
    "exit_code",
    "claims",
    "arm_comparison",
    "gate_report",
    "verdicts",
    "qualification",
    "incomplete",
    "overdrawn",
    "counts_by_outcome",
    "number_vacuous",
    "bugs",
    "networks",
    "portfolios",
    "settings",
    "wrong_only_in",
    "results",
    "statuses",
    "timed",
    "laws",
    "outcomes",
    "semantics",
    "arithmetic",
    "recorded_frames",
    "speed",
    "to_fastest",
)

PLUGIN = b"""import harness


class Mine(harness.Backend):
    name = "mine"


@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


CLAIMS = b"""format = 1

[[promise]]
backend = "mine"
operators = ["conv"]
dtypes = ["float32", "float16"]
layouts = ["channels-last"]
axes = [1, 2]
windows = ["stride", "pad"]
derived = true
note = "n"

[[fault]]
backend = "mine"
problems = ["conv *dtype=float16*", "conv x=1x2x9 w=3x2x3"]
law = "agrees-with-reference"
outcome = "failed"
diagnosis = "y*: got *, wanted * within *"
worst = 18.0
reason = "r"
link = "https://example.org/1"
expires = 2031-01-01
strict = true
"""


@dataclass(frozen=True, slots=True)
class Loader:
    """A loader, the file that it reads, valid contents and their form (see `damage`).

    silent: whether a damaged file is passed over, as a record of another program that is only shown.
    slow: whether one load takes more than 10 ms, so that a campaign tries fewer inputs.
    """

    name: str
    path: Path
    content: bytes
    load: Callable[[], object]
    form: str = "text"
    silent: bool = False
    slow: bool = False


def make_loaders(folder: Path) -> list[Loader]:
    """Write one valid file for each loader."""
    return [
        *_make_run_loaders(folder),
        *_make_history_loaders(folder),
        *_make_document_loaders(folder),
        *_make_system_loaders(folder),
        *_make_onnx_loaders(folder),
    ]


def _make_run_loaders(folder: Path) -> list[Loader]:
    run = _store(folder / "runs" / "one")
    older = _store(folder / "older" / "one")
    make_older(older, 4)
    kept = folder / "kept.run"
    with kept.open("wb") as file:
        write_archive(read_run(run), file)
    head, journal, read = run / "header.json", run / "journal.jsonl", read_run(run)
    accepted = {"accepted": {"1": "known"}, "refused": {"2": "not any more"}}
    return [
        Loader("header", head, head.read_bytes(), lambda: read_run(run), "json"),
        Loader("journal", journal, journal.read_bytes(), lambda: read_run(run), "journal"),
        Loader("report", journal, journal.read_bytes(), lambda: compute_all(read_run(run)), "journal", slow=True),
        _loader("older", older / "journal.jsonl", lambda: compute_all(read_run(older)), "journal", slow=True),
        _loader("header-read", older / "header.json", lambda: compute_all(read_run(older)), "json", slow=True),
        Loader("archive", kept, kept.read_bytes(), lambda: read_archive(kept), "archive", slow=True),
        Loader("accepted", run / "accepted.json", json.dumps(accepted).encode(), lambda: read_acceptance(read), "json"),
    ]


def _store(path: Path) -> Path:
    """Write a run with times, failures and observations."""
    path.mkdir(parents=True)
    results = (
        replace(timed(0, 1000.0), measurement=None),
        replace(fail(), cell=1),
        replace(observe("mine", "looks", "first"), cell=2),
        replace(timed(3, 2000.0, backend="other"), measurement=None),
    )
    header = Header(
        format=FORMAT,
        created="2026-01-01T12:00:00+0000",
        command="harness run",
        suites=("speed-short",),
        cells=len(results),
        arm_names=("mine", "other"),
        environment={**MACHINE, "git": {"revision": "a" * 40, "dirty": False}},
        claims=build_claims("claims.toml", tomllib.loads(CLAIMS.decode())),
    )
    journal = write_header(path, header)
    journal.append(PeakEntry(Peak(device="cpu", gemm_gflops={"float32": 50.0}, copy_gbs=10.0)))
    journal.append(ArmEntry("mine", "mine", None, {"numpy": "2.1"}, {"backends": ["mine"]}))
    for number, result in enumerate(results):
        for one in timed(number, 1000.0).measurement.passes if result.kind == "speed" else ():
            journal.append(PassEntry(number, one))
        journal.append(ResultEntry(result))
    journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    read = read_run(path)
    assert read.complete, read.damage
    write_tables(read)
    return path


def _loader(name: str, path: Path, load: Callable[[], object], form: str, *, slow: bool) -> Loader:
    return Loader(name, path, path.read_bytes(), load, form, slow=slow)


def compute_all(run: Run) -> None:
    """Compute everything that a report shows."""
    found = analyse(run)
    for name in ANALYSED:
        getattr(found, name)
    found.failures(10, 3)
    print_summary(found)


def _make_history_loaders(folder: Path) -> list[Loader]:
    stored = folder / "stored"
    for number in range(2):
        _store(stored / str(number))
    table, head = stored / "0" / "results.parquet", stored / "0" / "header.json"

    def read() -> object:
        return judge_history(read_history(stored, revisions=()))

    return [
        Loader("parquet", table, table.read_bytes(), read, "parquet", slow=True),
        Loader("history", head, head.read_bytes(), read, "json", slow=True),
    ]


def _make_document_loaders(folder: Path) -> list[Loader]:
    blessing = {
        "backend": "mine",
        "problem": PLAIN,
        "verdict": "SLOWER",
        "commit": "a" * 40,
        "reason": "known",
        "created": "2026-01-01",
        "ratio": {"value": 1.1, "low": 1.0, "high": 1.2},
    }
    qualified = asdict(Qualification(environment="one", created="", cells=3, alarms=0, powers={"0.1": (3, 4)}))
    problems = {
        "format": 1,
        "source": "made",
        "problems": [{"name": "a", "line": PLAIN, "multiplicity": 2}],
        "left_out": [{"name": "b", "operator": "Loop", "count": 1, "reason": "inside"}],
    }
    timed_one = {
        "fullname": "t",
        "stats": {"data": [1e-3, 2e-3], "iterations": 3, "rounds": 2, "min": 1e-3},
        "options": {},
        "extra_info": {"problem": PLAIN, "backend": "mine", "verified": True},
    }
    benchmarks = {
        "machine_info": {"cpu": {"brand": "x"}, "node": "n"},
        "datetime": "2026-01-01T00:00:00",
        "commit_info": {"id": "a" * 40, "dirty": False},
        "benchmarks": [timed_one],
    }
    lines = f"agrees-with-reference\t{PLAIN}\nlinear\tmax_pool x=1x2x9 kernel=3 stride=2 pad=1\n"
    paths = {name: folder / name for name in ("p.json", "b.json", "mine.txt", "lines.txt")}
    return [
        Loader(
            "blessings", folder / BLESSINGS, json.dumps([blessing]).encode(), lambda: read_blessings(folder), "json"
        ),
        Loader(
            "qualification",
            qualification_file("one"),
            json.dumps(qualified).encode(),
            lambda: (found := read_qualification("one")) and found.failures,
            "json",
        ),
        Loader(
            "problems", paths["p.json"], json.dumps(problems).encode(), lambda: read_workload(paths["p.json"]), "json"
        ),
        Loader(
            "benchmarks",
            paths["b.json"],
            json.dumps(benchmarks).encode(),
            lambda: read_benchmarks(paths["b.json"]),
            "json",
        ),
        Loader("claims", folder / "claims.toml", CLAIMS, lambda: read_claims(folder / "claims.toml"), "toml"),
        Loader("lines", paths["lines.txt"], lines_of_problems(), lambda: name_problems([paths["lines.txt"]]), "line"),
        *_make_setting_loaders(folder),
        Loader("corpus", paths["mine.txt"], lines.encode(), lambda: read_cases(folder, "mine"), "line"),
    ]


def lines_of_problems() -> bytes:
    """Return a text file of problems."""
    return f"# made\n{PLAIN}\n\nmax_pool x=1x2x9 kernel=3 stride=2 pad=1\n".encode()


def _make_setting_loaders(folder: Path) -> list[Loader]:
    """Settings of a project, and files by which commands find, claim and resume what another began."""
    project, record = folder / "project", folder / "kills"
    settings = {
        "tool": {"harness": {"plugin": ["a.py"], "output": "runs", "gate": {"budget": "60s", "unqualified": True}}}
    }
    holder = json.dumps({"pid": 7, "command": "harness run", "since": 1.7e9, "token": ""}).encode()
    command, ticket = COMMANDS["gate"][0], folder / "a.ticket"

    def find(name: str) -> click.Command:
        found: click.Command = importlib.import_module(COMMANDS[name][0]).command
        return found

    def read_defaults() -> object:
        found = read_settings(project)
        return found and make_defaults(*found, importlib.import_module(command).command, COMMANDS, find)

    (project / ".git").mkdir(parents=True)
    head = Head(1, "a" * 32, "2026-01-01", "harness killmatrix", ("one", "two"), {"faults": "2"})
    entries = (head, Planned(fault="one", cells="2"), Hunted(fault="one"))
    lines = b"".join(seal_line(msgspec.json.encode(entry), number) + b"\n" for number, entry in enumerate(entries, 1))
    seal = f"{70:20d} {3:20d} {'b' * 32} {'c' * 32}\n".encode()
    return [
        Loader("settings", project / "pyproject.toml", write_toml({"tool": settings}).encode(), read_defaults, "toml"),
        Loader("writer", folder / "writer.json", holder, lambda: str(refuse_writer(folder)), "json", silent=True),
        Loader("ticket", ticket, holder, lambda: str(read_ticket(ticket)), "json", silent=True),
        Loader("seal", seal_file("a" * 32), seal, lambda: read_seal("a" * 32), silent=True),
        Loader("kills", record / KILLS, lines, lambda: read_lines(record, read_file(record / KILLS)), "journal"),
    ]


def _make_system_loaders(folder: Path) -> list[Loader]:
    """Files of projects, plugins, other processes and the system."""
    tree, lease, root = folder / "tree", folder / "lease" / "cpu", folder / "root"
    project = {
        "project": {
            "name": "mine",
            "dependencies": ["numpy>=2"],
            "optional-dependencies": {"more": ["torch"]},
            "requires-python": ">=3.11",
        },
        "build-system": {"build-backend": "setuptools.build_meta", "requires": ["setuptools"]},
        "tool": {
            "poetry": {"dependencies": {"a": "1"}},
            "setuptools": {"dynamic": {"dependencies": {"file": "a.txt"}}},
        },
    }
    holder = {"pid": 7, "command": "harness run", "since": 1.7e9, "token": "a" * 32}
    (root / "proc/self").mkdir(parents=True)
    memory = b"MemTotal: 2000 kB\nMemAvailable: 1000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
    return [
        Loader(
            "pyproject",
            tree / "pyproject.toml",
            write_toml(project).encode(),
            lambda: _read_project(tree),
            "toml",
            silent=True,
            slow=True,
        ),
        Loader(
            "lease",
            lease.with_suffix(".holder"),
            json.dumps(holder).encode(),
            lambda: str(read_holder(lease)),
            "json",
            silent=True,
        ),
        Loader(
            "plugin",
            folder / "plugin.py",
            PLUGIN,
            lambda: load_plugins((), only=(str(folder / "plugin.py"),)),
            silent=True,
        ),
        Loader("memory", root / "proc/meminfo", memory, lambda: _read_machine(root), silent=True),
        Loader("group", root / "proc/self/cgroup", b"0::/a/b\n", lambda: _read_machine(root), silent=True),
    ]


def _read_project(tree: Path) -> None:
    path = tree / "pyproject.toml"
    text = path.read_text("utf-8", errors="replace") if path.is_file() else ""
    (
        is_package(tree),
        list_asked(tree),
        list_versions(tree),
        told("pyproject.toml", text),
        why_compiled({"pyproject.toml": text}),
    )


def _read_machine(root: Path) -> None:
    describe_machine(root), describe_limits(root), usable_memory(root)


def _make_onnx_loaders(folder: Path) -> list[Loader]:
    """Return the loader of ONNX models, if the package is installed."""
    try:
        from onnx import TensorProto, helper
    except ImportError:
        return []
    from harness.capture.onnx_graph import capture_onnx

    def value(name: str, *shape: int) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], strides=[1, 1], pads=[0, 0, 0, 0], group=1, dilations=[1, 1]),
        helper.make_node("MaxPool", ["c"], ["m"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, auto_pad="NOTSET"),
        helper.make_node("GlobalAveragePool", ["m"], ["y"]),
        helper.make_node("ConvTranspose", ["m", "u"], ["z"], output_padding=[1, 1], strides=[2, 2]),
    ]
    inputs = [value("x", 1, 3, 8, 8), value("w", 4, 3, 3, 3), value("b", 4), value("u", 4, 2, 3, 3)]
    graph = helper.make_graph(nodes, "g", inputs, [value("y", 1, 4, 1, 1)])
    path = folder / "model.onnx"
    content = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()
    return [Loader("onnx", path, content, lambda: capture_onnx(str(path), backward=True), "onnx")]
