"""Versions are built in copies of their sources, which leave the checkout and its repository alone."""

import os
import sys
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.execution.environments import open_places
from harness.plan.arm import Environment
from tests.gating.twenty import SETTINGS, git

COMMAND = 'cat source.txt > built.txt && command -v python >> built.txt && basename "$PWD" >> built.txt'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """One commit with the source `one`; the checkout has `two`, a new file, and a file that git ignores."""
    for name, value in {**SETTINGS, "HARNESS_STATE_DIR": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "sub" / "source.txt").write_text("one\n")
    (folder / ".gitignore").write_text("built.txt\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one")
    (folder / "sub" / "source.txt").write_text("two\n")
    (folder / "sub" / "new.txt").write_text("new\n")
    (folder / "sub" / "built.txt").write_text("stale\n")
    monkeypatch.chdir(folder)
    return folder


def _read(place):
    return (Path(place.tree) / "sub" / "built.txt").read_text().split()


def test_both_versions_are_built_by_a_command_and_the_checkout_is_left_alone(repository):
    status, told = git(repository, "status", "--porcelain"), []
    base, head = (Environment(revision=one, command=COMMAND, package="sub") for one in ("main", ""))
    for _ in range(2):
        with open_places([base, head], [], told.append) as places:
            old, new = places[base], places[head]
            assert _read(old) == ["one", str(Path(sys.executable).with_name("python")), "sub"]
            assert _read(new)[0] == "two" and (Path(new.tree) / "sub" / "new.txt").read_text() == "new\n"
            assert new.dirty and not old.dirty and new.revision == old.revision == git(repository, "rev-parse", "HEAD")
            assert new.interpreter == old.interpreter == sys.executable
        assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert told[:2] == [f"revision main: `{COMMAND}`", f"the checkout: `{COMMAND}`"]
    assert len(told) == 4 and all("taken from" in line for line in told[2:])
    assert git(repository, "status", "--porcelain") == status
    assert (repository / "sub" / "built.txt").read_text() == "stale\n"


def test_runs_in_the_checkout_are_no_part_of_it(repository):
    head = Environment(command="true")
    trees = []
    for number in range(2):
        (repository / "runs" / str(number)).mkdir(parents=True)
        for name in ("header.json", "journal.jsonl"):
            (repository / "runs" / str(number) / name).write_text("")
        with open_places([head], []) as places:
            trees.append(places[head].tree)
            assert not (Path(trees[-1]) / "runs").exists()
    assert trees[0] == trees[1]


def test_a_folder_with_sources_is_part_of_it_whatever_else_lies_there(repository):
    for name in ("header.json", "journal.jsonl"):
        (repository / "sub" / name).write_text("")
    head = Environment(command=COMMAND, package="sub")
    with open_places([head], []) as places:
        assert _read(places[head])[0] == "two"


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (
            "echo start >&2; echo 'kern.c:3:1: error: expected ;' >&2; echo stop >&2; exit 2",
            "kern.c:3:1: error: expected",
        ),
        ("echo nothing to do; exit 1", "nothing to do"),
        ("exit 3", "exit code 3"),
        ("no-such-compiler -O3", "no-such-compiler"),
    ],
)
def test_a_command_that_fails_is_told_with_its_error(repository, command, reason):
    there = Environment(revision="main", command=command)
    with pytest.raises(UsageError, match="revision main does not build: ") as error, open_places([there], []):
        pass
    assert reason in str(error.value)
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_package_that_one_version_lacks_is_named(repository):
    (repository / "later").mkdir()
    there = Environment(revision="main", command="true", package="later")
    with pytest.raises(UsageError, match="revision main has no folder 'later'"), open_places([there], []):
        pass


def test_outside_a_repository_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", os.fspath(tmp_path.parent))
    with pytest.raises(UsageError, match="in no git repository"), open_places([Environment(command="true")], []):
        pass
