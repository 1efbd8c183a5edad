"""A kill matrix that was killed goes on with what is missing, and asks nothing twice."""

import json
import os
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.api.faults import killmatrix
from harness.errors import UnwritableError, UsageError
from harness.execution.worker_supervisor import WorkerSupervisor
from harness.experiments.kill_matrix import make_matrix
from harness.experiments.kill_record import FILE, KillRecord, check_record, open_record
from harness.record.journal import Journal, seal_line
from harness.record.run import result_of
from harness.record.seal import seal_file
from suites.geometries import correctness_problems
from tests.conftest import ROOT
from tests.execution.interrupted import run_killed

CAUGHT, SURVIVOR = "faulty:flipped", "faulty:max-grad-overwrites"
FAULTS, LAWS, IDENTITY = (CAUGHT, SURVIVOR), ("tap-probe", "input-adjoint"), {"faults": "two"}
PASSED_ON = 5  # numbers of cells below which the stub lets the caught fault pass


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def small(registry):
    """A registry whose suite `correctness` has few problems."""
    suite = replace(registry.suites["correctness"], problems=lambda: correctness_problems()[:30])
    return replace(registry, suites={**registry.suites, "correctness": suite})


@pytest.fixture
def asked(monkeypatch):
    """Let supervisors answer at once, so that one law catches one fault; return what they were asked."""
    seen = []

    def check(self, cell, formula):
        seen.append((self.backend, cell.number))
        wrong = (self.backend, cell.law) == (CAUGHT, LAWS[0]) and cell.number >= PASSED_ON
        return result_of(cell, "failed" if wrong else "passed", reason="as told" if wrong else None)

    monkeypatch.setattr(WorkerSupervisor, "check", check)
    return seen


def make(small, folder, *, resume=False, identity=IDENTITY, jobs=1):
    record = open_record(folder, FAULTS, identity, "harness killmatrix", resume=resume)
    try:
        return make_matrix(small, FAULTS, LAWS, folder, jobs=jobs, record=record)
    finally:
        record.close()


def read(folder):
    return [json.loads(line) for line in (folder / FILE).read_bytes().splitlines()]


def cut(folder, lines, more=b""):
    """Leave so many lines of a record."""
    path = folder / FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:lines]) + more)


@pytest.fixture
def whole(small, asked, tmp_path):
    folder = tmp_path / "whole"
    folder.mkdir()
    matrix = make(small, folder)
    assert matrix.survivors == (SURVIVOR,) and matrix.tried == len(asked) > 15
    assert list(seal_file("0" * 32).parent.iterdir()) == []  # nothing is left of a record that is complete
    return matrix


@pytest.mark.parametrize("lines", [0, 1, 2, 5, 11, 15, -1])
def test_it_goes_on_from_every_line(whole, small, asked, tmp_path, lines):
    folder, once = tmp_path / "whole", sorted(asked)
    cut(folder, lines, b'{"type":"asked","fau')
    kept = [(line["fault"], line["cell"]) for line in read_whole(folder) if line["type"] == "asked"]
    asked.clear()
    assert make(small, folder, resume=True) == whole
    assert sorted(asked + kept) == once
    written = Counter((line["type"], line.get("fault"), line.get("cell")) for line in read(folder))
    assert max(written.values()) == 1 and [line["line"] for line in read(folder)] == list(
        range(1, len(read(folder)) + 1)
    )


def read_whole(folder):
    data = (folder / FILE).read_bytes()
    return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]


def test_a_complete_record_asks_nothing_and_makes_room_for_a_new_one(whole, small, asked, tmp_path):
    folder = tmp_path / "whole"
    before = (folder / FILE).read_bytes()
    asked.clear()
    assert make(small, folder, resume=True) == whole and not asked
    assert (folder / FILE).read_bytes() == before
    assert check_record(folder, None) == folder
    assert make(small, folder) == whole and asked


def test_an_interrupted_record_is_not_overwritten(whole, tmp_path):
    folder = tmp_path / "whole"
    for lines in (14, 0):
        cut(folder, lines)
        with pytest.raises(UsageError, match="a kill matrix was interrupted; go on with --resume"):
            check_record(folder, None)


def test_sealed_records_that_were_changed_are_refused(small, asked, tmp_path, monkeypatch):
    def stop(journal, entry):
        append(journal, entry)
        if journal.done[1] == 14:
            raise KeyboardInterrupt

    append = Journal.append
    monkeypatch.setattr(Journal, "append", stop)
    with pytest.raises(KeyboardInterrupt):
        make(small, tmp_path)
    monkeypatch.setattr(Journal, "append", append)
    path = tmp_path / FILE
    *lines, last = path.read_bytes().splitlines()
    body = last[: last.rindex(b',"line":')] + b"}"
    path.write_bytes(b"\n".join([*lines, seal_line(body.replace(b"passed", b"failed"), len(lines) + 1), b""]))
    with pytest.raises(UsageError, match=r"but its killmatrix\.jsonl is not what the harness wrote; wanted"):
        make(small, tmp_path, resume=True)
    path.write_bytes(b"\n".join([*lines, last, b""]))
    assert make(small, tmp_path, resume=True).survivors == (SURVIVOR,)


@pytest.mark.parametrize(
    ("old", "new"), [(b'"passed"', b'"failed"'), (b'"kills"', b'"asked"'), (b'"line":3', b'"line":4')]
)
def test_damaged_records_are_refused(whole, small, tmp_path, old, new):
    path = tmp_path / "whole" / FILE
    cut(path.parent, 14)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(UsageError, match=r"line \d of its killmatrix\.jsonl is damaged, or of another release"):
        make(small, path.parent, resume=True)


def test_another_command_and_another_plan_are_refused(whole, small, registry, tmp_path):
    folder = tmp_path / "whole"
    cut(folder, 5)
    with pytest.raises(UsageError, match="faults: got three, the run has two; wanted its own command") as caught:
        make(small, folder, resume=True, identity={"faults": "three"})
    assert "\n" not in str(caught.value)
    fewer = replace(registry.suites["correctness"], problems=lambda: correctness_problems()[1:30])
    other = replace(registry, suites={**registry.suites, "correctness": fewer})
    with pytest.raises(UsageError, match=r"cells of 'faulty:flipped': got \w+, the record has \w+; wanted the same"):
        make(other, folder, resume=True)


def test_folders_without_a_record_and_two_at_once_are_refused(whole, small, tmp_path):
    with pytest.raises(UsageError, match=r"which has no killmatrix\.jsonl, wanted the --output"):
        check_record(None, tmp_path / "none")
    with pytest.raises(UsageError, match=r"and the output folder '.*other', wanted one of them"):
        check_record(tmp_path / "other", tmp_path / "whole")
    cut(tmp_path / "whole", 5)
    record = open_record(tmp_path / "whole", FAULTS, IDENTITY, "", resume=True)
    try:
        for begin in (
            lambda: make(small, tmp_path / "whole", resume=True),
            lambda: check_record(tmp_path / "whole", None),
        ):
            with pytest.raises(UsageError, match=r"output folder is in use: .* is writing"):
                begin()
    finally:
        record.close()


def test_a_full_disk_ends_it_and_accuses_nothing(small, asked, tmp_path, monkeypatch):
    full = SimpleNamespace(f_bavail=0, f_frsize=1, f_blocks=1)
    monkeypatch.setattr(os, "fstatvfs", lambda number: full)
    with pytest.raises(UnwritableError, match=r"make room, then go on with --resume \S+, or name another place"):
        make(small, tmp_path)
    assert not [line for line in read(tmp_path) if line.get("outcome") == "failed"]


def test_without_a_folder_nothing_is_kept(small, asked, tmp_path):
    record = KillRecord()
    assert open_record(check_record(None, None), FAULTS, IDENTITY, "", resume=False) == record
    assert make_matrix(small, FAULTS, LAWS, tmp_path, record=record).survivors == (SURVIVOR,)
    record.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on(tmp_path):
    """As a user does it: the command is killed by `kill -9`, and a function goes on."""
    suite = tmp_path / "few.py"
    suite.write_text(FEW)
    faults = str(ROOT / "tests/faulty/forward.py")
    run_killed(
        "5+", "killmatrix", "--faults", faults, "--backend", CAUGHT, "--no-plugin", "suites.correctness", "--plugin",
        suite, "--output", tmp_path / "cut",
    )  # fmt: skip
    assert [line["type"] for line in read_whole(tmp_path / "cut")] == ["kills", "planned", *["asked"] * 3]
    given = {"backends": [CAUGHT], "plugins": [str(suite)], "without": ["suites.correctness"]}
    matrix = killmatrix(faults, **given, resume=tmp_path / "cut")
    assert matrix == killmatrix(faults, **given) and matrix.killers(CAUGHT) == ("tap-probe",)


FEW = """
import harness
from suites.laws import all_laws

NAMES = ("linear-in-the-input", "tap-probe")


def list_problems():
    lines = [f"conv x=1x2x{n} w=3x2x3 data=integer" for n in range(9, 12)]
    return tuple(harness.NamedProblem(name=line, problem=harness.parse_line(line)) for line in lines)


@harness.hookimpl
def register_suites(register):
    for law in all_laws():
        register(law)
    register(harness.Suite(
        name="correctness", kind="correctness", description="d", problems=list_problems, laws=NAMES,
    ))
"""
