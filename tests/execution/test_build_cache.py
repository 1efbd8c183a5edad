"""Builds are kept by what decides them, and are made again where anything of it or of their files has changed."""

import os
import time

import pytest

from harness.errors import UnwritableError, UsageError
from harness.execution.build_cache import COMPLETE, UNUSED_S, describe_tools, open_build


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


class Builder:
    """Counts its builds; each writes one file."""

    def __init__(self):
        self.made, self.told = 0, []

    def open(self, **parts):
        return open_build(parts, self, self.told.append)

    def __call__(self, folder):
        assert not any(folder.iterdir())
        self.made += 1
        (folder / "lib").mkdir()
        (folder / "lib" / "fast.so").write_text("fast")


def test_the_same_parts_are_built_once():
    build = Builder()
    first, second, other = build.open(sources="a"), build.open(sources="a"), build.open(sources="b")
    assert first == second != other and build.made == 2
    assert build.told == [f"taken from '{first}'"]


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "lib" / "fast.so").write_text("slow"),
        lambda folder: (folder / "lib" / "more.py").write_text(""),
        lambda folder: (folder / "lib" / "fast.so").unlink(),
        lambda folder: (folder / COMPLETE).unlink(),
        lambda folder: (folder / COMPLETE).write_text("{"),
        lambda folder: (folder / COMPLETE).write_text("[]"),
    ],
)
def test_a_build_that_is_incomplete_or_was_changed_is_made_again(change):
    build = Builder()
    change(build.open(sources="a"))
    folder = build.open(sources="a")
    assert build.made == 2 and (folder / "lib" / "fast.so").read_text() == "fast"


def test_caches_of_python_are_no_change():
    build = Builder()
    folder = build.open(sources="a")
    (folder / "lib" / "__pycache__").mkdir()
    (folder / "lib" / "__pycache__" / "fast.pyc").write_text("")
    build.open(sources="a")
    assert build.made == 1


def test_a_build_that_fails_leaves_nothing(state):
    def fail(folder):
        (folder / "half").write_text("")
        raise UsageError("no compiler")

    for _ in range(2):
        with pytest.raises(UsageError, match="no compiler"):
            open_build({"sources": "a"}, fail, print)
        assert not [path for path in (state / "builds").iterdir() if path.is_dir()]


def test_builds_that_nobody_uses_are_removed():
    build = Builder()
    old, kept = build.open(sources="old"), build.open(sources="kept")
    long_ago = time.time() - UNUSED_S - 60
    for folder in (old, kept):
        os.utime(folder / COMPLETE, (long_ago, long_ago))
    assert build.open(sources="kept") == kept
    assert kept.is_dir() and not old.exists()
    assert build.made == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(UnwritableError, match=f"builds: got '{tmp_path / 'file' / 'builds'}'"):
        Builder().open(sources="a")


@pytest.mark.parametrize("name", ["CFLAGS", "CC", "LD_LIBRARY_PATH", "CMAKE_GENERATOR", "PIP_INDEX_URL"])
def test_variables_of_build_tools_decide_a_build(monkeypatch, name):
    before = describe_tools()
    monkeypatch.setenv(name, "-O0")
    assert describe_tools() != before


def test_a_compiler_is_known_by_its_file(tmp_path, monkeypatch):
    (tmp_path / "cc").write_text("#!/bin/sh\n")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    before = describe_tools()["compilers"]["cc"]
    (tmp_path / "cc").write_text("#!/bin/sh\n# newer\n")
    assert before[0] == str(tmp_path / "cc") and describe_tools()["compilers"]["cc"] != before
