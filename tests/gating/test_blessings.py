"""A blessing accepts one change between base and head, no larger one, and ends when the base has it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import msgspec
import pytest

from harness.analysis.run_comparison import compare_runs
from harness.analysis.seen import Seen
from harness.analysis.statistics import Estimate
from harness.errors import UsageError
from harness.gating.blessings import (
    FILE,
    Blessing,
    Ratio,
    accept_changes,
    add_blessing,
    find_blessing,
    find_state,
    read_blessings,
    remove_blessings,
)
from harness.record.passes import Measurement
from tests.record.stored import OTHER, arms_run, commit, git, law, make_repository, timed_run, times
from tests.reports.made import PLAIN

NOBODY = "0" * 40


@pytest.fixture
def repository(tmp_path):
    """A repository of four commits, c0 to c3, and a side branch from c1."""
    folder = tmp_path / "repository"
    make_repository(folder)
    return folder


@pytest.fixture
def commits(repository):
    return git(repository, "rev-list", "--reverse", "HEAD").split()


def bless(commit, *, verdict="SLOWER", ratio=(1.10, 1.08, 1.12), problem=PLAIN, created="2026-01-01", **more):
    made = Ratio(value=ratio[0], low=ratio[1], high=ratio[2]) if verdict == "SLOWER" else None
    return Blessing(
        backend="mine", problem=problem, verdict=verdict, ratio=made, commit=commit, reason="known", created=created,
        **more,
    )  # fmt: skip


def judged(verdict="SLOWER", value=1.1, half=0.02):
    ratio = Estimate(value=value, low=value - half, high=value + half, over="processes")
    return Seen(verdict=verdict, ratio=None if verdict == "MISSING" else ratio)


def find(repository, blessings, base, head, judgement=None, backend="mine", problem=PLAIN):
    return find_blessing(blessings, backend, problem, judgement or judged(), base, head, repository)


@pytest.mark.parametrize(
    ("base", "at", "head", "holds"),
    [(0, 1, 3, True), (0, 3, 3, True), (2, 3, 3, True), (1, 1, 3, False), (2, 1, 3, False), (0, 3, 2, False),
     (1, 1, 1, False), (3, 2, 0, False)],
)  # fmt: skip
def test_it_holds_exactly_where_its_commit_is_in_head_and_not_in_base(repository, commits, base, at, head, holds):
    one = bless(commits[at])
    found, why = find(repository, [one], commits[base], commits[head])
    assert found == (one if holds else None)
    assert bool(why) is not holds


def test_a_commit_of_a_side_branch_counts_where_it_was_merged(repository, commits):
    git(repository, "checkout", "--quiet", "-b", "side", commits[1])
    side = commit(repository, "side")
    one = bless(side)
    assert find(repository, [one], commits[0], commits[3])[1].endswith(f"not part of {commits[3][:12]}")
    git(repository, "checkout", "--quiet", "main")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "merge", "side")
    assert find(repository, [one], commits[3], git(repository, "rev-parse", "HEAD"))[0] == one


def test_why_it_does_not_hold_is_said(repository, commits):
    one = bless(commits[1])
    spent = find(repository, [one], commits[2], commits[3])
    assert spent == (
        None, f"its blessing at {commits[1][:12]} does not accept it: it is spent, its commit is part of the base",
    )  # fmt: skip
    assert "does not know all of the commits" in find(repository, [bless(NOBODY)], commits[0], commits[3])[1]
    assert "does not know all of the commits" in find(repository, [one], NOBODY, commits[3])[1]
    assert "the base side does not say its revision" in find(repository, [one], "", commits[3])[1]
    assert "the new side does not say its revision" in find(repository, [one], commits[0], "")[1]
    missing = find(repository, [one], commits[0], commits[3], judged("MISSING"))
    assert missing[0] is None and "it accepts SLOWER, and the cell is MISSING" in missing[1]


def test_it_lapses_where_the_cell_became_clearly_slower_than_accepted(repository, commits):
    one = bless(commits[1], ratio=(1.10, 1.08, 1.12))
    near = judged(value=1.12, half=0.01)  # from 1.11 on, which is not above 1.10 + 1 %
    assert find(repository, [one], commits[0], commits[3], near)[0] == one
    found, why = find(repository, [one], commits[0], commits[3], judged(value=1.14, half=0.01))
    assert found is None
    assert "the cell changed again, to 1.140 (1.130 to 1.150); accepted was 1.100" in why
    again = bless(commits[2], ratio=(1.14, 1.13, 1.15))
    assert find(repository, [one, again], commits[0], commits[3], judged(value=1.14, half=0.01))[0] == again


@pytest.mark.parametrize("verdict", ["FASTER", "SAME", "INCONCLUSIVE"])
def test_other_verdicts_need_none_and_say_nothing(repository, commits, verdict):
    assert find(repository, [bless(commits[1])], commits[0], commits[3], judged(verdict)) == (None, None)


def test_blessings_of_other_cells_say_nothing(repository, commits):
    blessings = [bless(commits[1])]
    assert find(repository, blessings, commits[0], commits[3], backend="other") == (None, None)
    assert find(repository, blessings, commits[0], commits[3], problem=OTHER) == (None, None)


def test_the_file_is_sorted_indented_and_read_back(repository, commits):
    ones = [bless(commits[2]), bless(commits[1], problem=OTHER), bless(commits[1], verdict="MISSING")]
    for one in ones:
        add_blessing(repository, one)
    assert read_blessings(repository) == tuple(sorted(ones, key=lambda one: (one.problem, one.commit)))
    text = (repository / FILE).read_text()
    assert text.startswith('[\n {\n  "backend": "mine"') and text.endswith("\n]\n")
    assert (
        git(repository, "status", "--porcelain", "--ignored") == f"?? {FILE}"
    )  # no lock and no partial file next to it
    add_blessing(repository, bless(commits[2], ratio=(1.5, 1.4, 1.6)))
    assert len(read_blessings(repository)) == 3
    removed = remove_blessings(repository, "mine", PLAIN, commits[1])
    assert [one.verdict for one in removed] == ["MISSING"]
    assert len(remove_blessings(repository, "mine", PLAIN)) == 1
    assert [one.problem for one in read_blessings(repository)] == [OTHER]


def test_no_file_is_no_blessing(tmp_path):
    assert read_blessings(tmp_path) == ()


@pytest.mark.parametrize(
    "text", ["", "<<<<<<< HEAD\n[]", "{}", '[{"backend": "mine"}]', "[", b"\xff\xfe", "FUTURE"],
    ids=["empty", "conflict", "object", "fields", "cut", "bytes", "newer"],
)  # fmt: skip
def test_a_damaged_file_is_said_and_nothing_of_it_is_lost(repository, commits, text):
    if text == "FUTURE":  # what a later release may write
        text = msgspec.json.encode([msgspec.to_builtins(bless(commits[1])) | {"expires": "never"}])
    data = text if isinstance(text, bytes) else text.encode()
    (repository / FILE).write_bytes(data)
    for use in (
        lambda: read_blessings(repository),
        lambda: add_blessing(repository, bless(commits[1])),
        lambda: remove_blessings(repository, "mine", PLAIN),
    ):
        with pytest.raises(UsageError, match="blessings are damaged: "):
            use()
        assert (repository / FILE).read_bytes() == data


def test_of_many_writers_at_once_none_is_lost(repository, commits):
    lines = [f"conv x=1x2x{n} w=3x2x3" for n in range(10, 26)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda line: add_blessing(repository, bless(commits[1], problem=line)), lines))
    assert sorted(one.problem for one in read_blessings(repository)) == sorted(lines)


def test_without_a_base_the_state_says_whether_the_commit_is_in_the_head(repository, commits):
    assert find_state(bless(commits[1]), "", commits[3], repository) == "holds"
    assert find_state(bless(commits[3]), "", commits[2], repository) == "not in head"
    assert find_state(bless(NOBODY), "", commits[2], repository) == "unknown commit"
    assert find_state(bless(commits[1]), commits[1], commits[3], repository) == "spent"


def test_a_blessed_change_of_stored_runs_does_not_count(repository, commits):
    base = timed_run(times(1000.0), times(1000.0, line=OTHER), revision=commits[0])
    new = timed_run(times(1300.0), revision=commits[3])
    comparison = compare_runs(base, new)
    assert comparison.exit_code == 3
    slow = bless(commits[1], ratio=(1.3, 1.29, 1.31))
    half = accept_changes(comparison, [slow], repository)
    assert [change.verdict for change in half.changes] == ["BLESSED", "MISSING"]
    assert half.changes[0].reason == f"SLOWER accepted at {commits[1][:12]}: known"
    assert half.exit_code == 3
    whole = accept_changes(comparison, [slow, bless(commits[1], verdict="MISSING", problem=OTHER)], repository)
    assert whole.counts["BLESSED"] == 2 and whole.exit_code == 0


def test_of_runs_with_arms_the_arms_say_backend_and_revision(repository, commits):
    base, new = arms_run(NOBODY, commits[0], 1.0), arms_run(NOBODY, commits[3], 1.3)
    one = bless(commits[1], ratio=(1.3, 1.29, 1.31))
    found = accept_changes(compare_runs(base, new), [one], repository)
    assert {change.arm: change.verdict for change in found.changes} == {"base": "SAME", "new": "BLESSED"}


def test_a_blessed_time_was_compared_though_others_could_not_be(repository, commits):
    base = timed_run(times(1000.0), times(1000.0, line=OTHER), revision=commits[0])
    new = timed_run(times(1300.0), _cold(times(1000.0, line=OTHER)), revision=commits[3])
    found = accept_changes(compare_runs(base, new), [bless(commits[1], ratio=(1.3, 1.29, 1.31))], repository)
    assert [change.verdict for change in found.changes] == ["BLESSED", "NOT COMPARABLE"]
    assert found.exit_code == 0


def _cold(cell):
    passes = tuple(replace(one, mode="cold") for one in cell.measurement.passes)
    return replace(cell, measurement=Measurement(passes=passes))


def test_a_lapsed_blessing_leaves_the_verdict_and_says_why(repository, commits):
    base, new = (timed_run(times(ns), revision=commits[n]) for n, ns in ((0, 1000.0), (3, 1300.0)))
    (change,) = accept_changes(compare_runs(base, new), [bless(commits[1])], repository).changes
    assert change.verdict == "SLOWER" and "the cell changed again" in change.reason
    (change,) = accept_changes(compare_runs(new, base), [bless(commits[1])], repository).changes
    assert change.verdict == "FASTER" and not change.reason


def test_a_law_that_no_longer_runs_is_not_accepted_with_the_time(repository, commits):
    base = timed_run(law(), times(1000.0), revision=commits[0])
    new = timed_run(law(outcome="skipped"), times(1000.0), revision=commits[3])
    blessed = accept_changes(compare_runs(base, new), [bless(commits[1], verdict="MISSING")], repository)
    assert [change.verdict for change in blessed.changes] == ["MISSING", "SAME"]
    assert blessed.exit_code == 3


def test_what_broke_is_never_accepted(repository, commits):
    base = timed_run(times(1000.0), revision=commits[0])
    new = timed_run(times(1000.0, outcome="failed"), revision=commits[3])
    blessed = accept_changes(compare_runs(base, new), [bless(commits[1], verdict="MISSING")], repository)
    assert blessed.exit_code == 1
