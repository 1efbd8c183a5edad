import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness import UsageError
from harness.analysis.descriptions import describe_incomplete
from harness.analysis.exit_code import find_exit_code
from harness.analysis.run_comparison import compare_runs
from harness.errors import ChangedError, UnwritableError
from harness.execution.progress import Silent
from harness.exit_codes import ExitCode
from harness.record.directory import check_directory, close_run, new_directory, read_run, write_header
from harness.record.journal import ResultEntry, seal_line
from harness.record.run import Ending, Measurement
from tests.lenient import keep_all_blocks
from tests.record.stored import OTHER, store_run
from tests.reports.made import make_run, time_cell


class Notes(Silent):
    """Keeps what is said of the machine: on a busy one its peak may take longer than its limit."""

    def __init__(self):
        self.said = []

    def working(self, arm, what):
        if arm == "machine":
            self.said.append(what)


NOTES = Notes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of all laws and times that succeeds, on one thread."""
    with keep_all_blocks():
        return harness.run(
            "correctness", "speed-short", backends=["numpy-direct"], problems=["conv x=1x2x9 w=3x2x3 data=integer"],
            threads=1, output=tmp_path_factory.mktemp("runs") / "run", watch=NOTES,
        )  # fmt: skip


@pytest.fixture
def copied(finished, tmp_path):
    for name in ("header.json", "journal.jsonl"):
        (tmp_path / name).write_bytes((finished.path / name).read_bytes())
    return tmp_path


def test_a_run_reads_back_as_it_was_written(finished):
    again = read_run(finished.path)
    assert again == finished
    assert again.complete
    assert find_exit_code(again) == 0
    timed = [result for result in again.results if result.measurement]
    assert len(timed) == 1
    assert len(timed[0].measurement.passes) == 3
    assert len({one.process for one in timed[0].measurement.passes}) == 3


def test_a_torn_last_line_is_tolerated_and_makes_the_run_incomplete(copied):
    data = (copied / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "journal.jsonl").write_bytes(b"".join(data[:-2]) + data[-2][:20])
    run = read_run(copied)
    assert run.torn
    assert not run.complete
    assert find_exit_code(run) == 4


def test_a_damaged_line_in_the_middle_costs_its_cell_and_makes_the_run_incomplete(copied, finished):
    data = (copied / "journal.jsonl").read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(data) if line.startswith(b'{"type":"result","result":{"cell":3,'))
    data[place] = data[place].replace(b'"outcome":"passed"', b'"outcome":"failed"')
    (copied / "journal.jsonl").write_bytes(b"".join(data))
    run = read_run(copied)
    assert run.results == tuple(result for result in finished.results if result.cell != 3)
    (said,) = run.damage
    lost = finished.results[3]
    assert f"line {place + 1} is damaged (probably the result of cell 3: {lost.arm} {lost.law} {lost.problem})" in said
    assert find_exit_code(run) == 4
    assert describe_incomplete(run) == (
        f"INCOMPLETE: {len(run.results)} of {run.header.cells} cells can be read; its journal is damaged: {said}"
    )


def test_every_line_that_is_damaged_or_missing_makes_the_run_incomplete(copied):
    data = (copied / "journal.jsonl").read_bytes().splitlines(keepends=True)
    for place in range(len(data)):
        for spoiled in ([data[place][:30] + b"\n"], []):
            (copied / "journal.jsonl").write_bytes(b"".join([*data[:place], *spoiled, *data[place + 1 :]]))
            run = read_run(copied)
            assert not run.complete and find_exit_code(run) == 4
            assert describe_incomplete(run)


def test_many_damaged_lines_are_counted(finished):
    run = replace(finished, damage=tuple(f"line {n} is damaged" for n in range(30)))
    assert describe_incomplete(run).endswith("line 19 is damaged, and 10 more")


def test_a_journal_without_a_line_that_can_be_read_is_an_error(copied):
    (copied / "journal.jsonl").write_bytes(b"nothing\nof a run\n")
    with pytest.raises(UsageError, match=r"run is torn: .*line 1 is damaged, and no other line can be read"):
        read_run(copied)


def test_a_journal_that_cannot_be_read_is_an_error(copied):
    (copied / "journal.jsonl").unlink()
    (copied / "journal.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"run cannot be read: .*journal\.jsonl' \(Is a directory\)"):
        read_run(copied)


@pytest.fixture
def going(finished, tmp_path):
    """A run that is about to end: its journal is open, and has one wrong result."""
    journal = write_header(tmp_path, finished.header)
    journal.append(ResultEntry(replace(finished.results[0], outcome="failed")))
    for result in finished.results[1:]:
        journal.append(ResultEntry(result))
    yield journal
    journal.file.close()


def test_an_untouched_run_is_closed_and_read_back(going, finished):
    run = close_run(going, finished.header, Ending(complete=True))
    assert run.complete and find_exit_code(run) == 1
    assert run == read_run(going.path.parent)


def _forge(path):
    lines = path.read_bytes().splitlines()
    body = lines[0][: lines[0].index(b',"line":')].replace(b'"outcome":"failed"', b'"outcome":"passed"') + b"}"
    with path.open("r+b") as file:
        file.write(seal_line(body, 1))


def _replace(path):
    forged = path.with_name("forged")
    forged.write_bytes(path.read_bytes())
    _forge(forged)
    forged.replace(path)


def _link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _folder(path):
    path.unlink()
    (path / "inner").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil", [_forge, _replace, _link, _pipe, _folder, Path.unlink, lambda path: path.write_bytes(b"")]
)
@pytest.mark.parametrize("kept", [False, True])
def test_a_journal_changed_by_others_ends_the_run_as_incomplete(going, finished, spoil, kept):
    folder = going.path.parent
    if kept:  # what stands in the way of setting the file aside
        (folder / "journal.jsonl.changed" / "inner").mkdir(parents=True)
    spoil(going.path)
    with pytest.raises(ChangedError, match=r"run is void: .*journal\.jsonl changed while the run") as caught:
        close_run(going, finished.header, Ending(complete=True))
    assert caught.value.exit_code == 4
    if kept and spoil is _folder:
        return
    run = read_run(folder)
    assert not run.complete and not run.counts["passed"]
    assert describe_incomplete(run).startswith(
        "INCOMPLETE: journal.jsonl changed while the run was going on after 0 of"
    )


def test_what_others_append_is_written_over_or_found(going, finished):
    with going.path.open("ab") as file:
        file.write(b"x" * 100_000)
    with pytest.raises(ChangedError):
        close_run(going, finished.header, Ending(complete=True))


def test_a_header_changed_by_others_is_restored_and_ends_the_run_as_incomplete(going, finished):
    path = going.path.parent / "header.json"
    path.write_text(path.read_text().replace(f'"cells": {finished.header.cells}', '"cells": 1'))
    with pytest.raises(ChangedError, match=r"header\.json changed"):
        close_run(going, finished.header, Ending(complete=True))
    run = read_run(path.parent)
    assert run.header == finished.header
    assert not run.complete and run.counts["failed"] == 1
    assert '"cells": 1' in path.with_name("header.json.changed").read_text()


def test_a_folder_with_a_journal_is_not_written_again(going, finished):
    folder = going.path.parent
    for write in (write_header, lambda folder, header: new_directory(str(folder), ("suite",))):
        with pytest.raises(
            UsageError, match=rf"output folder is in use: got '.*', which pid {os.getpid()} \(`.*`\) since"
        ):
            write(folder, finished.header)
    going.close()
    with pytest.raises(UnwritableError, match=r"output folder cannot be written: .*File exists"):
        write_header(folder, finished.header)


def _header(**changes):
    def change(path):
        header = json.loads((path / "header.json").read_text()) | changes
        (path / "header.json").write_text(json.dumps(header))

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_header(format=99), "run is of a newer format: got 99, wanted at most 7"),
        (_header(format=None), "has no format number"),
        (lambda path: (path / "header.json").write_text('{"format": 1, "crea'), "run is torn"),
        (lambda path: (path / "header.json").unlink(), "not a run"),
    ],
)
def test_a_directory_that_is_no_run_says_what_is_wrong(copied, damage, words):
    damage(copied)
    with pytest.raises(UsageError) as caught:
        read_run(copied)
    assert words in str(caught.value)


def test_a_missing_run(tmp_path):
    with pytest.raises(UsageError, match="run not found"):
        read_run(tmp_path / "nowhere")


def test_an_output_folder_in_use_or_not_writable(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(UsageError, match="output folder is in use"):
        new_directory(str(tmp_path / "full"), ("suite",))
    with pytest.raises(UsageError, match="output folder cannot be"):
        new_directory(str(tmp_path / "full" / "file" / "below"), ("suite",))


def test_an_output_folder_is_checked_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for wanted, match in (
        ("full", "is in use"),
        ("full/file/below", "cannot be"),
        ("/proc/none/run", "cannot be written"),
    ):
        with pytest.raises(UsageError, match=f"output folder {match}"):
            check_directory(wanted)
    (tmp_path / "empty").mkdir()
    for wanted in (None, "empty", "new", "empty/and/deep"):
        check_directory(wanted)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["empty", "full", "full/file"]


def test_a_default_folder_that_is_none_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harness-runs").touch()
    with pytest.raises(UsageError, match="output folder cannot be written: got 'harness-runs'"):
        check_directory(None)


def test_two_runs_at_the_same_second_get_two_directories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert new_directory(None, ("suite",)) != new_directory(None, ("suite",))


def test_the_tables_follow_their_schema(finished):
    import pyarrow.parquet as pq

    from harness.analysis.tables import RESULT_COLUMNS, SAMPLE_COLUMNS

    for name, columns in (("results", RESULT_COLUMNS), ("samples", SAMPLE_COLUMNS)):
        table = pq.read_table(finished.path / f"{name}.parquet")
        assert table.column_names == [column.name for column in columns]
        assert [field.metadata[b"unit"].decode() for field in table.schema] == [column.unit for column in columns]
        assert table.num_rows > 0


def test_the_peak_is_the_best_of_all_passes(finished):
    from harness.record.run import Peak

    missed = [text for text in NOTES.said if "not measured" in text]
    assert len(finished.measured_peaks) + len(missed) == 1  # in the first of three passes, and in every eighth
    low = Peak(device="cpu", gemm_gflops={"float32": 10.0, "float64": 9.0}, copy_gbs=3.0)
    high = Peak(device="cpu", gemm_gflops={"float32": 20.0, "float64": 5.0}, copy_gbs=2.0)
    (best,) = replace(finished, measured_peaks=(low, high)).peaks
    assert best == Peak(device="cpu", gemm_gflops={"float32": 20.0, "float64": 9.0}, copy_gbs=3.0)


@pytest.mark.parametrize(
    ("row", "lacks"),
    [
        (replace(time_cell(1, "mine", (1000.0,)), measurement=None), "times"),
        (replace(time_cell(1, "mine", (1000.0,)), measurement=Measurement(passes=())), "times"),
        (replace(time_cell(1, "mine", (1000.0,)), measurement=None, kind="count"), "counts"),
    ],
)
def test_a_recorded_success_without_what_it_claims_is_damage(tmp_path, row, lacks):
    good = time_cell(0, "mine", (1000.0,), OTHER)
    run = read_run(store_run(make_run(good, row), tmp_path / "run"))
    assert [result.cell for result in run.results] == [0]
    assert run.damage == (f"cell 1 passed without {lacks}",)
    assert find_exit_code(run) == ExitCode.INCOMPLETE
    assert compare_runs(run, run).exit_code == ExitCode.INCOMPLETE


def test_a_cell_without_times_that_did_not_pass_is_whole(tmp_path):
    row = time_cell(0, "mine", (), outcome="unsupported", reason="no more")
    assert not read_run(store_run(make_run(row), tmp_path / "run")).damage
