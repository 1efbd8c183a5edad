"""Files for continuous integration: complete, valid, escaped, on request, and never greener than the run."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from click.testing import CliRunner

import harness
from harness import UsageError
from harness.analysis.analyse import analyse
from harness.analysis.exit_code import find_exit_code
from harness.analysis.repeating import repeat_command
from harness.analysis.statistics import estimate_time
from harness.cli.report import command
from harness.plugins.manager import load_plugins
from harness.record.run import Ending
from reports.github_annotations import escape_data, escape_property
from tests.reports.made import PLAIN, compare_arms, fail, make_run, measure, result, spread, time_cell

CI = ["summary", "junit", "pytest-benchmark", "github-action-benchmark", "bencher", "annotations"]


def _line(number):
    return f"conv x={number + 1}x2x9 w=3x2x3"


def _write(run, name, folder):
    folder.mkdir(exist_ok=True)
    (path,) = load_plugins().reporter(name).write(analyse(run), folder)
    return path


def _numbered(*results):
    return [replace(one, cell=number) for number, one in enumerate(results)]


@pytest.fixture(scope="module")
def mixed():
    """Every outcome, and a result that proves nothing among a hundred that do."""
    told = ("error", "crashed", "timeout", "unsupported", "unavailable", "skipped")
    return make_run(*_numbered(
        fail(line=f"{PLAIN} data=integer", note="12 of 90 wrong, all in the last tile"),
        *(result("mine", "tap-probe", _line(n), outcome, None, reason=f"why {outcome}", seconds=0.25)
          for n, outcome in enumerate(told)),
        *(measure("mine", 20.0, line=_line(n)) for n in range(10, 110)), measure("mine", 20.0, vacuous=10),
    ))  # fmt: skip


@pytest.fixture(scope="module")
def arms():
    """A cell of every verdict: slower, the same, faster, undecided on the bound, and one whose arm crashed."""
    cells = []
    for n, (label, ratio) in enumerate((("slow", 1.2), ("same", 1.0), ("fast", 0.8), ("near", 1.01))):
        cells.append(time_cell(2 * n, "base", spread(1000.0), _line(n), label=label))
        cells.append(time_cell(2 * n + 1, "new", spread(1000.0 * ratio, share=0.002), _line(n), label=label))
    gone = time_cell(9, "new", [], _line(8), outcome="unavailable", reason="no such device", label="gone")
    return compare_arms(*cells, time_cell(8, "base", spread(500.0), _line(8), label="gone"), gone)


def _cases(root):
    """Cases by name, of all suites but that of the run as a whole."""
    return {(case.get("classname"), case.get("name")): case for case in root.iter("testcase")}


def test_formats_for_ci_are_written_only_on_request():
    registry = load_plugins()
    assert [one.name for one in registry.reporters_for(())] == ["csv", "markdown", "html", "parquet"]
    assert [one.name for one in registry.reporters_for(["junit", "html"])] == ["junit", "html"]
    assert {one.name for one in registry.reporters.values() if not one.default} == set(CI)
    with pytest.raises(UsageError, match=r"got 'junitt', wanted one of annotations, .*did you mean 'junit'") as caught:
        registry.reporters_for(["junitt"])
    assert all(name in str(caught.value) for name in registry.reporters)


def test_the_command_writes_just_the_formats_that_it_is_asked_for(tmp_path):
    folder = tmp_path / "run"
    harness.run("correctness", backends=["im2col"], problems=[PLAIN], laws=["agrees-with-reference"], output=folder)
    for given, files in (
        (["--format", "junit", "--format", "html"], {"junit.xml", "report.html"}),
        (
            [arg for name in CI for arg in ("--format", name)],
            {"summary.md", "junit.xml", "annotations.txt", *(f"{n}.json" for n in CI[2:5])},
        ),
    ):
        output = tmp_path / str(len(given))
        done = CliRunner().invoke(command, [str(folder), *given, "--output", str(output)])
        assert done.exception is None, done.output
        assert {path.name for path in output.iterdir()} == files
    assert int(ET.parse(output / "junit.xml").getroot().get("tests")) == len(harness.load(folder).results) > 0
    assert CliRunner().invoke(command, [str(folder), "--output", str(tmp_path / "all")]).exception is None
    assert {path.suffix for path in (tmp_path / "all").iterdir()} == {".csv", ".md", ".html", ".parquet"}


def test_a_format_that_has_no_comparison_is_refused_where_it_is_named():
    with pytest.raises(
        UsageError, match="got 'junit', which cannot show this, wanted one of csv, html, markdown, parq"
    ):
        load_plugins().reporters_for(["junit"], "write_comparison")


def test_every_cell_is_one_case_of_its_suite_with_the_right_element(mixed, tmp_path):
    root = ET.parse(_write(mixed, "junit", tmp_path)).getroot()
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name")) == ("testsuites", "testsuite", "correctness.mine")
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 108, "failures": 1, "errors": 3, "skipped": 4}
    assert counts["tests"] == len(suite) == mixed.header.cells == int(root.get("tests"))
    cases = _cases(root)
    for n, outcome in enumerate(("error", "crashed", "timeout", "unsupported", "unavailable", "skipped")):
        case = cases["correctness.mine", f"tap-probe {_line(n)}"]
        (child,) = case
        assert child.tag == ("error" if n < 3 else "skipped")
        assert child.get("type") == outcome
        assert child.get("message").endswith(f"why {outcome}")
        assert float(case.get("time")) == 0.25
    assert len(cases["correctness.mine", f"agrees-with-reference {_line(10)}"]) == 0
    (nothing,) = cases["correctness.mine", f"agrees-with-reference {PLAIN}"]
    assert (nothing.tag, nothing.get("message")) == ("skipped", "passed by a comparison that proves nothing")


def test_a_failure_tells_reason_place_problem_and_command(mixed, tmp_path):
    root = ET.parse(_write(mixed, "junit", tmp_path)).getroot()
    (failure,) = root.iter("failure")
    assert failure.get("message") == "failed: y[0, 2, 1]: got 3.5, wanted 1.25 within 1e-06"
    assert failure.text.splitlines()[1:] == [
        "where: 12 of 90 wrong, all in the last tile", f"problem: {PLAIN} data=integer",
        f"repeat: {repeat_command(mixed.header, mixed.results[0])}",
    ]  # fmt: skip


def test_what_acts_is_a_code_what_xml_forbids_is_removed_and_the_rest_survives(tmp_path):
    nasty = "<&\"' ]]> \x00\x1b[31m\x0b \ufffe \ud800 é 🙂\nnext\tline"
    run = make_run(result("m&<", "law", PLAIN, "error", None, reason=nasty))
    (error,) = ET.parse(_write(run, "junit", tmp_path)).getroot().iter("error")
    shown = "<&\"' ]]> \\x00\\x1b[31m   \\ud800 é 🙂 next line"
    assert error.get("message") == f"error: {shown}"
    assert error.text.startswith(f"{shown}\n")


def test_verdicts_decide_over_the_cells_of_compared_arms(arms, tmp_path):
    root = ET.parse(_write(arms, "junit", tmp_path)).getroot()
    assert [suite.get("name") for suite in root] == ["speed-short.base", "speed-short.new"]
    cases = _cases(root)
    found = {}
    for n, name in ((0, "slow"), (1, "same"), (2, "fast"), (3, "near"), (8, "gone")):
        case = cases["speed-short.new", _line(n)]
        values = {one.get("name"): one.get("value") for one in case.iter("property")}
        found[name] = (values["verdict"], [child.tag for child in case if child.tag != "properties"])
        assert name == "gone" or float(values["ratio_low"]) < float(values["ratio"]) < float(values["ratio_high"])
        assert not list(cases["speed-short.base", _line(n)])
    assert found == {
        "slow": ("SLOWER", ["failure"]), "same": ("SAME", []), "fast": ("FASTER", []),
        "near": ("INCONCLUSIVE", ["skipped"]), "gone": ("MISSING", ["failure"]),
    }  # fmt: skip
    slower, missing = root.iter("failure")
    assert slower.get("message").startswith("SLOWER: takes 1.200 times the base (1.19")
    assert "base: base\n" in slower.text
    assert "repeat: python -m harness versus" in slower.text
    assert missing.get("message") == "MISSING: new: unavailable: no such device"
    (open_,) = root.iter("skipped")
    assert open_.get("message").startswith("INCONCLUSIVE: +")
    assert " after 13 passes lies across ±1 %; " in open_.get("message")


def test_a_known_slowdown_of_a_qualification_is_no_failure(tmp_path):
    for suite, failures in (("qualify", "1"), ("qualify+20", "0")):
        run = compare_arms(
            time_cell(0, "base", spread(1000.0), suite=suite), time_cell(1, "new", spread(1200.0), suite=suite)
        )
        assert ET.parse(_write(run, "junit", tmp_path)).getroot().get("failures") == failures


def test_a_busy_machine_passes_no_verdict(tmp_path):
    dropped = dict.fromkeys(range(0, 26, 2), "too busy")
    run = compare_arms(time_cell(0, "base", spread(1000.0), dropped=dropped), time_cell(1, "new", spread(1000.0)))
    root = ET.parse(_write(run, "junit", tmp_path)).getroot()
    assert [(one.get("type"), one.get("message")) for one in root.iter("skipped")] == [
        ("cannot tell", "cannot tell: the machine cannot tell: 25 % of the blocks were disturbed"),
        ("SAME", "SAME: the machine cannot tell"),
    ]
    text = _write(run, "annotations", tmp_path).read_text()
    assert text == "::warning title=cannot tell::the machine cannot tell: 25 %25 of the blocks were disturbed\n"


@pytest.mark.parametrize(
    ("run", "kind", "element"),
    [
        (replace(make_run(measure("mine", 20.0)), ending=None), "incomplete", "error"),
        (make_run(result("mine", "law", PLAIN, "unavailable", None, reason="no device")), "nothing ran", "error"),
        (make_run(measure("mine", 20.0, vacuous=10)), "proves nothing", "failure"),
    ],
)
def test_a_run_that_is_no_success_is_not_green(run, kind, element, tmp_path):
    suite = ET.parse(_write(run, "junit", tmp_path)).getroot()[0]
    assert suite.get("name") == "run"
    assert [(child.tag, child.get("type")) for child in suite[0]] == [(element, kind)]
    assert _write(run, "annotations", tmp_path).read_text().startswith(f"::error title={kind}::")
    assert find_exit_code(run) != 0


def test_a_good_run_has_no_findings(tmp_path):
    run = make_run(measure("mine", 20.0))
    root = ET.parse(_write(run, "junit", tmp_path)).getroot()
    assert [suite.get("name") for suite in root] == ["correctness.mine"]
    assert _write(run, "annotations", tmp_path).read_text() == ""


@pytest.fixture(scope="module")
def timed():
    """Two times to show, and four cells that have none: wrong, unproven, not run, and a law."""
    worst = fail().deviation
    return make_run(
        time_cell(0, "a", [1000.0, 1100.0], suite="speed", dropped={1: "too busy"}),
        time_cell(1, "b", [2000.0, 2200.0], suite="speed"),
        time_cell(2, "wrong", [10.0], suite="speed", outcome="failed", deviation=worst),
        time_cell(3, "unproven", [10.0], suite="speed", deviation=replace(worst, worst=0.0, vacuous=10)),
        time_cell(4, "absent", [], suite="speed", outcome="unavailable"),
        measure("a", 20.0),
    )  # fmt: skip


def test_pytest_benchmark_has_every_kept_sample_of_verified_cells(timed, tmp_path):
    content = json.loads(_write(timed, "pytest-benchmark", tmp_path).read_text())
    assert set(content) == {"machine_info", "commit_info", "benchmarks", "datetime", "version"}
    a, b = content["benchmarks"]
    assert (a["group"], a["name"], a["fullname"], a["param"]) == (PLAIN, "speed[a]", f"{PLAIN}::speed[a]", "a")
    assert b["extra_info"] == {
        "problem": PLAIN, "arm": "b", "backend": "b", "suite": "speed", "label": f"row {PLAIN}", "verified": True,
        "route": "native", "passes": 2, "mode": "hot",
    }  # fmt: skip
    assert a["stats"]["rounds"] == len(a["stats"]["data"]) == 9  # three of twelve lie in the block that was dropped
    assert (b["stats"]["rounds"], b["stats"]["iterations"]) == (12, 10)
    assert b["stats"]["data"][:3] == pytest.approx([1.8e-6, 2.0e-6, 2.4e-6])
    assert b["stats"]["median"] == pytest.approx(2.1e-6)


def test_a_cell_of_which_all_blocks_were_dropped_shows_its_first_pass(tmp_path):
    run = make_run(time_cell(0, "a", [1000.0, 1100.0], dropped=dict.fromkeys(range(4), "too busy")))
    (one,) = json.loads(_write(run, "pytest-benchmark", tmp_path).read_text())["benchmarks"]
    assert one["stats"]["data"] == pytest.approx([0.9e-6, 1e-6, 1.2e-6] * 2)


def test_pytest_benchmark_itself_loads_and_compares_two_files(timed, tmp_path):
    from pytest_benchmark.logger import Logger
    from pytest_benchmark.utils import load_storage

    header = replace(timed.header, environment={"git": {"revision": "abc", "dirty": True}, "cpu": "some", "cores": 2})
    paths = [str(_write(replace(timed, header=header), "pytest-benchmark", tmp_path / name)) for name in ("old", "new")]
    content = json.loads((tmp_path / "old" / "pytest-benchmark.json").read_text())
    assert (content["commit_info"]["id"], content["commit_info"]["dirty"]) == ("abc", True)
    storage = load_storage(str(tmp_path / "store"), logger=Logger(level=Logger.QUIET), netrc=None)
    loaded = list(storage.load_benchmarks(*paths))
    assert [one["name"] for one in loaded] == ["speed[a]", "speed[b]"] * 2
    done = subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", "compare", "old/pytest-benchmark.json", "new/pytest-benchmark.json"],
        capture_output=True, text=True, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"benchmark '{PLAIN}': 4 tests" in done.stdout
    assert all(f"speed[{backend}] ({source}/" in done.stdout for backend in "ab" for source in ("old", "new"))


def test_without_pytest_benchmark_the_error_says_what_to_install(timed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest_benchmark.stats", None)
    with pytest.raises(UsageError, match=r"pip install 'conv-harness\[ci\]'"):
        _write(timed, "pytest-benchmark", tmp_path)
    assert not (tmp_path / "pytest-benchmark.json").exists()


def test_services_get_median_and_interval_of_verified_cells(timed, tmp_path):
    times = {f"speed.{r.arm} {PLAIN}": estimate_time(r.measurement) for r in timed.results[:2]}
    entries = json.loads(_write(timed, "github-action-benchmark", tmp_path).read_text())
    assert {one["name"]: one["value"] for one in entries} == {name: time.value for name, time in times.items()}
    assert {one["unit"] for one in entries} == {"ns"}
    assert all(set(one) == {"name", "unit", "value", "range", "extra"} for one in entries)
    assert "95 % interval over processes, 2 passes" in entries[0]["extra"]
    assert json.loads(_write(timed, "bencher", tmp_path).read_text()) == {
        name: {"latency": {"value": time.value, "lower_value": time.low, "upper_value": time.high}}
        for name, time in times.items()
    }


def test_series_of_two_versions_have_no_revisions_and_the_ratio_with_its_interval(tmp_path):
    cells = [time_cell(0, "mine@abc123", spread(1000.0)), time_cell(1, "mine", spread(1050.0))]
    run = compare_arms(*cells, families=(("mine@abc123", "mine"), ("mine", "mine")))
    run = replace(run, header=replace(run.header, gate=replace(run.header.gate, whole=True)))
    ratio = analyse(run).arm_comparison.rows[0].judgement.ratio
    base, new = (f"speed-short.{name} {PLAIN}" for name in ("mine@base", "mine"))
    found = json.loads(_write(run, "bencher", tmp_path).read_text())
    assert set(found) == {base, new} and set(found[base]) == {"latency"}
    assert found[new]["ratio"] == {"value": ratio.value, "lower_value": ratio.low, "upper_value": ratio.high}
    entries = json.loads(_write(run, "github-action-benchmark", tmp_path).read_text())
    assert [one["name"] for one in entries] == [base, new, f"{new} (new / base)"]
    assert (entries[2]["unit"], entries[2]["value"]) == ("ratio", ratio.value)
    old, now = json.loads(_write(run, "pytest-benchmark", tmp_path).read_text())["benchmarks"]
    assert [old["name"], now["name"]] == ["speed-short[mine@base]", "speed-short[mine]"]
    assert "ratio" not in old["extra_info"] and now["extra_info"]["ratio_high"] == ratio.high
    root = ET.parse(_write(run, "junit", tmp_path)).getroot()
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("speed-short.mine", "1")]


def test_annotations_show_the_worst_cells_in_order(arms, tmp_path):
    wrong = [replace(fail(line=_line(20 + n), worst=float(n)), cell=100 + n) for n in (3, 5, 4)]
    crash = result("mine", "law", _line(30), "crashed", None, reason="signal 11")
    results = (*arms.results, *wrong, replace(crash, cell=200))
    run = replace(arms, results=results, header=replace(arms.header, cells=len(results)))
    lines = _write(run, "annotations", tmp_path).read_text().splitlines()
    assert [line.split("::")[1] for line in lines] == [
        "error title=crashed mine law", *["error title=failed mine agrees-with-reference"] * 3,
        "error title=MISSING new gone", "error title=SLOWER new slow", "warning title=INCONCLUSIVE new near",
    ]  # fmt: skip
    assert [f"problem: {_line(20 + n)}%0A" in line for n, line in zip((5, 4, 3), lines[1:], strict=False)] == [True] * 3


def test_annotations_are_ten_at_most_and_say_how_many_more(tmp_path):
    cells = _numbered(*(fail(line=_line(n)) for n in range(12)), measure("mine", 20.0, line=_line(20)))
    lines = _write(make_run(*cells), "annotations", tmp_path).read_text().splitlines()
    assert [line[:7] for line in lines] == ["::error"] * 10 + ["::notic"]
    assert "2 more cells are wrong" in lines[-1]
    torn = replace(make_run(*cells), ending=Ending(complete=False, reason="interrupted"))
    lines = _write(torn, "annotations", tmp_path).read_text().splitlines()
    assert lines[0].startswith("::error title=incomplete::INCOMPLETE: interrupted")
    assert (len(lines), lines[-1][:35]) == (11, "::notice title=and more::3 more cel")


def test_nothing_that_a_backend_says_becomes_a_command(tmp_path):
    assert escape_data("50%\r\n::error::x, y") == "50%25%0D%0A::error::x, y"
    assert escape_property("a:b,c%\n") == "a%3Ab%2Cc%25%0A"
    run = make_run(result("cuda:0,x", "law", PLAIN, "error", None, reason="100%\n::stop-commands::no\rend"))
    (line,) = _write(run, "annotations", tmp_path).read_bytes().decode().splitlines()
    assert line.startswith("::error title=error cuda%3A0%2Cx law::100%25 ::stop-commands::no end%0Aproblem: ")
