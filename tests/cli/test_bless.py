"""`bless` as its users call it, in small repositories with runs of two of their commits."""

import shutil
from dataclasses import replace

import pytest

from harness.gating.blessings import FILE, read_blessings
from harness.plan.limits_reading import read_limits
from tests.record.stored import OTHER, arms_run, call, commit, git, make_repository, store_run, timed_run, times
from tests.reports.made import PLAIN, compare_arms, spread, time_cell

CELL = f"mine {PLAIN}"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A repository of four commits, with runs in which the last is 30 % slower than the first."""
    folder = tmp_path_factory.mktemp("made") / "repository"
    commits = make_repository(folder)
    store_run(arms_run(commits[0], commits[2], 1.3), folder / "harness-runs" / "1-slower")
    return folder


@pytest.fixture
def repository(original, tmp_path, monkeypatch):
    """A copy of it, whose folder `deep` is the current one."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(original, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


@pytest.fixture
def commits(repository):
    return git(repository, "rev-list", "--reverse", "main").split()


def test_a_slower_cell_is_blessed_with_what_the_run_says(repository, commits, capsys):
    code, said, _ = call(capsys, "bless", "mine  conv w=3x2x3 x=1x2x9", "--reason", "the padding\n fix")
    assert code == 0
    (one,) = read_blessings(repository)
    assert (one.backend, one.problem, one.verdict, one.commit) == ("mine", PLAIN, "SLOWER", commits[2])
    assert one.ratio is not None and one.ratio.value == pytest.approx(1.3)
    assert one.ratio.low <= one.ratio.value <= one.ratio.high
    assert (one.reason, one.fingerprint) == ("the padding fix", "f00d")
    assert f"blessed: {CELL}: SLOWER 1.300" in said and f"commit {repository / FILE}" in said


def test_a_missing_cell_is_blessed_without_a_ratio(repository, commits, tmp_path, capsys):
    run = store_run(arms_run(commits[0], commits[2], None), tmp_path / "run")
    assert call(capsys, "bless", CELL, "--reason", "dropped", "--run", run)[0] == 0
    (one,) = read_blessings(repository)
    assert one.verdict == "MISSING" and one.ratio is None


def test_all_for_which_a_cell_fails_is_blessed_each_by_itself(repository, commits, tmp_path, capsys):
    made = arms_run(commits[0], commits[2], 1.3)
    old, new = made.results
    passes = tuple(replace(one, workspace_bytes=4096) for one in new.measurement.passes)
    gate = replace(made.header.gate, limits=read_limits("limits", [{"memory": "10%"}]))
    grown = replace(new, measurement=replace(new.measurement, passes=passes))
    run = store_run(replace(made, results=(old, grown), header=replace(made.header, gate=gate)), tmp_path / "run")
    code, said, _ = call(capsys, "bless", CELL, "--reason", "tiles", "--run", run)
    assert code == 0 and "MORE MEMORY workspace 4 KiB instead of 64 B, 64.000 times as much at" in said
    memory, time = sorted(read_blessings(repository), key=lambda one: one.verdict)
    assert (memory.verdict, memory.ratio, time.verdict, time.amounts) == ("MORE MEMORY", None, "SLOWER", ())
    assert [(one.what, one.base, one.new) for one in memory.amounts] == [("workspace", 64, 4096)]
    assert "workspace 4 KiB" in call(capsys, "bless", "--list")[1]


def test_the_commit_may_be_named_when_the_run_was_of_files_in_no_commit(repository, commits, tmp_path, capsys):
    run = store_run(arms_run(commits[2], commits[2], 1.3, dirty=True), tmp_path / "run")
    code, _, complaint = call(capsys, "bless", CELL, "--reason", "r", "--run", run)
    assert code == 2 and "timed with changes that are in no commit; commit them" in complaint
    assert call(capsys, "bless", CELL, "--reason", "r", "--run", run, "--commit", "HEAD")[0] == 0
    assert read_blessings(repository)[0].commit == commits[3]


def test_where_several_arms_or_suites_have_the_cell_one_is_to_be_named(repository, commits, tmp_path, capsys):
    cells = [time_cell(0, "base", spread(1000.0)), time_cell(1, "fast", spread(1200.0))]
    cells += [time_cell(2, "new", spread(1300.0)), time_cell(3, "base", spread(1000.0), suite="speed")]
    cells += [time_cell(4, "new", spread(1400.0), suite="speed")]
    made = compare_arms(*cells, families=(("base", "f"), ("fast", "f"), ("new", "f")), dirty=False)
    arms = tuple(replace(arm, revision=commits[n]) for n, arm in enumerate(made.header.arms))
    run = store_run(replace(made, header=replace(made.header, arms=arms)), tmp_path / "run")
    words = ["--reason", "r", "--run", run]
    code, _, complaint = call(capsys, "bless", CELL, *words)
    assert code == 2 and "there are fast in speed-short, new in speed-short, new in speed; name the arm" in complaint
    assert call(capsys, "bless", f"new {PLAIN}", *words)[0] == 2
    assert call(capsys, "bless", f"new {PLAIN}", *words, "--suite", "speed")[0] == 0
    (one,) = read_blessings(repository)
    assert (one.backend, one.commit) == ("mine", commits[2])
    assert one.ratio is not None and one.ratio.value == pytest.approx(1.4)


def test_the_list_says_which_hold(repository, commits, capsys):
    assert call(capsys, "bless", "--list")[1] == f"no blessings in '{repository / FILE}'\n"
    call(capsys, "bless", CELL, "--reason", "first")
    git(repository, "checkout", "--quiet", "-b", "side")
    call(capsys, "bless", CELL, "--reason", "second", "--commit", commit(repository, "side"))
    code, said, _ = call(capsys, "bless", "--list", "--base", commits[0])
    assert code == 0
    assert [line.split()[0] for line in said.splitlines() if "SLOWER" in line] == ["holds", "holds"]
    states = {
        line.split()[-1]: line.split("SLOWER")[0].strip()
        for line in call(capsys, "bless", "--list", "--base", "main")[1].splitlines()
        if "SLOWER" in line
    }
    assert states == {"first": "spent", "second": "holds"}
    git(repository, "checkout", "--quiet", "main")
    said = call(capsys, "bless", "--list")[1]
    assert "not in head" in said and "--base REV says which are spent" in said


def test_a_blessing_is_removed_even_when_its_commit_is_lost(repository, commits, capsys):
    call(capsys, "bless", CELL, "--reason", "first")
    text = (repository / FILE).read_text()
    (repository / FILE).write_text(text.replace(commits[2], "0" * 40))
    assert "unknown commit" in call(capsys, "bless", "--list")[1]
    code, said, _ = call(capsys, "bless", CELL, "--remove", "--commit", "000000")
    assert code == 0 and "removed: mine" in said
    assert read_blessings(repository) == ()
    code, _, complaint = call(capsys, "bless", CELL, "--remove")
    assert code == 2 and "no blessing: got 'mine conv" in complaint


def _faster(repository, commits):
    return store_run(arms_run(commits[0], commits[2], 0.7), repository / "run")


def _failed(repository, commits):
    return store_run(arms_run(commits[0], commits[2], 1.3, outcome="failed", reason="wrong"), repository / "run")


def _no_arms(repository, commits):
    return store_run(timed_run(times(1.0)), repository / "run")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "bless: got no cell, wanted 'BACKEND PROBLEM LINE', or --list"),
        (["mine"], "cell: got 'mine', wanted a backend and a problem line"),
        ([CELL], "bless: got no reason, wanted --reason"),
        ([CELL, "--reason", "  "], "bless: got no reason"),
        (["mine konv x=1x1x1", "--reason", "r"], "unknown operator: got 'konv'"),
        ([f"mien {PLAIN}", "--reason", "r"], "backend: got 'mien', of which '"),
        ([f"mine {OTHER}", "--reason", "r"], f"did not compare '{OTHER}' on mine"),
        ([CELL, "--reason", "r", "--suite", "speed"], "on mine in speed; `python -m harness report`"),
        ([CELL, "--reason", "r", "--run", "nowhere"], "run not found: got 'nowhere'"),
        ([CELL, "--reason", "r", "--run", _no_arms], "compares no arms, wanted one made by `gate` or `versus`"),
        ([CELL, "--reason", "r", "--run", _faster], "cell is FASTER in '"),
        ([CELL, "--reason", "r", "--run", _failed], "cell is wrong (failed): only SLOWER, MORE, MISSING"),
        ([CELL, "--reason", "r", "--commit", "mian"], "unknown revision: got 'mian', wanted a commit"),
        ([CELL, "--reason", "r", "--commit", "main~3"], "is part of the base"),
        (["--list", "--base", "mian"], "unknown revision: got 'mian'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_changes_nothing(repository, commits, capsys, arguments, message):
    if arguments == ["--list", "--base", "mian"]:
        call(capsys, "bless", CELL, "--reason", "r")
    before = read_blessings(repository)
    given = [one(repository, commits) if callable(one) else one for one in arguments]
    code, _, complaint = call(capsys, "bless", *given)
    assert code == 2
    (line,) = complaint.strip().splitlines()
    assert line.startswith("error: ") and message in line
    assert read_blessings(repository) == before


def test_outside_of_a_repository_and_without_runs_it_says_so(repository, tmp_path, monkeypatch, capsys):
    shutil.rmtree(repository / "harness-runs")
    code, _, complaint = call(capsys, "bless", CELL, "--reason", "r")
    assert code == 2 and "no run: 'harness-runs' has none that compares arms" in complaint
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    code, _, complaint = call(capsys, "bless", "--list")
    assert code == 2 and "is in no git repository" in complaint


def test_a_file_that_cannot_be_written_is_said(repository, capsys):
    (repository / FILE).mkdir()
    code, _, complaint = call(capsys, "bless", CELL, "--reason", "r")
    assert code == 2 and "blessings cannot be read" in complaint
