"""The check of CUDA devices: its clock, its folder and its wheels by themselves, and one real run without a device."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from argparse import ArgumentTypeError
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.analysis.statistics import Estimate
from harness.analysis.verdicts import Judgement
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / ".ci"))

from gpu_wheels import find_fault, refuse_folder
from gpucheck import folder, requirements
from gpucheck.check import judge_run, read_minutes, refuse_output
from gpucheck.covering import LINES, choose_lines, facets_of
from gpucheck.digest import compare, describe_idle, digest
from gpucheck.parts import LAYERS, VERSUS, all_parts
from gpucheck.probe import BACKENDS
from gpucheck.requirements import PROVIDED, WheelError, choose_wheels, find_missing, install, read_requirements
from gpucheck.schedule import Clock, Ended, Part, decide, exit_code, judge, run_part, session_members

from harness.capture.workload import name_problems
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins
from harness.record.directory import write_header
from harness.record.journal import PassEntry, ResultEntry
from tests.reports.made import make_run, time_cell

PART = Part(name="one", title="one", command=("true",), estimate_s=30, limit_s=60, needs=("a", "b"))
TINY = """
from harness import NamedProblem, Suite, Timing, hookimpl, parse_line

@hookimpl
def register_suites(register):
    problems = lambda: (NamedProblem(name="one", problem=parse_line("conv x=1x2x9 w=3x2x3")),)
    timing = Timing(passes=1, sample_s=0.01)
    register(Suite(name="tiny", kind="speed", description="", problems=problems, timing=timing))
"""


def _python(code, **more):
    return Part(
        name="one", title="one", command=(sys.executable, "-c", code), **{"estimate_s": 1, "limit_s": 60} | more
    )


# --- the clock -----------------------------------------------------------------------------------------------------


def test_a_part_runs_where_it_fits_and_one_of_its_backends_is_there():
    assert decide(PART, 30, {}) is None
    assert decide(PART, 30, {"a": "no device"}) is None


def test_a_part_that_does_not_fit_is_not_begun_and_says_so():
    found = decide(PART, 29, {})
    assert (found.state, found.reason) == ("skipped", "29 s were left, and it takes about 30 s")


def test_a_part_without_a_backend_is_unavailable_by_all_reasons():
    found = decide(PART, 300, {"a": "no device", "b": "no device", "c": "x"})
    assert (found.state, found.reason) == ("unavailable", "a, b: no device")
    assert decide(PART, 300, {"a": "no device", "b": "no cupy"}).reason == "a: no device; b: no cupy"


def test_a_part_is_cut_at_its_limit_with_what_it_had_and_with_what_it_had_started(tmp_path):
    code = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(100)"]
child = subprocess.Popen(sleep, process_group=0)  # as workers are started
print("begun", child.pid, flush=True)
time.sleep(100)
"""
    log = tmp_path / "log"
    found = run_part(_python(code, limit_s=2), 100, log, os.environ, grace_s=5)
    assert found.state == "cut"
    word, pid = log.read_text().split()[:2]
    assert word == "begun"
    _wait_for_end(pid)


def _wait_for_end(pid):
    """Until a process is gone: a killed one stays in the table until it is reaped."""
    for _ in range(1000):
        try:
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return
        except OSError:
            return
        time.sleep(0.02)
    pytest.fail("what the part had started still runs")


HEEDS = """
import time
try:
    print("begun", flush=True)
    time.sleep(100)
except KeyboardInterrupt:
    print("heeded")
"""


def test_a_part_heeds_the_request_where_the_check_ignores_interrupts(tmp_path):
    """As a shell lets commands in the background do."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        found = run_part(_python(HEEDS, limit_s=2), 100, tmp_path / "log", os.environ, grace_s=20)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (found.state, (tmp_path / "log").read_text().split()) == ("cut", ["begun", "heeded"])


def test_a_part_ends_when_the_check_is_killed(tmp_path):
    part = tmp_path / "part.py"
    part.write_text("import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(100)\n")
    code = f"""
import os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / ".ci")!r})
from gpucheck.schedule import Part, run_part
part = Part(name="x", title="x", command=(sys.executable, {str(part)!r}), estimate_s=1, limit_s=60)
run_part(part, 100, Path({str(tmp_path / "log")!r}), os.environ)
"""
    log, check = tmp_path / "log", subprocess.Popen([sys.executable, "-c", code])
    for _ in range(1000):
        if log.exists() and log.read_text().strip():
            break
        time.sleep(0.02)
    check.kill()
    check.wait()
    _wait_for_end(log.read_text().strip())


def test_a_check_that_is_asked_to_end_cuts_its_part_and_begins_no_other(tmp_path):
    clock = Clock(time.monotonic() + 1000, stopped="SIGTERM")
    found = run_part(_python("import time; time.sleep(100)"), 100, tmp_path / "log", os.environ, clock=clock)
    assert (found.state, "by SIGTERM, as the whole check" in found.reason) == ("cut", True)
    assert decide(PART, 1000, {}, "SIGTERM").reason == "the check was ended by SIGTERM"
    assert decide(PART, 1000, dict.fromkeys(PART.needs, "no device"), "SIGTERM").state == "unavailable"


def test_a_part_that_does_not_heed_the_request_is_ended(tmp_path):
    deaf = ("sh", "-c", "trap '' INT; exec sleep 100")  # from its first moments on, which Python would not be
    found = run_part(replace(_python("", limit_s=2), command=deaf), 100, tmp_path / "log", os.environ, grace_s=1)
    assert (found.state, found.exit_code) == ("cut", -9)


def test_the_time_that_is_left_cuts_a_part_before_its_own_limit(tmp_path):
    found = run_part(_python("import time; time.sleep(100)"), 3, tmp_path / "log", os.environ, grace_s=2)
    assert (found.state, found.reason) == ("cut", "asked to end after 1 s; what it had by then is kept")


@pytest.mark.parametrize(
    ("code", "state"), [(0, "good"), (1, "wrong"), (3, "wrong"), (2, "broken"), (4, "broken"), (-11, "broken")]
)
def test_the_exit_code_says_what_became_of_a_part(tmp_path, code, state):
    assert judge(PART, code)[0] == state


def test_a_command_that_is_not_there_is_a_broken_part(tmp_path):
    part = Part(name="x", title="x", command=("/no/such/program",), estimate_s=1, limit_s=1)
    assert run_part(part, 10, tmp_path / "log", os.environ).state == "broken"


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["good", "good"], 0),
        (["good", "unavailable"], 4),
        (["good", "skipped"], 4),
        (["good", "cut"], 4),
        (["cut", "wrong"], 1),
        (["unavailable", "broken"], 1),
        ([], 4),
    ],
)
def test_nothing_but_all_parts_run_and_good_is_success(states, code):
    assert exit_code([Ended(name="x", title="x", state=state) for state in states]) == code


def test_all_processes_of_a_session_are_seen():
    assert os.getpid() in session_members(os.getsid(0))


# --- the folder ----------------------------------------------------------------------------------------------------


def test_the_folder_holds_few_files_of_limited_size_and_says_what_was_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MOST_BYTES", 100_000)
    work, output = tmp_path / "work", tmp_path / "out"
    for name in ("logs/a.log", "runs/covering/report/report.md", "runs/large/journal.jsonl"):
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(300_000) if "large" in name else b"# Report\n")
    ended = [
        Ended(name="covering", title="laws", state="good", seconds=3.0, exit_code=0),
        Ended(
            name="cut", title="times", state="cut", reason="a | b",
            facts={"times": [{"backend": "x", "us": 12345.678}], "counts": {"x passed": 3}},
        ),
    ]  # fmt: skip
    folder.write_folder(output, work, {"device": "Card", "lacks": ["msgspec"]}, ended)
    files = list(output.iterdir())
    assert len(files) <= folder.MOST_FILES
    assert max(path.stat().st_size for path in files) <= folder.MOST_BYTES
    with tarfile.open(output / "runs.tar.gz") as archive:
        assert archive.getnames() == ["runs/covering/report/report.md"]
    summary = (output / "summary.md").read_text()
    for text in ("Card", "Missing: msgspec", "| times | cut | 0 | a \\| b |", "| x | 1.235e+04 |", "x passed 3"):
        assert text in summary
    assert "runs/large/journal.jsonl" in summary
    assert json.loads((output / "results.json").read_text())["parts"][1]["facts"]["counts"] == {"x passed": 3}
    assert (output / "correctness.md").read_text() == "# Report\n"


# --- wheels --------------------------------------------------------------------------------------------------------


def _wheel(folder, name, version="1.0", needs=(), tags="py3-none-any"):
    path = folder / f"{name}-{version}-{tags}.whl"
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *(f"Requires-Dist: {need}" for need in needs)]
    with zipfile.ZipFile(path, "w") as archive:
        info = f"{name}-{version}.dist-info"
        archive.writestr(f"{name}/__init__.py", "here = True\n")
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")
    return path


def test_what_is_there_is_not_missing_and_what_is_too_old_is():
    assert find_missing(["numpy>=2", "pytest", "no-such-thing; sys_platform == 'win32'"]) == []
    (found,) = find_missing(["NumPy>=999"])
    assert (found.name, found.there != "") == ("numpy", True)


def test_missing_packages_come_from_the_folder_with_what_they_need(tmp_path):
    first = _wheel(tmp_path, "absent_one", needs=["absent-two>=2", "numpy", "absent-three; extra == 'more'"])
    old, second = (_wheel(tmp_path, "absent_two", version) for version in ("1.0", "2.5"))
    _wheel(tmp_path, "absent_one", "9.0", tags="cp27-cp27m-win32")
    choice = choose_wheels(["absent-one", "numpy>=2"], tmp_path)
    assert (set(choice.wheels), choice.lacks) == ({first, second}, ())
    assert old not in choice.wheels
    install(choice.wheels, tmp_path / "target")
    assert (tmp_path / "target" / "absent_two" / "__init__.py").exists()


def test_a_damaged_wheel_is_named_with_what_to_do(tmp_path):
    whole = _wheel(tmp_path, "absent_one")
    whole.write_bytes(whole.read_bytes()[:100])
    for use in (lambda: choose_wheels(["absent-one"], tmp_path), lambda: install([whole], tmp_path / "target")):
        with pytest.raises(WheelError, match=r"absent_one.*cannot be unpacked.*make gpu-wheels"):
            use()


def test_a_wheel_with_one_damaged_file_is_not_unpacked(tmp_path):
    wheel = _wheel(tmp_path, "absent_one")
    wheel.write_bytes(wheel.read_bytes().replace(b"here = True", b"here = Tru3"))
    with pytest.raises(WheelError, match="Bad CRC-32"):
        install([wheel], tmp_path / "target")


def test_a_file_that_is_no_wheel_by_its_name_is_passed_over(tmp_path):
    (tmp_path / "absent-one.whl").write_bytes(b"")
    assert len(choose_wheels(["absent-one"], tmp_path).lacks) == 1


def test_what_a_wheel_keeps_in_its_data_lies_beside_the_rest(tmp_path):
    wheel = _wheel(tmp_path, "absent_one")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("absent_one-1.0.data/platlib/absent_one/part.py", "here = True\n")
        archive.writestr("absent_one-1.0.data/scripts/one", "")
    install([wheel], tmp_path / "target")
    assert {path.name for path in (tmp_path / "target").iterdir()} == {"absent_one", "absent_one-1.0.dist-info"}
    assert {path.name for path in (tmp_path / "target" / "absent_one").iterdir()} == {"__init__.py", "part.py"}


def test_packaging_comes_from_a_wheel_where_a_python_has_neither_it_nor_pip(tmp_path):
    packaging = Path(requirements.packaging("tags").__file__).parent
    with zipfile.ZipFile(tmp_path / "packaging-99.0-py3-none-any.whl", "w") as archive:
        for path in packaging.rglob("*.py"):
            archive.write(path, f"packaging/{path.relative_to(packaging)}")
    code = f"""
import sys
sys.path.insert(0, {str(ROOT / ".ci")!r})
from pathlib import Path
from gpucheck import requirements
requirements.WHEELS = Path(sys.argv[1])
print(requirements.name_of("One_Two>=3"), sys.modules["packaging"].__file__)
"""
    bare = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run([*bare, str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith("one-two ") and "packaging-99.0" in done.stdout, done.stderr
    done = subprocess.run([*bare, str(tmp_path / "none")], capture_output=True, text=True, timeout=600)
    assert "WheelError: packaging: got no pip, no packaging and no wheel of it" in done.stderr


def test_a_folder_with_anything_but_wheels_is_not_emptied(tmp_path):
    assert refuse_folder(tmp_path / "new") == ""
    _wheel(tmp_path, "absent_one")
    assert refuse_folder(tmp_path) == ""
    (tmp_path / "thesis.tex").write_text("")
    assert "wanted a new one, or one that holds wheels alone" in refuse_folder(tmp_path)
    assert "wanted a new one" in refuse_folder(tmp_path / "thesis.tex")


def test_what_no_wheel_brings_is_named_with_what_to_do(tmp_path):
    _wheel(tmp_path, "numpy", "999.0")
    choice = choose_wheels(["absent-one>=3", "numpy>=999"], tmp_path)
    assert choice.wheels == ()
    assert "absent-one>=3: it is not there" in choice.lacks[0]
    assert "make gpu-wheels" in choice.lacks[0]
    assert "it is never carried" in choice.lacks[1]


def test_the_requirements_are_those_of_the_project():
    found = read_requirements()
    assert {"msgspec", "plotly", "nvidia-ml-py"} <= {text.partition(">")[0] for text in found}
    assert len(found) > 15


@pytest.mark.parametrize("name", PROVIDED)
def test_what_a_machine_brings_itself_is_never_carried(tmp_path, name):
    assert "which the machine brings itself" in find_fault([_wheel(tmp_path, name)], 60)


def test_a_folder_that_is_too_large_is_refused(tmp_path):
    wheels = [_wheel(tmp_path, "absent_one")]
    assert find_fault(wheels, 60) == ""
    assert "wanted at most 1e-06" in find_fault(wheels, 1e-6)


# --- what parts are made of ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_few_problems_meet_every_law_and_most_of_its_operators_and_dtypes():
    facets = facets_of(BACKENDS)
    lines = choose_lines(facets, LINES)
    assert len(lines) == LINES < len(facets) / 5
    met = set().union(*(facets[line] for line in lines))
    assert len(met) > 0.88 * len(set().union(*facets.values()))
    assert {facet[0] for facet in met} >= {facet[0] for facets in facets.values() for facet in facets}


def test_no_more_problems_are_chosen_than_are_needed():
    assert choose_lines({"a": {("1",), ("2",)}, "b": {("2",)}, "c": {("3",)}}, 9) == ["a", "c"]


def test_parts_begin_with_tests_and_a_cover_of_laws_and_end_with_all_laws():
    names = [part.name for part in all_parts(Path("runs"))]
    assert (names[:2], names[-1]) == (["tests", "covering"], "correctness")
    assert len(names) == len(set(names))


@pytest.mark.slow
def test_no_part_asks_for_a_time_that_the_plan_leaves_out_as_too_dear():
    """Plans are made with rates of a processor: what a device does in a millisecond may seem to take minutes."""
    registry = load_plugins((LAYERS,))
    plans = [plan_run(registry, [f"gpu-{name}"], BACKENDS) for name in ("layers", "gradients", "formats", "cold")]
    plans.append(plan_run(registry, ["gpu-layers"], BACKENDS, name_problems(list(VERSUS))))
    plans.append(plan_run(registry, ["networks"], BACKENDS, networks=["resnet18"]))
    assert {cell.decided for plan in plans for cell in plan.cells} == {None, "unsupported"}
    (same,) = (part for part in all_parts(Path("runs")) if part.name == "same")
    assert same.command[same.command.index("--suite") + 1] == "gpu-layers"


def _result(backend, outcome, reason=""):
    return SimpleNamespace(arm=backend, outcome=outcome, reason=reason)


def test_a_backend_that_tried_and_has_nothing_to_show_is_named_and_its_part_is_not_good():
    results = [_result("a", "skipped", "disturbed"), _result("a", "unsupported", "x"), _result("b", "passed")]
    found = describe_idle(SimpleNamespace(results=results))
    assert found == "a: no result counts, mostly since: disturbed"
    assert describe_idle(SimpleNamespace(results=results[1:])) == ""
    good = Ended(name="x", title="x", state="good", facts={"nothing passed": found})
    assert (judge_run(good).state, judge_run(good).reason) == ("skipped", found)
    assert judge_run(Ended(name="x", title="x", state="good")).state == "good"


def test_a_comparison_is_summed_up_by_problem_with_its_ratio(monkeypatch):
    judgement = Judgement(
        verdict="SAME", ratio=Estimate(value=1.01, low=0.99, high=1.03, over="processes"), passes=7, reason="within"
    )
    row = SimpleNamespace(new=SimpleNamespace(arm="second", problem="conv x=1x2x9 w=3x2x3"), judgement=judgement)
    monkeypatch.setattr("harness.analysis.arm_comparison.compare_to_base", lambda run: SimpleNamespace(rows=[row]))
    (found,) = compare(SimpleNamespace(header=SimpleNamespace(gate=object())))
    assert found == {
        "arm": "second", "problem": "conv x=1x2x9 w=3x2x3", "verdict": "SAME", "ratio": 1.01, "low": 0.99,
        "high": 1.03, "passes": 7, "reason": "within",
    }  # fmt: skip
    assert compare(SimpleNamespace(header=SimpleNamespace(gate=None))) == []


def test_times_of_a_run_that_was_cut_off_are_read_from_its_passes(tmp_path):
    plugin = tmp_path / "tiny.py"
    plugin.write_text(TINY)
    folder, cell = tmp_path / "run", time_cell(0, "im2col", [1000.0], "conv x=1x2x9 w=3x2x3", "tiny")
    header = replace(make_run(cell).header, suites=("tiny",), plugins=(str(plugin),))
    folder.mkdir()
    journal = write_header(folder, header)
    journal.append(PassEntry(0, *cell.measurement.passes))
    found = digest(folder)
    assert found["cells"] == "0 of 1"
    (row,) = found["timed before the end, without a result"]
    assert (row["backend"], row["label"]) == ("im2col", "one")
    assert row["median_us"] == 1
    journal.append(ResultEntry(replace(cell, measurement=None)))
    journal.close()
    found = digest(folder)
    assert len(found["times"]) == 1 and "timed before the end, without a result" not in found


# --- the whole -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_without_a_device_every_part_for_one_is_unavailable_with_its_reason(tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device: run `make gpu-check`")
    command = [sys.executable, str(ROOT / ".ci" / "gpu_check.py"), "--output", str(tmp_path / "out"), "--minutes", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert done.returncode == 4, done.stdout + done.stderr
    probe, *parts = json.loads((tmp_path / "out" / "results.json").read_text())["parts"]
    assert probe["state"] == "good"
    assert "torch" in probe["facts"]["versions"]
    assert [part["name"] for part in parts] == [part.name for part in all_parts(Path())]
    for part in parts:
        assert part["state"] == "unavailable"
        assert "torch-cudnn: no CUDA device: torch.cuda.is_available() is False" in part["reason"]
    assert len(list((tmp_path / "out").iterdir())) <= folder.MOST_FILES


def _ask(*options):
    command = [sys.executable, str(ROOT / ".ci" / "gpu_check.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def test_an_output_folder_that_cannot_be_used_is_refused(tmp_path):
    (tmp_path / "kept").write_text("")
    assert "which has files in it; wanted a new or empty folder" in refuse_output(tmp_path)
    assert "which is a file; wanted a new or empty folder" in refuse_output(tmp_path / "kept")
    assert "(Not a directory); wanted a new or empty folder" in refuse_output(tmp_path / "kept" / "below")
    assert refuse_output(tmp_path / "new" / "er") == ""
    assert refuse_output(tmp_path / "new" / "er") == ""  # it is there now, and empty
    done = _ask("--output", str(tmp_path))
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")


@pytest.mark.parametrize("text", ["0", "-1", "abc", "nan", "inf", ""])
def test_a_time_that_is_none_is_refused(text):
    with pytest.raises(ArgumentTypeError, match=f"got '{text}', wanted a number of minutes above 0"):
        read_minutes(text)
    assert read_minutes("0.5") == 0.5


def test_an_unknown_backend_is_refused_before_anything_is_run(tmp_path):
    done = _ask("--backend", "im2col", "--backend", "none", "--output", str(tmp_path / "out"))
    assert (done.returncode, list((tmp_path / "out").iterdir())) == (2, [])
    assert "error: backend: got 'none', wanted one of" in done.stderr


def test_an_old_python_is_told_which_one_is_wanted():
    code = f"import sys; sys.path.insert(0, {str(ROOT / '.ci')!r}); sys.version_info = (3, 10, 4); import gpucheck"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Python: got 3.10, wanted 3.11 or newer")
    assert done.stderr.count("\n") == 1


def test_make_hands_a_folder_with_a_blank_on():
    command = ["make", "-n", "gpu-check", "OUTPUT=a b", "PYTHON=/my python/bin/python"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert '"/my python/bin/python" .ci/gpu_check.py --output "a b"' in done.stdout


@pytest.mark.slow
def test_a_check_that_is_asked_to_end_leaves_what_it_has_in_good_order(tmp_path):
    command = [sys.executable, str(ROOT / ".ci" / "gpu_check.py"), "--output", str(tmp_path / "out")]
    more = ["--backend", "im2col", "--only", "layers", "--only", "same"]
    with subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True, start_new_session=True) as check:
        for line in check.stdout:
            if "versions and devices" in line:
                check.terminate()
        assert check.wait(timeout=600) == 4
    probe, layers, same = json.loads((tmp_path / "out" / "results.json").read_text())["parts"]
    assert (probe["state"], layers["state"] in ("cut", "skipped"), same["state"]) == ("good", True, "skipped")
    assert "SIGTERM" in layers["reason"] and "SIGTERM" in same["reason"]
    assert "the check was ended by SIGTERM" in (tmp_path / "out" / "summary.md").read_text()
    assert not session_members(check.pid)
