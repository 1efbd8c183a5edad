"""Files that a backend opens are heard of, and what the harness or a package opens for itself is not."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.worker.host import opened
from harness.worker.host.opened import Opened, list_packages

READ, WRITTEN = os.O_RDONLY | os.O_CLOEXEC, os.O_WRONLY | os.O_CREAT


def _hear(kept, path, callers, monkeypatch, flags=READ):
    monkeypatch.setattr(opened, "list_callers", lambda: iter(callers))
    kept.hear("open", (str(path), "r", flags))
    return str(path) in kept.files


def test_the_innermost_code_that_is_not_pythons_decides(monkeypatch):
    kept = Opened(["mine"])
    python, own = f"{kept.python[0]}pathlib.py", f"{kept.harness}plugins/manager.py"
    site = f"{kept.python[0]}site-packages"
    assert _hear(kept, "/home/me/table-1", [python, "/home/me/mine.py", own], monkeypatch)
    assert _hear(kept, "/home/me/table-2", [f"{site}/numpy/lib/npyio.py", "/home/me/mine.py", own], monkeypatch)
    assert _hear(kept, "/home/me/.cache/mine/table-3", [f"{site}/mine/kernels.py", own], monkeypatch)
    assert not _hear(kept, "/home/me/table-4", [python, own], monkeypatch)
    fonts = "/home/me/.cache/matplotlib/fonts.json"
    assert not _hear(kept, fonts, [f"{site}/matplotlib/font_manager.py", "/home/me/mine.py", own], monkeypatch)


def test_code_of_the_harness_that_is_reached_by_a_link_is_the_harness(monkeypatch, tmp_path):
    kept = Opened([])
    (tmp_path / "linked").symlink_to(kept.harness)
    assert not _hear(kept, "/home/me/table", [str(tmp_path / "linked" / "api.py"), "/home/me/mine.py"], monkeypatch)
    (tmp_path / "python").symlink_to(kept.python[0])
    pathlib = str(tmp_path / "python" / "pathlib.py")
    assert _hear(kept, "/home/me/table", [pathlib, "/home/me/mine.py"], monkeypatch)
    assert not _hear(kept, "/home/me/other", [pathlib, f"{kept.harness}api.py"], monkeypatch)


def test_other_events_and_code_are_not_kept(monkeypatch, tmp_path):
    kept = Opened([])
    for path in ("/proc/self/maps", tmp_path / "mine.py", tmp_path / "fast.so"):
        assert not _hear(kept, path, ["/home/me/mine.py"], monkeypatch)
    kept.hear("import", ("numpy", None))
    kept.hear("open", (3, "r", 0))
    assert not kept.files


def test_a_file_counts_as_read_unless_what_it_held_can_not_have_been(monkeypatch):
    kept = Opened([])
    for flags in (WRITTEN, WRITTEN | os.O_APPEND, os.O_RDWR | os.O_TRUNC, os.O_RDWR | os.O_CREAT | os.O_EXCL):
        assert _hear(kept, "/home/me/log", ["/home/me/mine.py"], monkeypatch, flags)
        assert not kept.files["/home/me/log"]
    for flags in (READ, os.O_RDWR, os.O_RDWR | os.O_APPEND, None):
        assert _hear(kept, f"/home/me/{flags}", ["/home/me/mine.py"], monkeypatch, flags)
        assert kept.files[f"/home/me/{flags}"]
    for flags in (READ, WRITTEN):  # once read is read
        assert _hear(kept, "/home/me/log", ["/home/me/mine.py"], monkeypatch, flags)
        assert kept.files["/home/me/log"]


def test_more_files_than_are_kept_are_told_of_and_those_that_have_vanished_do_not_count(monkeypatch, tmp_path):
    monkeypatch.setattr(opened, "MOST_OPENED", 3)
    kept = Opened([])
    for number in range(50):  # temporary ones, which are gone
        _hear(kept, tmp_path / f"vanished-{number}", ["/home/me/mine.py"], monkeypatch)
    assert not kept.overfull and len(kept.files) < 6
    for number in range(6):
        (tmp_path / str(number)).touch()
        _hear(kept, tmp_path / str(number), ["/home/me/mine.py"], monkeypatch)
    assert kept.overfull


@pytest.fixture
def hearing():
    """Files that are heard of in this process, until the test ends."""
    kept, on = Opened([]), [True]
    sys.addaudithook(lambda event, arguments: kept.hear(event, arguments) if on else None)  # stays until the end
    yield kept
    on.clear()


def test_python_and_numpy_tell_what_they_open(tmp_path, hearing):
    np.save(tmp_path / "table.npy", np.ones(3))
    Path(tmp_path / "text").write_text("1")
    np.memmap(tmp_path / "raw", dtype=np.int8, mode="w+", shape=3)
    np.load(tmp_path / "table.npy")
    io.FileIO(tmp_path / "text").close()  # which tells of the path as it is given
    found = {Path(file).name: read for file, read in hearing.files.items() if Path(file).parent == tmp_path}
    assert found == {"table.npy": True, "text": True, "raw": False}


def test_a_name_that_is_relative_to_an_open_folder_is_found(tmp_path, hearing):
    (tmp_path / "table.bin").write_text("1")
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.close(os.open("table.bin", os.O_RDONLY, dir_fd=folder))
    finally:
        os.close(folder)
    assert hearing.files[str(tmp_path / "table.bin")], "heard of as written only"


def test_packages_of_an_installed_plugin_are_those_of_its_distribution(tmp_path, monkeypatch):
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness]\nfast = fast_kernels.plugin\n")
    (info / "RECORD").write_text("fast_kernels/plugin.py,,\nfast_tables.py,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert {"fast_kernels", "fast_tables"} <= list_packages(["fast"])
    (info / "RECORD").unlink()  # as packages of a system have none
    assert {"fast_kernels"} == list_packages(["fast"]) - {"fast"}
    assert list_packages(["named.plugin", "/home/me/mine.py"], ["named.plugin", "/home/me/mine.py"]) == {"named"}
