"""Halving commits: the right one is found, and what cannot tell is said and not guessed."""

from dataclasses import replace

import pytest

from harness.analysis.gate_report import Compared
from harness.analysis.sequential import Design
from harness.analysis.statistics import Estimate
from harness.analysis.verdicts import Judgement
from harness.errors import UsageError
from harness.gating.bisect import MOST_DELTA, Step, bisect, find_threshold, list_commits, read_answer
from harness.plan.gate import Gate
from harness.plan.limits import Limit
from tests.gating.twenty import SETTINGS, add, git, make_repository
from tests.reports.made import result

LINE = "conv x=1x2x9 w=3x2x3"
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
    ("worse", "finding", "outcome", "answer"),
    [
        ("SLOWER", "SLOWER", "passed", "bad"), ("SLOWER", "SAME", "passed", "good"),
        ("SLOWER", "FASTER", "passed", "good"), ("SLOWER", "INCONCLUSIVE", "passed", "unclear"),
        ("SLOWER", "BROKEN", "failed", "unclear"), ("SLOWER", "MORE MEMORY", "passed", "unclear"),
        ("BROKEN", "BROKEN", "failed", "bad"), ("MISSING", "MISSING", "unsupported", "bad"),
        ("BROKEN", "INCONCLUSIVE", "passed", "good"), ("BROKEN", "UNCHANGED", "passed", "good"),
        ("BROKEN", "UNCHANGED", "unavailable", "unclear"), ("MISSING", "MISSING", "unavailable", "unclear"),
        ("MORE MEMORY", "MORE MEMORY", "passed", "bad"), ("MORE MEMORY", "SLOWER", "passed", "good"),
        ("MORE MEMORY", "INCONCLUSIVE", "passed", "unclear"), ("MORE MEMORY", "BROKEN", "failed", "unclear"),
        ("LESS PRECISE", "LESS PRECISE", "passed", "bad"), ("LESS PRECISE", "UNCHANGED", "passed", "good"),
        ("LESS PRECISE", "UNCHANGED", "unsupported", "unclear"),
    ],
)  # fmt: skip
def test_what_a_finding_says_of_a_commit_depends_on_what_is_asked(worse, finding, outcome, answer):
    new = result("new", "", LINE, outcome, None)
    assert read_answer(Compared(backend="mine", base=None, new=new, finding=finding), worse) == answer


@pytest.mark.parametrize(("ratio", "delta"), [(1.21, 0.1), (113.0, 0.99)])
def test_a_commit_is_slower_beyond_the_middle_of_the_change_whatever_the_limit_of_its_cell(ratio, delta):
    judgement = Judgement(verdict="SLOWER", ratio=Estimate(value=ratio, low=ratio, high=ratio, over="processes"))
    new = result("new", "", LINE, "passed", None)
    gate = Gate(limits=(Limit(delta=0.05), Limit(memory=0.2)))
    ends = Compared(backend="mine", base=None, new=new, finding="SLOWER", judgement=judgement)
    found = find_threshold(gate, ends)
    assert found.delta_of("speed-short", "mine", "mine", LINE) == pytest.approx(delta)
    assert Design.of(found).delta == found.delta
    assert found.limit_of("speed-short", "mine", "mine", LINE).memory == 0.2


def test_times_decide_nothing_where_memory_is_searched_for_and_a_law_leaves_the_gate_as_it_is():
    new = result("new", "", LINE, "passed", None)
    gate = Gate(limits=(Limit(delta=0.05, memory=0.2),))
    ends = Compared(backend="mine", base=None, new=new, finding="MORE MEMORY")
    assert find_threshold(gate, ends).delta_of("speed-short", "mine", "mine", LINE) == MOST_DELTA
    assert find_threshold(gate, replace(ends, finding="BROKEN")) == gate


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
