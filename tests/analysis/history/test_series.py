"""Series of a history: keys, order, and changes between commits."""

import subprocess

import pytest

from harness.analysis.history.series import judge_history, list_revisions, order_sources, read_history
from harness.analysis.history.store import open_store
from harness.errors import UsageError
from tests.analysis.history.stored import LINE, OTHER, store_run, store_steps, timed

A, B, C = "a" * 40, "b" * 40, "c" * 40


def _commits(folder, revisions):
    history = read_history(folder, revisions=revisions)
    assert len(history.series) == 1
    return [source.commit[:1] + source.commit[9:] for source, *_ in history.points(history.series[0])]


def test_whatever_may_differ_between_machines_and_cells_is_a_series_of_its_own(tmp_path):
    cells = [timed(0, 1000.0), timed(1, 1000.0, OTHER), timed(2, 1000.0, backend="other")]
    store_run(tmp_path / "a", *cells)
    store_run(tmp_path / "b", timed(0, 1000.0), environment={"fingerprint": "another"})
    store_run(tmp_path / "c", timed(0, 1000.0), environment={"threads": 1})
    store_run(tmp_path / "d", timed(0, 1000.0), environment={"variables": {"OMP_DYNAMIC": "1"}})
    keys = [one.key for one in read_history(tmp_path, revisions=()).series]
    assert len(set(keys)) == len(keys) == 6
    assert len({key.environment for key in keys}) == 4


def test_points_follow_the_history_of_the_code_and_not_the_clock(tmp_path):
    for day, revision in enumerate((C, A, B, A), 1):
        store_run(tmp_path / f"{day}", timed(0, 1000.0), day=day, revision=revision)
    assert _commits(tmp_path, [A, B, C]) == ["a", "a", "b", "c"]
    assert _commits(tmp_path, []) == ["c", "a", "b", "a"]


def test_unknown_revisions_stand_where_they_were_new(tmp_path):
    for day, revision in enumerate((A, "d" * 40, B, "e" * 40, C), 1):
        store_run(tmp_path / f"{day}", timed(0, 1000.0), day=day, revision=revision)
    store_run(tmp_path / "late", timed(0, 1000.0), day=9, revision=B)
    assert _commits(tmp_path, [A, B, C]) == ["a", "d", "b", "b", "e", "c"]


def test_changes_that_were_not_committed_follow_their_commit(tmp_path):
    store_run(tmp_path / "1", timed(0, 1000.0), day=1, revision=A, dirty=True)
    store_run(tmp_path / "2", timed(0, 1000.0), day=2, revision=A)
    assert _commits(tmp_path, [A]) == ["a", "a+"]


def test_order_keeps_every_source(tmp_path):
    store_steps(tmp_path, [1000.0] * 4)
    from harness.analysis.history.series import list_sources

    sources = list_sources(open_store(tmp_path))
    assert sorted(map(id, order_sources(sources, ["3" * 40, "1" * 40]))) == sorted(map(id, sources))


def test_revisions_come_from_the_repository_of_the_folder_parents_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert list_revisions() == []

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", *who, *words], check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    assert list_revisions() == []
    made = []
    for number in range(3):
        git("commit", "-q", "--allow-empty", "-m", str(number))
        made.append(git("rev-parse", "HEAD"))
    assert list_revisions() == made


def test_a_line_that_is_also_a_part_of_others_means_itself(tmp_path):
    store_run(tmp_path / "a", timed(0, 1000.0), timed(1, 2000.0, OTHER))
    assert [one.key.problem for one in read_history(tmp_path, problem=LINE, revisions=()).series] == [LINE]
    assert len(read_history(tmp_path, problem="w=3x2x3", revisions=()).series) == 2


def test_since_leaves_out_what_is_older(tmp_path):
    store_steps(tmp_path, [1000.0, 2000.0, 3000.0])
    moment = open_store(tmp_path).runs[1].moment
    assert len(read_history(tmp_path, since=moment, revisions=()).series[0]) == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"backends": ["mein"]}, "did you mean 'mine'"),
        ({"problem": "x=7"}, "a problem with 'x=7' has no verified time"),
    ],
)
def test_what_is_not_there_is_one_line(tmp_path, wanted, words):
    store_run(tmp_path / "a", timed(0, 1000.0))
    with pytest.raises(UsageError, match=words):
        read_history(tmp_path, revisions=(), **wanted)


def _noisy(levels):
    return [ns * (1 + 0.004 * (number % 3 - 1)) for number, ns in enumerate(levels)]


def test_a_step_is_told_between_its_commits(tmp_path):
    store_steps(tmp_path, _noisy([1000.0] * 7 + [1300.0] * 7))
    store_steps(tmp_path, [1000.0] * 3, backend="short")
    history = judge_history(read_history(tmp_path, revisions=()))
    ((key, shifts),) = history.shifts.items()
    (shift,) = shifts
    assert (key.backend, history.short) == ("mine", 1)
    assert shift.commits == "777777777..888888888"
    assert (shift.first.created[:10], shift.inside) == ("2026-01-08", False)
    assert shift.change.ratio.value == pytest.approx(1.3, rel=0.01)


def test_a_range_of_commits_leaves_out_other_runs_of_the_same_commit(tmp_path):
    revisions = [A] * 7 + [B] * 7
    for day, (revision, ns) in enumerate(zip(revisions, _noisy([1000.0] * 7 + [1300.0] * 7), strict=True), 1):
        store_run(tmp_path / f"{day}", timed(0, ns), day=day, revision=revision)
    (shift,) = next(iter(judge_history(read_history(tmp_path, revisions=[A, B])).shifts.values()))
    assert shift.commits == f"{A[:9]}..{B[:9]}"


def test_a_step_within_one_commit_is_not_the_codes(tmp_path):
    revisions = [A] * 3 + [B] * 11
    for day, (revision, ns) in enumerate(zip(revisions, _noisy([1000.0] * 7 + [1300.0] * 7), strict=True), 1):
        store_run(tmp_path / f"{day}", timed(0, ns), day=day, revision=revision)
    (shift,) = next(iter(judge_history(read_history(tmp_path, revisions=[A, B])).shifts.values()))
    assert (shift.inside, shift.commits, shift.good.revision) == (True, f"within {B[:9]}", A)
