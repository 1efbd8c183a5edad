"""Files that a backend opens are heard of, and what the harness or a package opens for itself is not."""

import sys
from pathlib import Path

import numpy as np

from harness.worker.host import opened
from harness.worker.host.opened import Opened


def _hear(kept, path, callers, monkeypatch):
    monkeypatch.setattr(opened, "list_callers", lambda: iter(callers))
    kept.hear("open", (str(path), "r", 0))
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


def test_other_events_and_code_are_not_kept(monkeypatch, tmp_path):
    kept = Opened([])
    for path in ("/proc/self/maps", tmp_path / "mine.py", tmp_path / "fast.so"):
        assert not _hear(kept, path, ["/home/me/mine.py"], monkeypatch)
    kept.hear("import", ("numpy", None))
    kept.hear("open", (3, "r", 0))
    assert not kept.files


def test_python_and_numpy_tell_what_they_open(tmp_path):
    kept, on = Opened([]), [True]
    sys.addaudithook(lambda event, arguments: kept.hear(event, arguments) if on else None)  # stays until the end
    table = tmp_path / "table.npy"
    np.save(table, np.ones(3))
    Path(tmp_path / "text").write_text("1")
    np.memmap(tmp_path / "raw", dtype=np.int8, mode="w+", shape=3)
    on.clear()
    Path(tmp_path / "later").write_text("1")
    assert {Path(file).name for file in kept.files if Path(file).parent == tmp_path} == {"table.npy", "text", "raw"}
