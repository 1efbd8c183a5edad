"""Baselines by name: saved completely or not at all, never overwritten by accident, found again or reported."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from harness.errors import UsageError
from harness.record import baselines as store
from harness.record.baselines import latest_run, list_baselines, read_baseline, save_baseline
from harness.record.directory import read_run
from tests.record.stored import arms_run, store_run, timed_run, times


@pytest.fixture
def run(tmp_path):
    return read_run(store_run(timed_run(times(1000.0)), tmp_path / "runs" / "one"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


def test_a_saved_run_is_found_by_its_name(run, folder):
    path = save_baseline(run, "v1.2", folder)
    assert path == folder / "v1.2.run"
    assert read_baseline(folder, "v1.2").results == run.results
    assert [one.name for one in list_baselines(folder)] == ["v1.2"]
    assert [p.name for p in folder.iterdir()] == ["v1.2.run"]


def test_a_name_that_is_taken_needs_replace(run, folder, tmp_path):
    save_baseline(run, "main", folder)
    later = read_run(store_run(timed_run(times(2000.0)), tmp_path / "runs" / "two"))
    with pytest.raises(UsageError, match=r"baseline exists: got 'main'.*--replace"):
        save_baseline(later, "main", folder)
    assert read_baseline(folder, "main").results == run.results
    save_baseline(later, "main", folder, replace=True)
    assert read_baseline(folder, "main").results == later.results


def test_of_two_writers_at_once_one_is_refused_and_the_file_is_whole(run, folder):
    def save(_):
        try:
            return save_baseline(run, "main", folder)
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(save, range(8)))
    assert said.count(folder / "main.run") == 1
    assert sum("baseline exists" in str(one) for one in said) == 7
    assert read_baseline(folder, "main").complete
    assert [p.name for p in folder.iterdir()] == ["main.run"]


def test_a_name_that_is_taken_while_the_file_is_written_is_not_overwritten(run, folder, monkeypatch):
    def write_second(run, file, suite):
        monkeypatch.setattr(store, "write_archive", write)
        save_baseline(run, "main", folder)
        write(run, file, suite)

    write = store.write_archive
    monkeypatch.setattr(store, "write_archive", write_second)
    with pytest.raises(UsageError, match="baseline exists: got 'main'"):
        save_baseline(run, "main", folder)
    assert [p.name for p in folder.iterdir()] == ["main.run"]


def test_a_file_system_without_hard_links_will_do(run, folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "link", refuse)
    save_baseline(run, "main", folder)
    with pytest.raises(UsageError, match="baseline exists"):
        save_baseline(run, "main", folder)
    assert read_baseline(folder, "main").complete


def test_what_fails_half_way_leaves_the_old_one_and_no_part(run, folder, monkeypatch):
    save_baseline(run, "main", folder)

    def fail(run, file, suite):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "write_archive", fail)
    with pytest.raises(UsageError, match=r"cannot be written: .*No space left"):
        save_baseline(run, "main", folder, replace=True)
    assert [p.name for p in folder.iterdir()] == ["main.run"]
    assert read_baseline(folder, "main").results == run.results


def test_an_incomplete_run_is_kept_only_where_that_is_wanted(tmp_path, folder):
    run = read_run(store_run(timed_run(times(1.0), complete=False), tmp_path / "run"))
    with pytest.raises(UsageError, match=r"run is incomplete: .*--incomplete"):
        save_baseline(run, "main", folder)
    assert not folder.exists()
    save_baseline(run, "main", folder, incomplete=True)
    assert not read_baseline(folder, "main").complete


@pytest.mark.parametrize("name", ["a/b", "../a", "..", "a..b", ".hidden", "", "a b", "a\nb", "x" * 101, "C:\\x"])
def test_a_name_never_leads_elsewhere(run, folder, name):
    for use in (lambda: save_baseline(run, name, folder), lambda: read_baseline(folder, name)):
        with pytest.raises(UsageError, match="name of a baseline: got"):
            use()
    assert not folder.exists()


def test_an_unknown_name_is_answered_with_the_nearest(run, folder):
    with pytest.raises(UsageError, match=r"no baselines: got 'mian', .*baseline save mian"):
        read_baseline(folder, "mian")
    save_baseline(run, "main", folder)
    with pytest.raises(UsageError, match=r"unknown baseline: got 'mian', .*did you mean 'main'\?"):
        read_baseline(folder, "mian")


def test_a_folder_that_cannot_be_written_is_said(run, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", type(tmp_path)("/proc/none")):
        with pytest.raises(UsageError, match=r"baselines cannot be written: .*--folder"):
            save_baseline(run, "main", folder)


def test_a_damaged_file_is_listed_with_its_reason(run, folder):
    path = save_baseline(run, "a", folder)
    (folder / "b.run").write_bytes(path.read_bytes()[:-40])
    (folder / "c.run").write_bytes(b"")
    rows = list_baselines(folder)
    assert [(one.name, one.run is not None) for one in rows] == [("a", True), ("b", False), ("c", False)]
    assert "cut short" in rows[1].reason and rows[2].reason == "it is empty"
    with pytest.raises(UsageError, match=r"baseline '.*b\.run': it is no baseline"):
        read_baseline(folder, "b")


def test_the_latest_complete_run_is_taken_and_for_blessings_the_latest_of_arms(tmp_path):
    runs = tmp_path / "runs"
    store_run(timed_run(times(1.0), created="2026-01-02T00:00:00+0000"), runs / "a")
    store_run(timed_run(times(1.0), created="2026-01-01T00:00:00+0000"), runs / "z")
    store_run(timed_run(times(1.0), created="2026-01-04T00:00:00+0000", complete=False), runs / "cut")
    (runs / "torn").mkdir()
    (runs / "torn" / "header.json").write_text("{")
    assert latest_run(folder=runs).path == runs / "a"
    with pytest.raises(UsageError, match="none that compares arms, made by `gate` or `versus`"):
        latest_run(arms=True, folder=runs)
    compared = arms_run("b", "c", 1.5)
    store_run(replace(compared, header=replace(compared.header, created="2025-01-01T00:00:00+0000")), runs / "arms")
    assert latest_run(arms=True, folder=runs).path == runs / "arms"
    with pytest.raises(UsageError, match="none that is complete"):
        latest_run(folder=tmp_path / "nowhere")
