"""Times by pytest-benchmark: of verified answers, chosen by the suite's time, in its own files."""

import json

import pytest

from harness.plan.suite import Timing
from harness.pytest_plugin.in_process import choose_rounds
from tests.pytest_plugin.trial import make_repository, run_cells

pytest_plugins = ["pytester"]
TIMED = "conv x=1x2x5x6 w=3x2x3x3 pad=1"
CANONICAL = "conv x=1x2x5x6 w=3x2x3x3 pad=1,1"


@pytest.fixture(autouse=True)
def repository(pytester, monkeypatch):
    make_repository(pytester, monkeypatch)
    pytester.makepyfile(
        quick=f"""
        import harness

        @harness.hookimpl
        def register_suites(register):
            for mode in ("hot", "cold"):
                register(harness.Suite(
                    name=f"quick-{{mode}}", kind="speed", description="",
                    timing=harness.Timing(sample_s=0.002, mode=mode),
                    problems=lambda: (harness.NamedProblem(name="layer", problem=harness.parse_line("{TIMED}")),),
                ))
    """
    )


def _time(pytester, *options, suite="quick-hot", backends=("mine",), timed=True):
    more = ("--harness-plugin", "quick.py", "-m", "harness", *options)
    return run_cells(pytester, *more, suite=suite, backends=backends, problem="", timed=timed)


def test_rounds_fill_the_suites_time_and_warm_up():
    assert choose_rounds(1e6, Timing(sample_s=0.1)) == (100, 5)
    assert choose_rounds(1e9, Timing(sample_s=0.1, blocks=2, least_samples=2)) == (4, 1)


def test_times_are_written_with_what_was_timed(pytester):
    result = _time(pytester, "-W", "error", "--benchmark-json=out.json")
    result.assert_outcomes(passed=1, deselected=1)
    (one,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    assert one["group"] == CANONICAL and one["name"] == f"mine[layer: {CANONICAL}]"
    assert one["fullname"] == f"harness::quick-hot::mine[layer: {CANONICAL}]"
    assert one["params"] == {"arm": "mine", "backend": "mine", "problem": CANONICAL}
    assert one["extra_info"] == {
        "problem": CANONICAL, "arm": "mine", "backend": "mine", "suite": "quick-hot", "label": "layer",
        "verified": True, "route": "native", "passes": 1, "mode": "hot",
    }  # fmt: skip
    assert one["stats"]["iterations"] > 1 and one["stats"]["rounds"] == len(one["stats"]["data"]) >= 4


def test_cold_caches_are_flushed_before_every_call(pytester):
    _time(pytester, "--benchmark-json=out.json", suite="quick-cold").assert_outcomes(passed=1, deselected=1)
    (one,) = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
    assert one["extra_info"]["mode"] == "cold" and one["stats"]["iterations"] == 1


@pytest.mark.parametrize("disabled", [(), ("--benchmark-disable",)])
def test_wrong_answers_have_no_time_and_fail(pytester, disabled):
    result = _time(pytester, "-W", "error", "--benchmark-json=out.json", *disabled, backends=["mine", "negated"])
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines(["failed  negated  timing", "    where    *negated*"])
    if not disabled:
        found = json.loads((pytester.path / "out.json").read_text())["benchmarks"]
        assert [one["extra_info"]["backend"] for one in found] == ["mine"]


def test_what_turns_wrong_while_it_is_timed_loses_its_times(pytester):
    pytester.makeconftest("""
        import sys
        import pytest

        @pytest.fixture(autouse=True)
        def turn_wrong(benchmark):
            (name,) = [name for name in sys.modules if name.startswith("harness_plugin_backends_here")]
            late = sys.modules[name].Late
            pedantic = benchmark.pedantic

            def turned(*given, **more):
                late.timed = True
                return pedantic(*given, **more)

            benchmark.pedantic = turned
            yield
            late.timed = False
    """)
    result = _time(pytester, "-W", "error", "--benchmark-json=out.json", backends=["late"])
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["failed  late  timing", "    reason   in a timed call: *"])
    assert "Rounds" not in result.stdout.str()
    assert json.loads((pytester.path / "out.json").read_text())["benchmarks"] == []


def test_what_the_backend_raised_while_planning_is_shown(pytester):
    result = _time(pytester, backends=["raises"])
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["error  raises  timing", "*return self.launch()", "E *RuntimeError: no such kernel"])


def test_stored_times_are_compared_by_pytest_benchmark(pytester):
    _time(pytester, "--benchmark-autosave")
    result = _time(pytester, "--benchmark-compare", "--benchmark-compare-fail=min:100000%")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(["*(0001_*", "*(NOW)*"])
    (stored,) = (pytester.path / ".benchmarks").rglob("0001_*.json")
    content = json.loads(stored.read_text())
    content["benchmarks"][0]["stats"]["min"] /= 1e6
    stored.write_text(json.dumps(content))
    result = _time(pytester, "--benchmark-compare=0001", "--benchmark-compare-fail=min:100000%")
    assert result.ret != pytest.ExitCode.OK
    result.stderr.fnmatch_lines(["*Performance has regressed*"])


def test_fixtures_of_any_scope_may_stand_around_times(pytester):
    scopes = ("session", "package", "module", "class", "function")
    code = "\n".join(f"@pytest.fixture(autouse=True, scope='{s}')\ndef of_{s}(request):\n    yield" for s in scopes)
    pytester.makeconftest(f"import pytest\n{code}")
    _time(pytester).assert_outcomes(passed=1, deselected=1)


def test_without_pytest_benchmark_times_are_skipped_with_what_is_missing_and_laws_still_hold(pytester):
    result = _time(pytester, "-rs", timed=False)
    result.assert_outcomes(skipped=1, deselected=1)
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["SKIPPED * unavailable: times are taken by pytest-benchmark*pip install*"])
    given = ("--harness-suite", "correctness", "--harness-law", "agrees-with-reference")
    result = run_cells(pytester, "--harness-plugin", "quick.py", *given, suite="quick-hot", problem=TIMED)
    result.assert_outcomes(passed=2, skipped=1)
    assert result.ret == pytest.ExitCode.OK
