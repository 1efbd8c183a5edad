"""A git command that fails or exceeds its time is a reported error, and never blocks a run."""

import os

import pytest

from harness.git import GitError, copy_checkout, describe_checkout, git
from tests.gating.twenty import SETTINGS


@pytest.fixture
def fake_git(tmp_path, monkeypatch):
    path = tmp_path / "bin" / "git"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return path


def test_a_git_that_does_not_answer_is_left(fake_git, tmp_path):
    with pytest.raises(GitError, match=r"git has not answered in 0\.1 s"):
        git(tmp_path, "status", timeout_s=0.1)
    assert describe_checkout(tmp_path, 0.1) == ("", True)


def test_a_git_that_cannot_be_run_is_an_error_of_git(fake_git, tmp_path):
    fake_git.write_bytes(b"\0 no program")
    with pytest.raises(GitError, match="git cannot be run"):
        git(tmp_path, "status")


def test_a_copy_of_the_checkout_has_changes_of_the_same_size_in_the_same_second(tmp_path, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "core.trustctime", "false")  # a clock of seconds would see the same
    source, index = tmp_path / "source.txt", tmp_path / ".git" / "index"
    source.write_text("one")
    os.utime(source, (10**9, 10**9))
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    source.write_text("two")
    for file in (source, index):
        os.utime(file, (10**9, 10**9))
    copy = copy_checkout(tmp_path)
    assert git(tmp_path, "show", f"{copy}:source.txt") == "two"
    assert git(tmp_path, "status", "--porcelain") == "M source.txt"


def test_a_copy_of_the_checkout_has_changes_that_a_mark_hides_and_files_that_git_ignores_but_keeps(
    tmp_path, monkeypatch
):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "init", "--quiet")
    for name in ("source.txt", "built.so"):
        (tmp_path / name).write_text("one")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    (tmp_path / ".gitignore").write_text("*.so")
    git(tmp_path, "update-index", "--assume-unchanged", "source.txt")
    for name in ("source.txt", "built.so"):
        (tmp_path / name).write_text("two")
    copy = copy_checkout(tmp_path)
    assert [git(tmp_path, "show", f"{copy}:{name}") for name in ("source.txt", "built.so")] == ["two", "two"]
