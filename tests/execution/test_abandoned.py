"""Worktrees of a command that was killed are removed by the next one, and those of others stay."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.execution.abandoned import open_own_folder, remove_abandoned
from harness.git import list_worktrees, open_worktree
from tests.conftest import ROOT
from tests.gating.twenty import SETTINGS, add, git, make_repository

KILLED = """
import os, signal, sys
from pathlib import Path
from harness.execution.abandoned import open_own_folder
from harness.git import open_worktree
with open_own_folder() as root, open_worktree(Path(sys.argv[1]), "HEAD", root / f"{root.name}-one") as path:
    print(path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name, value in {**SETTINGS, "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    make_repository(tmp_path / "repository", (add("README.md", "One.\n"),))
    return tmp_path / "repository"


def test_worktrees_of_a_killed_command_are_removed_and_no_others(repository, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(repository)], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = done.stdout.strip()
    own = tmp_path / "conv-harness-of-a-user" / "conv-harness-of-a-user-mine"
    git(repository, "worktree", "add", "--quiet", "--detach", str(own), "HEAD")
    with open_own_folder() as root, open_worktree(repository, "HEAD", root / f"{root.name}-two") as path:
        assert set(map(str, list_worktrees(repository))) == {str(repository), left, str(own), str(path)}
        remove_abandoned(repository)
        assert set(list_worktrees(repository)) == {repository, own, path}
        assert path.is_dir() and own.is_dir()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["conv-harness-of-a-user", "repository"]


def test_a_worktree_whose_folder_is_gone_is_listed_no_more(repository):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(repository)], cwd=ROOT, capture_output=True, text=True, env=os.environ
    )
    shutil.rmtree(Path(done.stdout.strip()).parent)
    assert len(list_worktrees(repository)) == 2
    remove_abandoned(repository)
    assert list_worktrees(repository) == [repository]
