"""A run that was killed goes on with what is missing, and does nothing twice."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

import harness
from harness.analysis.analyse import analyse
from harness.analysis.exit_code import find_exit_code
from harness.errors import UsageError
from harness.execution.recorded import Recorded
from harness.exit_codes import ExitCode
from harness.plan.cell import Limits
from harness.record.directory import read_run
from harness.record.journal import seal_line
from harness.record.run import FORMAT, GAVE_UP, Resumption
from harness.record.seal import Seal, read_seal, seal_file
from reports.markdown import write
from tests.conftest import ROOT
from tests.execution.interrupted import cut, read_outcomes, run_killed

LINES = ("conv x=1x2x9 w=3x2x3 data=integer", "max_pool x=1x2x9 kernel=3")
ASKED = {"backends": ["numpy-direct"], "problems": LINES, "laws": ["agrees-with-reference"], "threads": 1}
COMMAND = (
    "run", "correctness", "--backend", "numpy-direct", *(part for line in LINES for part in ("--problem", line)),
    "--law", "agrees-with-reference", "--threads", "1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return harness.run("correctness", **ASKED, output=tmp_path_factory.mktemp("whole") / "run")


def resume(folder, **changes):
    return harness.run("correctness", **ASKED | changes, resume=folder)


def count(folder, kind):
    """Return how many lines of a kind the journal of a run has."""
    return (folder / "journal.jsonl").read_bytes().count(b'{"type":"%b"' % kind.encode())


def test_a_killed_run_goes_on_with_what_is_missing(tmp_path, whole):
    folder = tmp_path / "run"
    run_killed("2+", *COMMAND, "--output", folder)
    begun = read_run(folder)
    assert (len(begun.results), begun.torn, begun.complete) == (1, True, False)
    run = resume(folder)
    assert run.complete and not run.torn and find_exit_code(run) == ExitCode.OK
    assert read_outcomes(run) == read_outcomes(whole)
    assert count(folder, "result") == len(run.results)
    (found,) = run.resumptions
    assert (found.results, found.reason, found.sealed) == (1, None, True)
    assert run.header.command == begun.header.command and run.header.command.startswith("python -m harness run")
    assert not seal_file(run.header.run).exists() and not (folder / "writer.json").exists()


@pytest.mark.parametrize("lines", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_it_goes_on_from_every_line_and_a_second_time(tmp_path, whole, lines):
    folder = cut(whole.path, tmp_path / "run", lines, b'{"type":"res')
    run = resume(folder)
    assert run.complete and read_outcomes(run) == read_outcomes(whole)
    assert count(folder, "result") == len(run.results) and count(folder, "arm") == 1
    again = resume(folder)
    assert again == run and count(folder, "resume") == 1  # nothing is missing, so nothing is written


@pytest.mark.slow
def test_a_run_killed_before_its_header_is_begun_in_its_folder(tmp_path, whole):
    folder = tmp_path / "run"
    (folder / "workers").mkdir(parents=True)
    (folder / "journal.jsonl").touch()
    (folder / "header.json.part").write_text("{")
    run = resume(folder)
    assert read_outcomes(run) == read_outcomes(whole) and run.resumptions == ()


@pytest.mark.slow  # a killed one does
def test_an_interrupted_run_goes_on_and_its_end_is_the_last_one(tmp_path, whole):
    class Interrupting(SimpleNamespace):
        def recorded(self, result):
            raise KeyboardInterrupt

    watch = Interrupting(**dict.fromkeys(("begin", "working", "advance", "end"), lambda *_: None))
    with pytest.raises(KeyboardInterrupt):
        harness.run("correctness", **ASKED, output=tmp_path / "run", watch=watch)
    stopped = read_run(tmp_path / "run")
    assert stopped.ending.reason == "interrupted" and seal_file(stopped.header.run).exists()
    run = resume(tmp_path / "run")
    assert run.complete and read_outcomes(run) == read_outcomes(whole)
    assert run.resumptions[0].reason == "interrupted" and run.resumptions[0].sealed


# --- what is refused ----------------------------------------------------------------------------------------------


@pytest.fixture
def killed(tmp_path, whole):
    return cut(whole.path, tmp_path / "run", 2)


def seal(folder):
    """Seal a run in its present state."""
    run, path = read_run(folder), folder / "journal.jsonl"
    from harness.record.directory import digest_header, encode_header
    from harness.record.journal import Journal

    path.rename(path.with_suffix(".old"))
    journal = Journal(path, path.with_suffix(".old").open("r+b", buffering=0), path.with_suffix(".old").read_bytes())
    journal.use_seal(Seal(run.header.run, digest_header(encode_header(run.header))))
    path.with_suffix(".old").rename(path)
    journal.close()
    assert read_seal(run.header.run).lines == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problems": LINES[:1]}, r"cells: got 1 cells \(\w+\), the run has 2 cells"),
        ({"problems": LINES[::-1]}, r"cells: got 2 cells"),
        ({"backends": ["im2col"]}, r"arms: got im2col, the run has numpy-direct; cells"),
        ({"threads": None}, r"cells: got 2 cells .*; threads: got default, the run has 1"),
        ({"plugins": [str(ROOT / "tests/faulty/right.py")]}, r"plugins: got \S+right.py, the run has none; plug"),
        ({"limits": Limits(memory_bytes=2**33)}, r"limits: got time of the suite, memory 8589934592"),
    ],
)  # fmt: skip
def test_another_plan_is_refused_with_what_differs(killed, changes, said):
    before = (killed / "journal.jsonl").read_bytes()
    with pytest.raises(UsageError, match=f"run cannot be resumed.*: {said}.* with --resume") as caught:
        resume(killed, **changes)
    assert "\n" not in str(caught.value) and caught.value.exit_code == ExitCode.USAGE
    assert (killed / "journal.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("OMP_WAIT_POLICY", "ACTIVE", "the same: variable OMP_WAIT_POLICY: got ACTIVE, the run has none; wanted"),
    ],
)
def test_another_environment_is_refused(killed, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said):
        resume(killed)


def test_another_machine_and_other_sources_are_refused(killed, monkeypatch):
    from harness.execution import identity, pipeline

    real = pipeline.describe_environment
    monkeypatch.setattr(pipeline, "describe_environment", lambda threads: real(threads) | {"cpu": "other"})
    with pytest.raises(UsageError, match="machine: got other, "):
        resume(killed)
    monkeypatch.undo()
    monkeypatch.setattr(identity, "OWN", ("harness",))
    with pytest.raises(UsageError, match=r"harness: got \w{16}, the run has \w{16}; wanted its own command"):
        resume(killed)


def test_a_backend_that_reports_other_versions_is_refused(killed):
    def change(line):
        body = line[: line.rindex(b',"line":')] + b"}"
        return seal_line(re.sub(rb'"versions":\{', b'"versions":{"lib":"1",', body), 1)

    path = killed / "journal.jsonl"
    first, *rest = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([change(first), *rest, b""]))
    with pytest.raises(UsageError, match="run cannot be resumed: versions of arm 'numpy-direct': got"):
        resume(killed)
    assert not read_run(killed).complete


def _forge(path):
    """Turn an outcome around, with the right checksum."""
    lines = path.read_bytes().splitlines()
    body = lines[1][: lines[1].rindex(b',"line":')] + b"}"
    path.write_bytes(b"\n".join([lines[0], seal_line(body.replace(b'"passed"', b'"failed"'), 2), b""]))


def _drop(path):
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


@pytest.mark.parametrize("change", [_forge, _drop])
def test_records_that_were_changed_in_between_are_refused(killed, change):
    seal(killed)
    change(killed / "journal.jsonl")
    with pytest.raises(UsageError, match=r"but its journal\.jsonl is not what the harness wrote; wanted"):
        resume(killed)


def test_a_sealed_run_goes_on_and_a_line_behind_its_seal_is_done_again(killed, whole):
    seal(killed)
    with (killed / "journal.jsonl").open("ab") as file:
        file.write((whole.path / "journal.jsonl").read_bytes().splitlines(keepends=True)[2])
    assert len(read_run(killed).results) == 2
    run = resume(killed)
    assert run.resumptions[0].sealed and run.resumptions[0].results == 1
    assert run.complete and read_outcomes(run) == read_outcomes(whole)


def test_without_a_seal_checksums_and_numbers_are_looked_at(killed):
    path = killed / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"passed"', b'"failed"'))
    with pytest.raises(UsageError, match=r"but its journal\.jsonl is damaged \(line 2 is damaged"):
        resume(killed)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_changed_header_is_refused(killed, sealed):
    if sealed:
        seal(killed)
    header = killed / "header.json"
    header.write_text(header.read_text().replace('"created": "2', '"created": "3' if sealed else '"created":  "2'))
    with pytest.raises(UsageError, match=r"header\.json is not"):
        resume(killed)


def test_folders_that_are_no_interrupted_runs_are_refused(tmp_path, killed):
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (tmp_path / "none", "resume: got .*none', which is no folder"),
        (tmp_path / "empty", "not a run: .*empty' has no readable header.json"),
    ):
        with pytest.raises(UsageError, match=said):
            resume(folder)
    with pytest.raises(UsageError, match=r"resume: got .* and the output folder '.*other', wanted one of them"):
        resume(killed, output=tmp_path / "other")
    header = killed / "header.json"
    header.write_text(json.dumps(json.loads(header.read_text()) | {"identity": {}}))
    with pytest.raises(UsageError, match=rf"a run of another release or tool \(format {FORMAT}\)"):
        resume(killed)


# --- workers that were given up ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "deaths"),
    [("", 0), ("pcc", 2), ("ccp", 0), ("ct", 2), ("cccg", 3), ("p.c.", 1), ("cu", 0)],
)  # fmt: skip
def test_deaths_in_a_row_are_counted_over_the_interruption(whole, outcomes, deaths):
    names = {"p": "passed", "c": "crashed", "t": "timeout", "g": "skipped", "u": "unsupported"}
    results = {
        number: replace(whole.results[0], outcome=names[one], reason=f"3 cells; {GAVE_UP}" if one == "g" else None)
        for number, one in enumerate(outcomes)
        if one != "."
    }
    cells = [SimpleNamespace(number=number) for number in range(len(outcomes) + 1)]
    assert Recorded(results=results).count_deaths(cells) == deaths


@pytest.mark.slow
def test_no_file_of_the_state_folder_is_needed(tmp_path, monkeypatch, killed, whole):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "file"))
    run = resume(killed)
    assert run.complete and not run.resumptions[0].sealed
    assert read_outcomes(run) == read_outcomes(whole)


def test_the_report_of_a_resumed_run_says_so_and_is_the_same_otherwise(tmp_path, whole):
    run = replace(whole, resumptions=(
        Resumption(at="T2", stopped="T1", results=1, sealed=True, changed={"kernel": ("6.1", "6.2")}),
        Resumption(at="T4", stopped="T3", reason="interrupted", results=2),
    ))  # fmt: skip
    texts = []
    for one in (whole, run):
        write(analyse(one), tmp_path)
        texts.append((tmp_path / "report.md").read_text().splitlines())
    more = [line for line in texts[1] if line not in texts[0]]
    assert [line for line in texts[1] if line not in more] == texts[0]
    assert more == [
        "- Resumed: `interrupted 2 times and resumed: killed after 1 cell at T1, resumed at T2, machine changed: "
        "kernel was 6.1, is 6.2; interrupted after 2 cells at T3, resumed at T4, records compared by their checksums "
        "only, as there was no seal`"
    ]
