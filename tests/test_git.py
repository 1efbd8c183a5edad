"""A git command that fails or exceeds its time is a reported error, and never blocks a run."""

import os

import pytest

from harness.errors import UnbuiltError, UsageError
from harness.git import (
    POINTER,
    GitError,
    copy_checkout,
    describe_checkout,
    git,
    list_files,
    list_worktrees,
    open_sources_copy,
    open_worktree,
)
from tests.gating.scenarios import commit, write_submodule
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


@pytest.fixture
def nested(tmp_path, monkeypatch):
    """A repository with the submodule `lib`, which has the submodule `deep`; its two commits, in which both differ."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    outer, lib, deep = (tmp_path / name for name in ("outer", "lib", "deep"))
    for folder in (outer, lib):
        folder.mkdir()
        git(folder, "init", "--quiet", "--initial-branch", "main")
    allow = ("-c", "protocol.file.allow=always")
    commits = []
    for number in ("one", "two"):
        write_submodule(deep, lib, "deep", {"deep.txt": number})
        (lib / "lib.txt").write_text(number)
        commit(lib, number)
        if number == "one":
            git(outer, *allow, "submodule", "--quiet", "add", str(lib), "lib")
        git(outer / "lib", *allow, "fetch", "--quiet")
        git(outer / "lib", "switch", "--quiet", "--detach", "origin/main")
        git(outer / "lib", *allow, "submodule", "--quiet", "update", "--init")
        commits.append(commit(outer, number))
    return outer, commits


def _read(folder):
    return [(folder / "lib" / name).read_text() for name in ("lib.txt", "deep/deep.txt")]


def test_a_worktree_has_the_submodules_of_its_revision_and_leaves_nothing_in_theirs(nested, tmp_path):
    outer, (one, two) = nested
    with open_worktree(outer, one, tmp_path / "old"), open_worktree(outer, two, tmp_path / "new"):
        assert _read(tmp_path / "old") == ["one", "one"] and _read(tmp_path / "new") == ["two", "two"]
        assert len(list_worktrees(outer / "lib" / "deep")) == 3
    assert {"lib/lib.txt", "lib/deep/deep.txt"} < list_files(outer, one)
    assert _read(outer) == ["two", "two"] and not git(outer, "status", "--porcelain")
    for repository in (outer, outer / "lib", outer / "lib" / "deep"):
        assert len(list_worktrees(repository)) == 1
    assert not (tmp_path / "old").exists()


def test_a_copy_of_sources_has_them_as_plain_folders(nested, tmp_path):
    outer, (one, _) = nested
    with open_sources_copy(outer, one, tmp_path / "copy"):
        pass
    assert _read(tmp_path / "copy") == ["one", "one"] and not list((tmp_path / "copy").rglob(".git"))
    assert len(list_worktrees(outer / "lib")) == 1


def test_a_commit_that_a_submodule_lacks_is_named_and_leaves_nothing(nested, tmp_path):
    outer, (one, _) = nested
    gone = git(outer, "rev-parse", f"{one}:lib")
    git(outer / "lib", "fetch", "--quiet", "--depth", "1", f"file://{tmp_path / 'lib'}", "main")
    git(outer / "lib", "remote", "remove", "origin")
    git(outer / "lib", "branch", "--quiet", "--force", "main", "HEAD")
    git(outer / "lib", "reflog", "expire", "--expire=now", "--all")
    git(outer / "lib", "gc", "--quiet", "--prune=now")
    with (
        pytest.raises(UsageError, match=rf"its submodule 'lib' is at {gone[:12]}, a commit that .* does not have"),
        open_worktree(outer, one, tmp_path / "old"),
    ):
        pass
    assert not (tmp_path / "old").exists() and len(list_worktrees(outer)) == 1


@pytest.mark.parametrize("fetched", [True, False])
def test_a_pointer_of_lfs_is_no_file_of_a_revision_if_the_checkout_has_the_file(tmp_path, monkeypatch, fetched):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    (repository / "table.bin").write_text(f"{POINTER}v1\noid sha256:4d7a\nsize 12\n")
    (repository / "README.md").write_text(f"Files are kept in LFS: {POINTER}\n")
    revision = commit(repository, "pointer")
    if fetched:
        (repository / "table.bin").write_bytes(b"1.0")
        with (
            pytest.raises(UnbuiltError, match=r"its 'table\.bin' is a pointer of Git LFS"),
            open_worktree(repository, revision, tmp_path / "base"),
        ):
            pass
    else:
        with open_worktree(repository, revision, tmp_path / "base"):
            pass
    assert len(list_worktrees(repository)) == 1


def test_uncommitted_changes_of_a_submodule_are_in_no_copy_and_refused(nested):
    outer, _ = nested
    copy_checkout(outer)
    (outer / "lib" / "deep" / "deep.txt").write_text("three")
    with pytest.raises(UsageError, match=r"submodule 'lib/deep' of .* has uncommitted changes"):
        copy_checkout(outer)
