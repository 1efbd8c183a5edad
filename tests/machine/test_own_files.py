"""Files that Python and the harness start with are known by their contents, and a change is named."""

import site
import sys
from pathlib import Path

import pytest

import harness
from harness.machine import own_files
from harness.machine.own_files import describe_changes, digest_own_files


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders that stand for the harness's own, that of packages, and one of the search path."""
    found = {name: tmp_path / name for name in ("harness", "packages", "searched")}
    for folder in found.values():
        folder.mkdir()
    (found["harness"] / "__init__.py").write_text("")
    (found["harness"] / "part").mkdir()
    (found["harness"] / "part" / "judge.py").write_text("right = True\n")
    (found["packages"] / "old.pth").write_text("/nowhere\n")
    monkeypatch.setattr(harness, "__file__", str(found["harness"] / "__init__.py"))
    monkeypatch.setattr(site, "getsitepackages", lambda: [str(found["packages"])])
    monkeypatch.setattr(sys, "path", [str(found["searched"])])
    return found


def test_nothing_has_changed_where_nothing_was_written(places):
    before = digest_own_files()
    assert {places["harness"] / "part" / "judge.py", places["packages"] / "old.pth"} <= before.keys()
    (places["packages"] / "old.pth").touch()
    (places["packages"] / "package.py").write_text("")
    assert describe_changes(before) is None


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("packages", "new.pth"),
        ("packages", "old.pth"),
        ("searched", "sitecustomize.py"),
        ("searched", "usercustomize.py"),
        ("searched", "sitecustomize/__init__.py"),
        ("harness", "part/judge.py"),
        ("harness", "new.py"),
    ],
)
def test_what_is_written_is_named(places, place, name):
    before = digest_own_files()
    path = places[place] / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("import os\n")
    assert describe_changes(before) == (
        f"{path}, with which Python or the harness starts, changed while the run was going on"
    )


def test_what_is_removed_is_named_and_a_long_list_is_cut(places):
    before = digest_own_files()
    (places["packages"] / "old.pth").unlink()
    assert str(places["packages"] / "old.pth") in describe_changes(before)
    for number in range(5):
        (places["packages"] / f"{number}.pth").write_text("")
    assert f" and {6 - own_files.MOST_NAMED} more, with which" in describe_changes(before)


def test_nothing_is_compared_where_nothing_was_known():
    assert describe_changes({}) is None


def test_modules_of_the_installed_harness_are_among_them():
    assert Path(own_files.__file__) in digest_own_files()
