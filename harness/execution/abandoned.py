"""The folder of a command's worktrees, and removal of the folders of killed commands."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from harness.git import GitError, list_worktrees, remove_worktree

PREFIX = "conv-harness-"
OWNED = "owned.lock"  # held by the command as long as it lives; the system lets it go however the command ends


@contextmanager
def open_own_folder() -> Iterator[Path]:
    """Make a temporary folder that belongs to this process, and remove it at the end."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as made:
        root = Path(made).resolve()
        with FileLock(root / OWNED):
            yield root


def remove_abandoned(repository: Path) -> None:
    """Remove worktrees of a repository, and their folders, of which the command was killed.

    repository: its top folder. Worktrees of others, and of commands that still run, stay.
    """
    with suppress(GitError):
        for path in list_worktrees(repository):
            root = path.parent
            if not root.name.startswith(PREFIX) or not path.name.startswith(root.name):
                continue
            if not root.exists():  # something else has removed the folder: git lists the worktree for weeks
                remove_worktree(repository, path)
            elif (root / OWNED).is_file():
                with suppress(Timeout, OSError), FileLock(root / OWNED, timeout=0):
                    remove_worktree(repository, path)
                    shutil.rmtree(root, ignore_errors=True)
