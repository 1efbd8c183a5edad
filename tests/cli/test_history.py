import shutil

import pytest

from harness.cli.history import draw_trend
from harness.cli.main import main
from tests.analysis.history.stored import LINE, OTHER, store_run, store_steps, timed
from tests.analysis.history.test_importing import benchmark, write_file

STEP = [1000.0 * (1 + 0.004 * (n % 3 - 1)) * (1.3 if n > 6 else 1.0) for n in range(14)]


def _main(*arguments):
    with pytest.raises(SystemExit) as caught:
        main([*map(str, arguments)])
    return caught.value.code


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stored")
    store_steps(folder, STEP)
    store_run(folder / "more", timed(0, 2e6, OTHER, "other"), day=20, revision="f" * 40)
    return folder


@pytest.fixture
def runs(stored, tmp_path):
    return shutil.copytree(stored, tmp_path / "runs")


def test_series_are_shown_with_their_ends_and_trend(runs, capsys):
    assert _main("history", "--runs", runs) == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("mine"))
    assert LINE in row
    assert "111111111 2026-01-01" in row
    assert "eeeeeeeee 2026-01-14" in row
    assert "▁▁▁▁▁▁▁█" in row
    assert "2 series, 15 points from 15 runs" in out
    assert "Made CPU, 2 cores, 2 threads" in out


def test_one_series_is_shown_by_its_points(runs, capsys):
    assert _main("history", "--runs", runs, "--backend", "other") == 0
    out = capsys.readouterr().out
    assert next(line for line in out.splitlines() if line.startswith("fffffffff  2026-01-20 12:00:00  more"))


def test_changes_are_shown_and_do_not_fail_the_command(runs, capsys):
    assert _main("history", "--runs", runs, "--changes") == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if line.startswith("777777777..888888888"))
    assert "2026-01-08" in row
    assert "1.30" in row
    assert "1 changes in 1 series; 1 more are too short to be judged (fewer than 6 points)" in out


def test_files_are_written_where_they_are_asked_for_only(runs, tmp_path, capsys):
    assert _main("history", "--runs", runs) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert _main("history", "--runs", runs, "--output", tmp_path / "out", "--format", "csv") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["changes.csv", "history.csv"]
    assert (tmp_path / "out" / "changes.csv").read_text().count("\n") == 2


def test_a_history_without_a_time_is_shown_as_empty(tmp_path, capsys):
    store_run(tmp_path / "a", timed(0, 1000.0, outcome="failed"))
    assert _main("history", "--runs", tmp_path, "--output", tmp_path / "out") == 0
    assert "0 series, 0 points from 1 runs" in capsys.readouterr().out
    assert (tmp_path / "out" / "history.html").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--runs", "no/such/folder"), "is no folder"),
        (("--since", "yesterday"), "wanted one such as 2026-01-31"),
        (("--backend", "mein"), "did you mean 'mine'"),
        (("--problem", "x=7"), "has no verified time"),
        (("--format", "junit"), "cannot show this"),
        (("--output", "out", "--no-plugin", "reports.reporters"), "no plugin can write a history"),
    ],
)
def test_bad_input_is_one_line(runs, arguments, words, capsys):
    given = arguments if arguments[0] == "--runs" else ("--runs", runs, *arguments)
    assert _main("history", *given) == 2
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_imported_files_join_the_history(tmp_path, capsys):
    runs = tmp_path / "runs"
    file = write_file(tmp_path / "a.json", benchmark(), benchmark(verified=False), {"name": "plain"})
    assert _main("import", file, "--runs", runs) == 0
    out = capsys.readouterr().out
    assert "1 timings of" in out
    assert "left out, its extra_info names no problem: plain" in out
    assert "left out, its extra_info does not say that its outputs were verified: tests/test_it.py" in out
    assert _main("import", file, "--runs", runs) == 0
    assert "already there" in capsys.readouterr().out
    assert _main("history", "--runs", runs) == 0
    assert sum("imported-" in line for line in capsys.readouterr().out.splitlines()) == 1


def test_an_import_of_nothing_says_so_with_its_code(tmp_path, capsys):
    assert _main("import", write_file(tmp_path / "a.json", {"name": "plain"}), "--runs", tmp_path / "runs") == 4
    assert "nothing to take" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_nothing_is_written_where_one_of_the_files_is_bad(tmp_path, capsys):
    good, bad = write_file(tmp_path / "a.json", benchmark()), tmp_path / "b.json"
    bad.write_text("")
    assert _main("import", good, bad, "--runs", tmp_path / "runs") == 2
    assert "it is empty" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_trend_rises_with_its_times_and_stays_low_for_noise():
    assert draw_trend([1.0, 2.0, 4.0]) == "▁▅█"
    assert set(draw_trend([1.0, 1.01, 1.0, 1.01])) <= set("▁▂")
    assert len(draw_trend([1.0] * 500)) == 24
