"""Git commands on the user's repository: find it, resolve revisions, check them out into separate worktrees."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import UnbuiltError, UsageError, ask_meant, suggest

PLUGIN_FILES = (".py", ".so")
LIBRARY = re.compile(r"\.so(\.\d+)*$")  # also with a version, as what a link points to
TRIES = 5
RETRY_S = 0.02
# Git sets these for its hooks; they would redirect our commands to another repository.
COMMITTER = ("-c", "user.name=conv-harness", "-c", "user.email=", "-c", "commit.gpgSign=false")
POINTER = "version https://git-lfs.github.com/spec/"
GIT_OWN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def names_file(plugin: str) -> bool:
    """Return True if a plugin is named by its file, a Python module or a shared library, and not as a module."""
    return plugin.endswith(".py") or names_library(plugin)


def names_library(file: str) -> bool:
    """Return True if the name of a file is that of a shared library."""
    return bool(LIBRARY.search(file))


def find_repository(plugins: Sequence[str]) -> Path | None:
    """Return the top folder of the git repository that contains the current folder.

    If the current folder is in none, use the first plugin file that is in one; None without any.

    plugins: plugin names as given on the command line; only files are considered.
    """
    files = [Path(name).expanduser().resolve().parent for name in plugins if names_file(name)]
    for folder in (Path.cwd(), *files):
        try:
            return Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
        except GitError:
            continue
    return None


def resolve_revision(repository: Path | None, revision: str) -> str:
    """Return the full hash of a commit.

    revision: commit, branch or tag. Raises UsageError if it is unknown, with the nearest known names, or if there is no
        repository.
    """
    if repository is None:
        raise UsageError(
            f"revision: got '{revision}', but '{Path.cwd()}' is in no git repository that git can read; "
            "wanted a command inside the repository that holds it"
        )
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except GitError:
        known = git(repository, "for-each-ref", "--format=%(refname:short)").splitlines()
        remote = [name for name in known if name.endswith(f"/{revision}")]
        hint = f"; {ask_meant(remote)}" if remote else suggest(revision, known, most=3, before="; ")
        if git(repository, "rev-parse", "--is-shallow-repository") == "true":
            hint += "; this clone is shallow, `git fetch --unshallow --tags` gets the rest"
        raise UsageError(
            f"unknown revision: got '{revision}', wanted a commit, branch or tag of {repository}{hint}"
        ) from None


def describe_checkout(repository: Path | None, timeout_s: float | None = None) -> tuple[str, bool]:
    """Return the revision of the checkout, and True if its files differ from that revision.

    Without a repository the result is ("", False). If there is no commit yet, or git fails or exceeds `timeout_s`, it
    is ("", True).
    """
    if repository is None:
        return "", False
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", "HEAD", timeout_s=timeout_s), bool(
            git(repository, "status", "--porcelain", timeout_s=timeout_s)
        )
    except GitError:
        return "", True


def list_files(repository: Path, revision: str) -> frozenset[str]:
    """Paths of all files of a commit, and of submodules of the checkout, relative to the repository's top folder."""
    found = set(git(repository, "ls-tree", "-r", "-z", "--full-tree", "--name-only", revision).split("\0"))
    for inner, commit in list_submodules(repository, revision).items():
        with suppress(GitError):  # the submodule lacks the commit, which its worktree will say
            found |= {f"{inner}/{name}" for name in list_files(repository / inner, commit)}
    return frozenset(found)


def list_submodules(repository: Path, revision: str) -> dict[str, str]:
    """Return the commits of a revision's submodules by their folders, as far as the checkout has them.

    repository: its top folder.
    """
    lines = git(repository, "ls-tree", "-r", "-z", "--full-tree", revision).split("\0")
    links = (line.partition("\t") for line in lines if line.startswith("160000 "))
    return {path: head.split()[2] for head, _, path in links if (repository / path / ".git").exists()}


def list_worktrees(repository: Path) -> list[Path]:
    """Return the folders of all worktrees of a repository, its own first. Raises GitError."""
    lines = git(repository, "worktree", "list", "--porcelain").splitlines()
    return [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]


@contextmanager
def open_worktree(repository: Path, revision: str, path: Path) -> Iterator[Path]:
    """Check out a revision into a worktree at `path`; remove the worktree at the end.

    Hooks are disabled, because they may build or download anything. Yields `path`. Raises UsageError if git refuses.
    """
    try:
        _add_worktree(repository, revision, path)
        yield path
    finally:
        remove_worktree(repository, path)


@contextmanager
def open_sources_copy(repository: Path, revision: str, path: Path) -> Iterator[Path]:
    """Check out a revision into `path`, which is a worktree until the end, and a plain folder afterwards.

    An exception removes it. Yields `path`. Raises UsageError if git refuses.
    """
    try:
        _add_worktree(repository, revision, path)
        yield path
    except BaseException:
        remove_worktree(repository, path)
        raise
    for inner in _find_submodules(repository, revision):
        (path / inner / ".git").unlink(missing_ok=True)
    (path / ".git").unlink()
    with suppress(GitError):
        git(repository, "worktree", "prune")
    _prune_submodules(repository)


def _add_worktree(repository: Path, revision: str, path: Path) -> None:
    """Check out a revision and its submodules, which are worktrees of the repositories of the checkout's submodules."""
    _add_own_files(repository, revision, path)
    _refuse_pointers(repository, revision, path)
    for inner, commit in list_submodules(repository, revision).items():
        here = repository / inner
        try:
            git(here, "cat-file", "-e", f"{commit}^{{commit}}")
        except GitError:
            raise UsageError(
                f"revision {revision[:12]}: its submodule '{inner}' is at {commit[:12]}, a commit that '{here}' does "
                "not have; wanted it there, as by `git submodule foreach git fetch --unshallow`"
            ) from None
        _add_worktree(here, commit, path / inner)


def _refuse_pointers(repository: Path, revision: str, path: Path) -> None:
    """Raise UnbuiltError for a file of a worktree that is a pointer of Git LFS, but the file itself in the checkout."""
    try:
        names = git(path, "grep", "-l", "-z", "--fixed-strings", POINTER).split("\0")
    except GitError:  # no file has it
        return
    for name in names:
        here = repository / name
        if _is_pointer(path / name) and here.is_file() and not _is_pointer(here):
            raise UnbuiltError(
                f"revision {revision[:12]}: its '{name}' is a pointer of Git LFS, and the checkout has the file; "
                f"wanted the file for both, as by `git lfs install && git lfs fetch origin {revision[:12]}`"
            )


def _is_pointer(file: Path) -> bool:
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(len(POINTER)) == POINTER.encode()
    return False


def _find_submodules(repository: Path, revision: str) -> Iterator[str]:
    """Yield the folders of all submodules of a revision, relative to the repository, the innermost first."""
    for inner, commit in list_submodules(repository, revision).items():
        yield from (f"{inner}/{deeper}" for deeper in _find_submodules(repository / inner, commit))
        yield inner


def _prune_submodules(repository: Path) -> None:
    """Let the repositories of submodules forget worktrees whose folders are gone."""
    if (repository / ".gitmodules").is_file():
        with suppress(GitError):
            for inner in _find_submodules(repository, "HEAD"):
                git(repository / inner, "worktree", "prune")


def _add_own_files(repository: Path, revision: str, path: Path) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            git(repository, "-c", "core.hooksPath=/dev/null", "worktree", "add", "--detach", str(path), revision)
            return
        except GitError as error:  # a run that ends at the same time removes the common folder if it is empty
            if attempt == TRIES or (path.exists() and any(path.iterdir())):
                raise UsageError(f"revision {revision[:12]} cannot be checked out: {error}") from None
            time.sleep(RETRY_S * attempt)


def remove_worktree(repository: Path, path: Path) -> None:
    """Remove a worktree from disk and from the repository's list; entries of other worktrees stay unless git fails.

    repository: its top folder. path: of the worktree.
    """
    try:
        git(repository, "worktree", "remove", "--force", "--force", str(path))
    except GitError:  # an incomplete checkout; `prune` drops only entries without a folder
        shutil.rmtree(path, ignore_errors=True)
        for command in (("unlock", str(path)), ("prune",)):
            with suppress(GitError):  # git may have removed the entry itself
                git(repository, "worktree", *command)
    _prune_submodules(repository)


def copy_checkout(repository: Path, skip: Sequence[str] = ()) -> str:
    """Return the hash of a new commit with the checkout's present files, without the files that git ignores.

    Branches, index and files stay as they are.

    skip: folders to leave out, relative to the repository. Raises UsageError if git cannot make it, and for a submodule
    with uncommitted changes, which a commit cannot hold.
    """
    _refuse_dirty_submodules(repository)
    with tempfile.TemporaryDirectory(prefix="conv-harness-") as folder:
        index = Path(folder, "index")
        try:
            # Not the repository's own index: its times, and marks such as --assume-unchanged, may hide changes.
            git(repository, "read-tree", "HEAD", index=index)
            git(repository, "add", "--all", "--", ".", *(f":(exclude,top,literal){one}" for one in skip), index=index)
            tree = git(repository, "write-tree", index=index)
            return git(repository, *COMMITTER, "commit-tree", "-p", "HEAD", "-m", "checkout with its changes", tree)
        except (GitError, OSError) as error:
            raise UsageError(f"checkout: '{repository}' cannot be copied: {error}; commit it first") from None


def _refuse_dirty_submodules(repository: Path) -> None:
    if not (repository / ".gitmodules").is_file():
        return
    for inner in _find_submodules(repository, "HEAD"):
        if git(repository / inner, "status", "--porcelain"):
            raise UsageError(
                f"checkout: submodule '{inner}' of '{repository}' has uncommitted changes, wanted none, as "
                "versions are built from commits; commit them there"
            )


class GitError(Exception):
    """Failure of a git command; the text is git's last line of output."""


def git(folder: Path, *arguments: str, timeout_s: float | None = None, index: Path | None = None) -> str:
    """Run git in a folder and return its output, stripped.

    timeout_s: None for no limit.
    index: file to use instead of the repository's own index. Raises GitError on failure or timeout, or without git.
    """
    environment = {name: value for name, value in os.environ.items() if name not in GIT_OWN}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        process = subprocess.Popen(
            ["git", "-C", str(folder), *arguments], env=environment | {"GIT_OPTIONAL_LOCKS": "0"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace",
        )  # fmt: skip
    except FileNotFoundError:
        raise GitError("git is not installed") from None
    except OSError as error:
        raise GitError(f"git cannot be run: {error}") from None
    with process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            raise GitError(f"git has not answered in {timeout_s:g} s") from None
        except BaseException:
            process.terminate()  # not killed: git then removes its incomplete output
            raise
    if process.returncode:
        raise GitError((errors.strip().splitlines() or [f"exit code {process.returncode}"])[-1])
    return output.strip()
