"""A git command that fails or exceeds its time is a reported error, and never blocks a run."""

import pytest

from harness.git import GitError, describe_checkout, git


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
