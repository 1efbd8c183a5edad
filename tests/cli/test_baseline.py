"""`baseline` as its users call it."""

from dataclasses import replace

import pytest

from harness.cli.baseline import name_commit
from harness.gating.blessings import FILE, Blessing, Ratio, add_blessing
from harness.record.environment import describe_environment
from tests.record.stored import OTHER, call, law, make_repository, store_run, timed_run, times
from tests.reports.made import PLAIN, compare_arms, time_cell


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty current folder, in no repository."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def store(folder, name, *cells, **more):
    return store_run(timed_run(*cells, **more), folder / "harness-runs" / name)


def test_the_latest_run_is_saved_listed_and_shown(folder, capsys):
    environment = describe_environment()
    store(folder, "1", times(2e6), environment=environment, created="2026-01-02T00:00:00+0000", revision="ab" * 20)
    store(folder, "2", times(1e6), created="2026-01-01T00:00:00+0000")
    code, said, _ = call(capsys, "baseline", "save", "main")
    assert code == 0 and said.startswith("harness-baselines/main.run: 1 cells of harness-runs/1, ")
    call(capsys, "baseline", "save", "old", "harness-runs/2")
    (folder / "harness-baselines" / "cut.run").write_bytes(b"PK")
    code, said, _ = call(capsys, "baseline", "list")
    assert code == 0
    rows = {line.split()[0]: line for line in said.splitlines()}
    assert rows["main"].split() == [
        "main", "2026-01-02T00:00:00+0000", "abababababab", environment["fingerprint"], "1", "yes",
    ]  # fmt: skip
    assert rows["old"].split()[-3:] == ["f00d", "1", "no"] and "no commit" in rows["old"]
    assert "damaged: it is no baseline" in rows["cut"]
    code, said, _ = call(capsys, "baseline", "show", "main")
    assert code == 0
    for label, value in (
        ("created:", "2026-01-02"), ("commit:", "abababababab"), ("environment:", environment["fingerprint"]),
        ("cpu:", environment["cpu"]), ("threads:", str(environment["threads"])),
    ):  # fmt: skip
        assert any(line.startswith(label) and value in line for line in said.splitlines()), label
    assert "passed" in said and PLAIN in said and "run:    harness-baselines/main.run" in said
    assert f"{PLAIN} 2" in " ".join(said.split())  # ms


def test_all_times_are_shown_however_many_there_are(folder, capsys):
    lines = [f"conv x=1x2x{n} w=3x2x3" for n in range(10, 45)]
    store(folder, "1", *(times(1e6, line=line) for line in lines))
    call(capsys, "baseline", "save", "main")
    said = call(capsys, "baseline", "show", "main")[1]
    assert all(line in said for line in lines)


def test_only_one_suite_is_kept_where_asked_and_wrong_cells_are_noted(folder, capsys):
    store(folder, "1", law(), law(outcome="failed", line=OTHER), times(1e6))
    said = call(capsys, "baseline", "save", "whole")[1]
    assert ": 3 cells of" in said and "note: 1 cells of it are wrong" in said
    said = call(capsys, "baseline", "save", "speed", "--suite", "speed-short")[1]
    assert ": 1 cells of" in said and "note" not in said


def test_a_slower_cell_and_a_cell_that_is_gone_make_exit_3(folder, capsys):
    store(folder, "1", times(1000.0), times(1000.0, line=OTHER), revision="ab" * 20)
    call(capsys, "baseline", "save", "main")
    new = store(folder, "2", times(1300.0), created="2026-01-02T00:00:00+0000")
    code, said, _ = call(capsys, "baseline", "compare", "main")
    assert code == 3
    assert "2 cells: 1 SLOWER, 1 MISSING" in said and "the new run has no such cell" in said
    assert "Stored runs are not made in turns" in said and "harness gate --base abababababab\n" in said
    code, said, _ = call(capsys, "baseline", "compare", "main", new, "--threshold", "50%")
    assert code == 3 and "1 MISSING, 1 SAME" in said


def test_the_same_run_is_no_change_and_files_are_written(folder, capsys):
    run = store(folder, "1", law(), times(1000.0))
    call(capsys, "baseline", "save", "main")
    code, said, _ = call(
        capsys, "baseline", "compare", "main", run, "--all", "--output", "files", "--format", "csv", "--format", "html"
    )
    assert code == 0 and "1 SAME, 1 UNCHANGED" in said
    assert "main.run" in (folder / "files" / "comparison.html").read_text()
    assert (folder / "files" / "comparison.csv").exists()


def test_suites_that_the_baseline_does_not_have_are_left_out_and_counted(folder, capsys):
    run = store(folder, "1", law(), law(line=OTHER), times(1000.0))
    call(capsys, "baseline", "save", "speed", run, "--suite", "speed-short")
    code, said, _ = call(capsys, "baseline", "compare", "speed", run, "--all")
    assert code == 0 and "1 cells: 1 SAME" in said
    assert "2 cells of suites that the baseline does not have are left out" in said
    other = store(folder, "2", law())
    code, said, _ = call(capsys, "baseline", "compare", "speed", other)
    assert code == 3 and "1 cells: 1 MISSING" in said


def test_a_name_that_is_taken_is_overwritten_with_replace(folder, capsys):
    store(folder, "1", times(1000.0))
    call(capsys, "baseline", "save", "main")
    store(folder, "2", times(1000.0), law(), created="2026-02-01T00:00:00+0000")
    code, said, _ = call(capsys, "baseline", "save", "main", "--replace")
    assert code == 0 and ": 2 cells of harness-runs/2" in said


def test_another_environment_gets_no_verdict_on_times_but_on_laws(folder, capsys):
    store(folder, "1", law(), times(1000.0))
    call(capsys, "baseline", "save", "main")
    there = {"fingerprint": "beef", "cpu": "two"}
    same = store(folder, "2", law(), times(9000.0), environment=there)
    code, said, _ = call(capsys, "baseline", "compare", "main", same)
    assert code == 4
    assert "times are NOT COMPARABLE" in said and "cpu: one / two" in said
    assert "1 NOT COMPARABLE, 1 UNCHANGED" in said and "SLOWER" not in said
    broken = store(folder, "3", law(outcome="failed"), times(9000.0), environment=there)
    code, said, _ = call(capsys, "baseline", "compare", "main", broken)
    assert code == 1 and "1 BROKEN, 1 NOT COMPARABLE" in said


@pytest.mark.parametrize("command", ["baseline", "compare"])
def test_a_blessed_change_does_not_fail_the_build(folder, capsys, command):
    commits = make_repository(folder / "code")
    one = Blessing(
        backend="mine", problem=PLAIN, verdict="SLOWER", ratio=Ratio(value=1.3, low=1.28, high=1.32),
        commit=commits[2], reason="the padding fix", created="2026-01-01",
    )  # fmt: skip
    base = store(folder, "1", times(1000.0), revision=commits[0])
    new = store(folder, "2", times(1300.0), revision=commits[3])
    call(capsys, "baseline", "save", "main", base)
    words = ["baseline", "compare", "main", new] if command == "baseline" else ["compare", base, new]
    words += ["--folder", folder / "harness-baselines"] if command == "baseline" else []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "code")
        assert call(capsys, *words)[0] == 3
        add_blessing(folder / "code", one)
        code, said, _ = call(capsys, *words, "--output", folder / "files")
        assert code == 0
        assert "1 cells: 1 BLESSED" in said and "the padding fix" in said
        for name in ("comparison.csv", "comparison.md"):
            assert "BLESSED" in (folder / "files" / name).read_text()
        (folder / "code" / FILE).write_text("<<<<<<<")
        code, _, complaint = call(capsys, *words)
        assert code == 2 and "blessings are damaged" in complaint


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["save", "a/b"], "name of a baseline: got 'a/b'"),
        (["save", ".."], "name of a baseline: got '..'"),
        (["save", "main"], "baseline exists: got 'main', there is 'harness-baselines/main.run'; overwrite"),
        (["save", "x", "nowhere"], "run not found: got 'nowhere'"),
        (["save", "x", "--folder", "harness-runs/1/header.json"], "baselines cannot be written"),
        (["save", "x", "--suite", "sped"], "suite: got 'sped', wanted one"),
        (["save", "x", "harness-runs/cut"], "run is incomplete: 'harness-runs/cut' has 1 of 1 cells"),
        (["show", "mian"], "unknown baseline: got 'mian', wanted one of 'harness-baselines'; did you mean 'main'?"),
        (["show", "../main"], "name of a baseline"),
        (["show", "main", "--folder", "elsewhere"], "no baselines: got 'main', but 'elsewhere' has none"),
        (["show", "empty"], "baseline 'harness-baselines/empty.run': it is empty"),
        (["compare", "empty"], "baseline 'harness-baselines/empty.run': it is empty"),
        (["compare", "main", "nowhere"], "run not found: got 'nowhere'"),
        (["compare", "main", "--threshold", "much"], "share: got 'much'"),
        (["compare", "main", "--format", "pdf"], "unknown format: got 'pdf'"),
        (
            ["compare", "main", "harness-runs/1", "--output", "harness-runs/1/header.json"],
            "output folder cannot be written",
        ),
        (["compare", "main"], "is the run that was saved as main, wanted a later one"),
        (["remove", "main"], "No such command 'remove'"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(folder, capsys, arguments, message):
    store(folder, "1", times(1000.0))
    call(capsys, "baseline", "save", "main")
    store(folder, "cut", times(1000.0), complete=False)
    (folder / "harness-baselines" / "empty.run").touch()
    code, _, complaint = call(capsys, "baseline", *arguments)
    assert code == (6 if "cannot be written" in message else 2)
    (line,) = complaint.strip().splitlines()
    assert line.startswith("error: ") and message in line


def test_without_baselines_and_without_runs_it_says_so(capsys):
    code, said, _ = call(capsys, "baseline", "list")
    assert code == 0 and "no baselines in 'harness-baselines'; save one with" in said
    code, _, complaint = call(capsys, "baseline", "save", "main")
    assert code == 2 and "no run: 'harness-runs' has none that is complete" in complaint


def test_a_baseline_of_two_versions_has_the_revision_of_the_new_one():
    run = compare_arms(time_cell(0, "base", [1000.0]), time_cell(1, "new", [1000.0]), dirty=False)
    run = replace(run, header=replace(run.header, gate=replace(run.header.gate, whole=True)))
    environment = {"git": {"revision": "f" * 40, "dirty": True}}
    assert name_commit(replace(run, header=replace(run.header, environment=environment))) == "1123456789ab"
