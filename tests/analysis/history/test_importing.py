"""Files of pytest-benchmark as runs of a history."""

import json
import os
import subprocess
import sys

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.history.importing import read_benchmarks, write_foreign
from harness.analysis.history.series import read_history
from harness.errors import UsageError
from harness.record.directory import read_run
from reports import benchmark_json
from tests.analysis.history.stored import LINE, store_run, timed
from tests.conftest import ROOT

COMMIT = "c" * 40


def write_file(path, *benchmarks, **more):
    """A file as pytest-benchmark writes it."""
    content = {
        "machine_info": {
            "node": "job-17", "machine": "x86_64", "system": "Linux", "python_version": "3.11.7",
            "python_implementation": "CPython", "release": "6.1", "cpu": {"brand_raw": "Made CPU", "count": 4},
        },
        "commit_info": {"id": COMMIT, "dirty": True, "branch": "main"}, "datetime": "2026-01-05T10:00:00.123456+00:00",
        "version": "5.1.0", "benchmarks": list(benchmarks),
    }  # fmt: skip
    path.write_text(json.dumps(content | more))
    return path


def benchmark(seconds=(0.001, 0.002, 0.003), problem=LINE, stats=None, **extra):
    """One of its benchmarks, verified unless said otherwise."""
    info = {"problem": problem, "backend": "mine", "verified": True, **extra}
    return {
        "name": "test_it", "fullname": "tests/test_it.py::test_it", "extra_info": info,
        "options": {"timer": "perf_counter"},
        "stats": {"data": list(seconds), "iterations": 5} if stats is None else stats,
    }  # fmt: skip


def _imported(tmp_path, *benchmarks, **more):
    return read_benchmarks(write_file(tmp_path / "file.json", *benchmarks, **more))


def test_an_imported_file_is_a_whole_run(tmp_path):
    foreign = _imported(tmp_path, benchmark(mode="cold", suite="nightly", label="first"))
    path, new = write_foreign(foreign, tmp_path / "runs")
    assert new
    assert sorted(one.name for one in path.iterdir()) == [
        "blocks.parquet", "header.json", "journal.jsonl", "results.parquet", "samples.parquet",
    ]  # fmt: skip
    run = read_run(path)
    (result,) = run.results
    assert run.complete
    assert (result.suite, result.label, result.outcome) == ("nightly", "first", "passed")
    assert result.measurement.passes[0].samples_ns == (1e6, 2e6, 3e6)
    assert result.measurement.passes[0].loops == 5
    history = read_history(tmp_path / "runs", revisions=())
    ((source, median, _, _),) = history.points(history.series[0])
    assert (source.commit, source.created, median) == (COMMIT[:9] + "+", "2026-01-05 10:00:00", pytest.approx(2e6))
    assert history.series[0].key.mode == "cold"


def test_the_machine_and_not_its_name_makes_the_environment(tmp_path):
    def environment(**changes):
        info = json.loads(write_file(tmp_path / "m.json").read_text())["machine_info"]
        return _imported(tmp_path, benchmark(), machine_info=info | changes).header.environment["fingerprint"]

    assert environment() == environment(node="job-18", release="6.2")
    assert len({environment(), environment(cpu={"brand_raw": "Other"}), environment(python_version="3.12.1")}) == 3


def test_a_file_without_samples_gives_its_summary(tmp_path):
    stats = {"min": 0.001, "q1": 0.002, "median": 0.004, "q3": 0.005, "max": 0.1}
    write_foreign(_imported(tmp_path, benchmark(stats=stats)), tmp_path / "runs")
    (series,) = read_history(tmp_path / "runs", revisions=()).series
    assert series.median_ns[0] == pytest.approx(4e6)
    (result,) = read_run(next((tmp_path / "runs").iterdir())).results
    assert "stand for them" in result.reason


def test_an_exported_run_comes_back_with_its_times(tmp_path):
    run = read_run(store_run(tmp_path / "run", timed(0, 1000.0), revision=COMMIT))
    (file,) = benchmark_json.write(analyse(run), tmp_path)
    foreign = read_benchmarks(file)
    write_foreign(foreign, tmp_path / "runs")
    (series,) = read_history(tmp_path / "runs", revisions=()).series
    assert (series.key.backend, series.key.problem) == ("mine", LINE)
    assert series.median_ns[0] == pytest.approx(1000.0, rel=0.02)
    assert foreign.left_out == ()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (benchmark(problem=None), "names no problem"),
        (benchmark(backend=3), "names no backend"),
        (benchmark(verified=False), "were verified"),
        (benchmark(verified="yes"), "were verified"),
        (benchmark(problem="conv x=1"), "impossible geometry"),
        (benchmark(problem="convolve x=1x1x3"), "problem line, column"),
        (benchmark(backend="mine@v1"), "arm of another revision"),
        (benchmark(mode="warm"), "its mode is 'warm'"),
        (benchmark(stats={}), "neither samples nor a summary"),
        (benchmark(seconds=(0.001, 0.0)), "neither samples nor a summary"),
        (benchmark(seconds=(0.001, "fast")), "neither samples nor a summary"),
        ({"name": "plain", "stats": {"data": [1.0]}}, "names no problem"),
        ("text", "it is no object"),
        ({"extra_info": [1]}, "are no objects"),
    ],
)
def test_what_is_no_verified_timing_is_left_out_with_the_reason(tmp_path, wrong, reason):
    foreign = _imported(tmp_path, wrong, benchmark())
    assert len(foreign.results) == 1
    ((_, why),) = foreign.left_out
    assert reason in why


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[1, 2]", "no JSON object"),
        (b'{"benchmarks": ', "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b'{"a": 1}', "no `benchmarks` and `machine_info`"),
        (b'{"benchmarks": {}, "machine_info": {}}', "no `benchmarks` and `machine_info`"),
        (b'{"benchmarks": [], "machine_info": {}}', "no `datetime`"),
        (None, "No such file"),
    ],
)
def test_a_file_of_something_else_is_one_line(tmp_path, content, words):
    file = tmp_path / "file.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=words) as caught:
        read_benchmarks(file)
    assert "\n" not in str(caught.value)


def test_the_same_file_never_counts_twice(tmp_path):
    runs = tmp_path / "runs"
    foreign = _imported(tmp_path, benchmark())
    path, new = write_foreign(foreign, runs)
    again = (tmp_path / "file.json").rename(tmp_path / "renamed.json")
    assert (new, write_foreign(read_benchmarks(again), runs)) == (True, (path, False))
    assert len(read_history(runs, revisions=()).series[0]) == 1


def test_an_import_that_fails_leaves_nothing(tmp_path, monkeypatch):
    foreign = _imported(tmp_path, benchmark())
    (tmp_path / "runs").write_text("a file is in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        write_foreign(foreign, tmp_path / "runs")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.json", "runs"]


def test_two_processes_write_one_history_at_once(tmp_path):
    count, runs = 6, tmp_path / "runs"
    shared = [write_file(tmp_path / f"s{n}.json", benchmark(seconds=[0.001 * (n + 1)])) for n in range(count)]
    own = [write_file(tmp_path / f"o{n}.json", benchmark(seconds=[0.1 * (n + 1)])) for n in range(2)]
    code = (
        "import sys, os, time\n"
        "from harness.analysis.history.importing import read_benchmarks, write_foreign\n"
        "found = [read_benchmarks(file) for file in sys.argv[3:]]\n"
        "import harness.analysis.tables, pyarrow.parquet, harness.analysis.statistics\n"
        "open(sys.argv[1], 'w').close()\n"
        "while not os.path.exists(sys.argv[2]): time.sleep(0.001)\n"  # so that both begin together
        "print(sum(write_foreign(one, 'runs')[1] for one in found))\n"
    )
    ready = [tmp_path / "ready0", tmp_path / "ready1"]
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, ready[n], ready[1 - n], *shared, own[n]], cwd=tmp_path, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        for n in range(2)
    ]  # fmt: skip
    said = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(int(out) for out, _ in said) == count + 2  # each file is new to one of the two only
    history = read_history(runs, revisions=())
    assert (len(history.series[0]), history.notices) == (count + 2, ())
    assert not [path for path in runs.iterdir() if path.name.endswith(".part")]
