import json

import pytest

import harness
from harness import UsageError
from harness.analysis.exit_code import find_exit_code
from harness.record.directory import check_directory, new_directory, read_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return harness.run(
        "correctness", "speed-short", backends=["numpy-direct"], problems=["conv x=1x2x9 w=3x2x3 data=integer"],
        output=tmp_path_factory.mktemp("runs") / "run",
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


def test_a_damaged_line_in_the_middle_is_an_error(copied):
    data = (copied / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copied / "journal.jsonl").write_bytes(data[0][:20] + b"\n" + b"".join(data[1:]))
    with pytest.raises(UsageError, match=r"run is torn: .*line 1"):
        read_run(copied)


def _header(**changes):
    def change(path):
        header = json.loads((path / "header.json").read_text()) | changes
        (path / "header.json").write_text(json.dumps(header))

    return change


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_header(format=99), "run is of a newer format: got 99, wanted at most 5"),
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
    from dataclasses import replace

    from harness.record.run import Peak

    assert len(finished.measured_peaks) == 1  # in the first of three passes, and in every eighth
    low = Peak(device="cpu", gemm_gflops={"float32": 10.0, "float64": 9.0}, copy_gbs=3.0)
    high = Peak(device="cpu", gemm_gflops={"float32": 20.0, "float64": 5.0}, copy_gbs=2.0)
    (best,) = replace(finished, measured_peaks=(low, high)).peaks
    assert best == Peak(device="cpu", gemm_gflops={"float32": 20.0, "float64": 9.0}, copy_gbs=3.0)
