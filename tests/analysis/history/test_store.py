"""Folders of runs, whole and damaged."""

import json
import shutil
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.analysis.history.series import read_history
from harness.analysis.history.store import is_whole, open_store
from harness.errors import UsageError
from harness.laws.deviation import Deviation
from harness.record.run import ArmRecord
from tests.analysis.history.stored import LINE, store_run, timed


def _medians(history):
    return [round(ms) for one in history.series for ms in one.median_ns]


@pytest.fixture
def two(tmp_path):
    store_run(tmp_path / "a", timed(0, 1000.0), day=1)
    store_run(tmp_path / "deep" / "er" / "b", timed(0, 2000.0), day=2)
    return tmp_path


def test_runs_are_found_at_any_depth_and_put_in_order(two):
    assert [run.path.name for run in open_store(two).runs] == ["a", "b"]
    assert _medians(read_history(two, revisions=())) == [1000, 2000]


@pytest.mark.parametrize("cut", [0.0, 0.5, 0.999])
def test_a_truncated_table_is_named_and_its_journal_read(two, cut):
    table = two / "deep" / "er" / "b" / "results.parquet"
    raw = table.read_bytes()
    assert is_whole(table)
    table.write_bytes(raw[: int(cut * len(raw))])
    assert not is_whole(table)
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000]
    assert [notice for notice in history.notices if "b/results.parquet' is damaged; 1 times" in notice]


def test_a_table_that_is_damaged_inside_is_named_and_its_journal_read(two):
    table = two / "deep" / "er" / "b" / "results.parquet"
    raw = bytearray(table.read_bytes())
    end = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    raw[4:end] = b"\xff" * (end - 4)
    table.write_bytes(raw)
    assert is_whole(table)  # so that only reading it tells
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000]
    assert [notice for notice in history.notices if "b/results.parquet' is damaged; 1 times" in notice]


def test_a_table_with_other_columns_is_named_and_its_journal_read(two):
    pq.write_table(pa.table({"problem": [LINE]}), two / "a" / "results.parquet")
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000]
    assert [notice for notice in history.notices if "a/results.parquet' is damaged" in notice]


def test_a_run_whose_table_and_journal_are_damaged_is_left_out_and_named(two):
    (two / "a" / "results.parquet").write_bytes(b"PAR1")
    (two / "a" / "journal.jsonl").write_bytes(b"no json\n{}\n")
    history = read_history(two, revisions=())
    assert _medians(history) == [2000]
    assert [notice for notice in history.notices if "left out" in notice and "a/results.parquet" in notice]


def test_a_run_that_still_goes_on_is_named_and_counts(two):
    store_run(two / "now", timed(0, 3000.0), day=3, table=False)
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000, 3000]
    assert [notice for notice in history.notices if "now/results.parquet' is not there yet" in notice]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "cannot be read"),
        ('{"format": 1}', "cannot be read"),
        (None, "no header.json"),
        ("99", "format 99 is newer"),
        ("no date", "Invalid isoformat"),
    ],
)
def test_an_unreadable_header_is_named_and_the_rest_read(two, text, why):
    header = two / "a" / "header.json"
    content = json.loads(header.read_text())
    if text is None:
        header.unlink()
    else:
        changed = {"99": {"format": 99}, "no date": {"created": "yesterday"}}.get(text)
        header.write_text(json.dumps(content | changed) if changed else text)
    history = read_history(two, revisions=())
    assert _medians(history) == [2000]
    assert [notice for notice in history.notices if "left out" in notice and why in notice and "/a" in notice]


def test_runs_of_the_first_format_have_points(tmp_path):
    store_run(tmp_path / "old", timed(0, 1000.0), day=1, format=1)
    assert _medians(read_history(tmp_path, revisions=())) == [1000]
    store_run(tmp_path / "new", timed(0, 2000.0), day=2)
    history = read_history(tmp_path, revisions=())
    assert (_medians(history), history.notices) == ([1000, 2000], ())


@pytest.mark.parametrize("format", [1, 2, 3, 4, 5])
def test_only_verified_times_of_speed_cells_count(tmp_path, format):
    nothing = Deviation(kind="bound", worst=0.0, compared=0)
    store_run(
        tmp_path / "run", timed(0, 1000.0), timed(1, 2000.0, outcome="failed"), timed(2, 3000.0, suite="qualify+10"),
        timed(3, 4000.0, suite="qualify"), timed(4, 5000.0, deviation=nothing), format=format,
    )  # fmt: skip
    assert sorted(_medians(read_history(tmp_path, revisions=()))) == [1000, 4000]
    (tmp_path / "run" / "results.parquet").unlink()  # the journal follows the same rule
    assert sorted(_medians(read_history(tmp_path, revisions=()))) == [1000, 4000]


def test_merged_copies_count_once_and_a_whole_one_is_preferred(two):
    shutil.copytree(two / "a", two / "from elsewhere" / "a")
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000]
    assert "1 runs are copies of others, and count once" in history.notices
    (two / "a" / "results.parquet").write_bytes(b"")
    history = read_history(two, revisions=())
    assert _medians(history) == [1000, 2000]
    assert history.notices == ("1 runs are copies of others, and count once",)


@pytest.mark.parametrize("format", [4, 5])
def test_arms_count_as_their_backends_at_their_revisions(tmp_path, format):
    arms = (
        ArmRecord(name="base", backend="mine", text="mine@v1", revision="a" * 40),
        ArmRecord(name="new", backend="mine", text="mine", revision="b" * 40, dirty=True),
        ArmRecord(name="far", backend="mine", text="mine@env:/opt/other", revision="b" * 40),
    )
    cells = [replace(timed(n, 1000.0 * (n + 1), backend=arm.name), backend="mine") for n, arm in enumerate(arms)]
    store_run(tmp_path / "run", *cells, arms=arms, revision="c" * 40, format=format)
    history = read_history(tmp_path, backends=["mine"], revisions=["a" * 40, "b" * 40])
    assert [one.key.environment.partition("@")[2] for one in history.series] == ["", "env:/opt/other"]
    assert [source.commit for source, *_ in history.points(history.series[0])] == ["a" * 9, "b" * 9 + "+"]
    assert _medians(history) == [1000, 2000, 3000]


def test_a_quote_in_a_path_is_no_end_of_a_query(tmp_path):
    store_run(tmp_path / "it's 50% [a] run", timed(0, 1000.0))
    history = read_history(tmp_path, revisions=())
    assert (_medians(history), history.notices) == ([1000], ())


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_runs_is_one_line(tmp_path, make):
    folder = tmp_path / "runs"
    if make:
        (folder / "empty" / "workers").mkdir(parents=True)
    with pytest.raises(UsageError, match="holds no run that can be read" if make else "is no folder"):
        open_store(folder)


def test_a_directory_that_is_being_written_is_not_looked_at(two):
    store_run(two / "imported-1.part", timed(0, 3000.0))
    assert _medians(read_history(two, revisions=())) == [1000, 2000]
