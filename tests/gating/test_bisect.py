"""Halving commits: the right one is found, and what cannot tell is said and not guessed."""

import pytest

from harness.analysis.gate_report import Compared
from harness.errors import UsageError
from harness.gating.bisect import Step, bisect, list_commits, read_answer
from tests.gating.twenty import SETTINGS, add, git, make_repository
from tests.reports.made import result

COMMITS = [f"commit{n:02}" for n in range(19)]


def _tester(first_bad, unclear=(), asked=None):
    def test(revision):
        at = COMMITS.index(revision)
        if asked is not None:
            asked.append(at)
        return Step(revision=revision, answer="unclear" if at in unclear else "bad" if at >= first_bad else "good")

    return test


@pytest.mark.parametrize("first_bad", range(19))
def test_the_first_bad_commit_is_found_in_few_steps(first_bad):
    asked = []
    found = bisect(COMMITS, _tester(first_bad, asked=asked))
    assert found.suspects == (COMMITS[first_bad],)
    assert found.found and len(asked) <= 5
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("unclear", [{3, 4}, {8, 9, 10}, {17}, {0, 1}])
@pytest.mark.parametrize("first_bad", [0, 4, 7, 9, 11, 18])
def test_unclear_commits_are_gone_round_and_never_blamed_alone(first_bad, unclear):
    found = bisect(COMMITS, _tester(first_bad, unclear))
    good = max((at for at in range(first_bad) if at not in unclear), default=-1)
    bad = min(at for at in (*range(first_bad, 18), 18) if at not in unclear)
    assert found.suspects == tuple(COMMITS[good + 1 : bad + 1])
    assert found.found == (bad == good + 1)


@pytest.mark.parametrize(
    ("finding", "outcome", "timed", "answer"),
    [
        ("SLOWER", "passed", True, "bad"), ("SAME", "passed", True, "good"), ("FASTER", "passed", True, "good"),
        ("INCONCLUSIVE", "passed", True, "unclear"), ("BROKEN", "failed", True, "unclear"),
        ("BROKEN", "failed", False, "bad"), ("MISSING", "unsupported", False, "bad"),
        ("INCONCLUSIVE", "passed", False, "good"), ("UNCHANGED", "passed", False, "good"),
        ("UNCHANGED", "unavailable", False, "unclear"), ("MISSING", "unavailable", False, "unclear"),
    ],
)  # fmt: skip
def test_what_a_finding_says_of_a_commit_depends_on_what_is_asked(finding, outcome, timed, answer):
    new = result("new", "", "conv x=1x2x9 w=3x2x3", outcome, None)
    assert read_answer(Compared(backend="mine", base=None, new=new, finding=finding), timed=timed) == answer


def test_commits_are_those_of_the_first_parents_oldest_first(tmp_path, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    hashes = make_repository(folder, [add("README.md", f"{n}\n") for n in range(3)])
    assert list_commits(folder, hashes[0], hashes[3]) == hashes[1:]
    git(folder, "switch", "--quiet", "--create", "side", hashes[0])
    (folder / "side.txt").write_text("side")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "side")
    side = git(folder, "rev-parse", "HEAD")
    git(folder, "switch", "--quiet", "main")
    git(folder, "merge", "--quiet", "--no-edit", "side")
    merge = git(folder, "rev-parse", "HEAD")
    assert list_commits(folder, hashes[0], merge) == [*hashes[1:], merge]
    with pytest.raises(UsageError, match="good and bad: got the same commit"):
        list_commits(folder, merge, merge)
    with pytest.raises(UsageError, match="wanted an ancestor of the bad revision"):
        list_commits(folder, hashes[3], side)
