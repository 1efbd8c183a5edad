"""Archives: the same bytes for the same run, read back unchanged; any other file is rejected."""

import io
import zipfile

import msgspec
import pytest

from harness.errors import UsageError
from harness.record import archive
from harness.record.archive import MARK, read_archive, write_archive
from harness.record.directory import read_run
from harness.record.run import FORMAT
from tests.record.stored import OTHER, law, store_run, timed_run, times


@pytest.fixture
def run(tmp_path):
    cells = (law(), law(line=OTHER), times(1000.0), times(2000.0, line=OTHER))
    return read_run(store_run(timed_run(*cells), tmp_path / "run"))


def pack(run, suite=None):
    file = io.BytesIO()
    write_archive(run, file, suite)
    return file.getvalue()


def rewrite(data, *, mark=MARK + b"1", **members):
    """Rewrite the zip with other members (None removes one) and another mark."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w") as new:
        new.comment = mark
        contents = {name: old.read(name) for name in old.namelist()} | members
        for name, content in contents.items():
            if content is not None:
                new.writestr(name, content)
    return file.getvalue()


def test_a_packed_run_reads_back_as_it_was(run, tmp_path):
    path = tmp_path / "x.run"
    path.write_bytes(pack(run))
    found = read_archive(path)
    assert found.results == run.results
    assert found.header == run.header
    assert found.complete and found.path == path


def test_the_same_run_gives_the_same_bytes_wherever_and_whenever_it_lies(run, tmp_path):
    again = read_run(store_run(run, tmp_path / "elsewhere" / "again"))
    (again.path / "header.json").touch()
    assert pack(run) == pack(again)


def test_one_suite_is_kept_with_its_own_count_of_cells(run, tmp_path):
    path = tmp_path / "x.run"
    path.write_bytes(pack(run, "speed-short"))
    found = read_archive(path)
    assert [result.kind for result in found.results] == ["speed", "speed"]
    assert found.header.suites == ("speed-short",)
    assert found.header.cells == 2 and found.complete and not found.damage
    with pytest.raises(UsageError, match=r"suite: got 'sped', wanted one .*correctness, speed-short"):
        pack(run, "sped")


def test_cells_without_results_stay_missing_when_one_suite_is_kept(run, tmp_path):
    lines = (run.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "journal.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:30])
    path = tmp_path / "x.run"
    path.write_bytes(pack(read_run(run.path), "speed-short"))
    found = read_archive(path)
    assert len(found.results) == 1 and found.header.cells == 2
    assert not found.complete


def test_a_damaged_journal_is_kept_as_a_whole_and_stays_incomplete(run, tmp_path):
    lines = (run.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run.path / "journal.jsonl").write_bytes(b"".join([lines[0], lines[1][:30] + b"\n", *lines[2:]]))
    damaged = read_run(run.path)
    with pytest.raises(UsageError, match=r"suite: got .*, but the journal .* is damaged \(line 2 is damaged"):
        pack(damaged, "speed-short")
    path = tmp_path / "x.run"
    path.write_bytes(pack(damaged))
    assert read_archive(path).damage == damaged.damage


def test_a_run_that_is_too_large_is_refused_both_ways(run, tmp_path, monkeypatch):
    data = pack(run)
    path = tmp_path / "x.run"
    path.write_bytes(data)
    monkeypatch.setattr(archive, "MOST_BYTES", 1000)
    with pytest.raises(UsageError, match=r"run is too large: .* keep one suite with --suite"):
        pack(run)
    with pytest.raises(UsageError, match="unpacked it would have"):
        read_archive(path)


def _newer(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        header = msgspec.json.decode(file.read("header.json"))
    return rewrite(data, **{"header.json": msgspec.json.encode(header | {"format": FORMAT + 1})})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: b"", "it is empty"),
        (lambda data: b"some text\n" * 20, "it is no baseline, or was damaged or cut short"),
        (lambda data: data[: len(data) // 2], "it is no baseline, or was damaged or cut short"),
        (lambda data: data[:-3], "cut short|zip of something else"),
        (lambda data: data.replace(data[200:210], bytes(10), 1), "no baseline, or was damaged"),
        (lambda data: rewrite(data, mark=b""), "it is a zip of something else"),
        (lambda data: rewrite(data, mark=b"1"), "it is a zip of something else"),
        (lambda data: rewrite(data, mark=MARK + b"2"), "it is of a newer format: got 2, wanted at most 1; upgrade"),
        (lambda data: rewrite(data, **{"../evil": b""}), r"it holds \.\./evil, header.json, journal.jsonl, wanted"),
        (lambda data: rewrite(data, **{"journal.jsonl": None}), "it holds header.json, wanted"),
        (lambda data: rewrite(data, **{"header.json": b"{}"}), r"not a run: '.*x\.run/header.json' has no format"),
        (lambda data: rewrite(data, **{"journal.jsonl": b"?\n{}\n"}), r"run is torn: '.*x\.run/journal.jsonl' line 1"),
        (_newer, f"run is of a newer format: got {FORMAT + 1}, wanted at most {FORMAT}; upgrade"),
    ],
    ids=[
        "empty", "text", "half", "end", "bytes", "zip", "comment", "newer-file", "path", "member", "header", "journal",
        "newer",
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_said(run, tmp_path, spoil, message):
    path = tmp_path / "x.run"
    path.write_bytes(spoil(pack(run)))
    with pytest.raises(UsageError, match=message):
        read_archive(path)
    assert not (tmp_path.parent / "evil").exists() and not (tmp_path / "evil").exists()


def test_a_folder_in_its_place_is_said(tmp_path):
    (tmp_path / "x.run").mkdir()
    with pytest.raises(UsageError, match="it cannot be read"):
        read_archive(tmp_path / "x.run")
