"""Stored runs, and small git repositories."""

import os
import subprocess
from dataclasses import replace

import pytest

from harness.cli.main import main
from harness.record.directory import write_header
from harness.record.journal import EndEntry, ResultEntry
from harness.record.run import Ending
from tests.reports.made import PLAIN, compare_arms, make_run, measure, spread, time_cell

SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
    f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
OTHER = "conv x=1x2x8 w=3x2x3"
HERE = {"fingerprint": "f00d", "cpu": "one", "cores": 2, "threads": 2, "variables": {}, "libraries": {"numpy": "2.1"}}


def timed_run(*cells, revision="", environment=None, complete=True, created="2026-01-01T00:00:00+0000"):
    """Build a run of these cells, numbered."""
    numbered = tuple(replace(cell, cell=number) for number, cell in enumerate(cells))
    made = make_run(*numbered, complete=complete)
    git = {"git": {"revision": revision, "dirty": False}} if revision else {}
    suites = tuple(dict.fromkeys(cell.suite for cell in cells))
    header = replace(made.header, environment={**HERE, **(environment or {}), **git}, created=created, suites=suites)
    return replace(made, header=header)


def store_run(run, folder):
    """Write a run as a run directory."""
    folder.mkdir(parents=True)
    journal = write_header(folder, run.header)
    for result in run.results:
        journal.append(ResultEntry(result))
    if run.ending is not None:
        journal.append(EndEntry(Ending(complete=run.ending.complete)))
    journal.close()
    return folder


def times(ns, backend="mine", line=PLAIN, **more):
    """A timed cell whose passes spread a little."""
    return time_cell(0, backend, spread(ns), line, **more)


def law(backend="mine", outcome="passed", line=PLAIN):
    """A checked cell."""
    return measure(backend, 20.0, line, outcome)


def arms_run(base, head, factor, *, dirty=False, **more):
    """Build a run that compared two commits in turns; the head takes `factor` times as long, or is missing for None."""
    missing = {"outcome": "unsupported", "reason": "no more"}
    cells = (
        time_cell(0, "base", spread(1000.0), **more),
        time_cell(1, "new", spread(1000.0 * factor), **more) if factor else time_cell(1, "new", (), **more, **missing),
    )
    made = compare_arms(*cells)
    revisions = {"base": base, "new": head}
    arms = tuple(replace(arm, revision=revisions[arm.name], dirty=dirty) for arm in made.header.arms)
    return replace(made, header=replace(made.header, arms=arms))


def git(folder, *arguments):
    """Run git and return its output; it must succeed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **SETTINGS}, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def make_repository(folder, commits=4):
    """Create a repository with some commits on `main`, and return their hashes in order."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    return [commit(folder, f"commit {number}") for number in range(commits)]


def commit(folder, message):
    """Create one more commit, and return its hash."""
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def call(capsys, *arguments):
    """Run a command in the current folder; return exit code, output and error output."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err
