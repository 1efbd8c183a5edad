"""Arms with settings: their processes have them, idle ones are left out, and reports say where an answer is wrong."""

import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

import harness
from harness.analysis.analyse import analyse
from harness.analysis.repeating import repeat_command
from harness.analysis.switches import explain_settings, setting_rows
from harness.capture.workload import name_problems
from harness.errors import UsageError
from harness.execution.pipeline import count_hands, deal_cells
from harness.execution.switching import find_idle
from harness.machine.threads import THREAD_VARIABLES
from harness.plan.arm import Arm, Environment
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins
from tests.commands import call_harness

LINE = "conv x=2x3x7 w=4x3x3 data=integer"
MINE = """
import os
import harness
from harness.problems import reference

LEVEL = os.environ.get("MY_LEVEL", "high")  # read once, as a library reads it


class Mine(harness.Backend):
    name = "mine"

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        y = reference.conv(x, w, b, window).astype(x.dtype)
        return y + (LEVEL == "low")


@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return str(path)


def _ask_under(settings, mine, folder):
    return harness.run(
        "correctness", backends=["mine", *(f"mine@set:{one}" for one in settings)], problems=[LINE],
        laws=["agrees-with-reference"], plugins=[mine], output=folder, threads=1,
    )  # fmt: skip


def test_an_answer_that_is_wrong_with_a_setting_alone_is_explained(mine, tmp_path):
    run = _ask_under(["MY_LEVEL=low"], mine, tmp_path / "run")
    assert [result.outcome for result in run.results] == ["passed", "failed"]
    assert explain_settings(run) == {1: "with MY_LEVEL=low; right with nothing set"}


@pytest.mark.slow
def test_the_report_says_with_which_setting_alone_an_answer_is_wrong(mine, tmp_path):
    run = _ask_under(["MY_LEVEL=low", "MY_LEVEL=middle"], mine, tmp_path / "run")
    assert [result.outcome for result in run.results] == ["passed", "failed", "passed"]
    assert explain_settings(run) == {1: "with MY_LEVEL=low; right with nothing set, MY_LEVEL=middle"}
    assert [(row.setting, row.wrong) for row in setting_rows(run)] == [
        ("", 0), ("MY_LEVEL=low", 1), ("MY_LEVEL=middle", 0),
    ]  # fmt: skip
    repeat = shlex.split(repeat_command(run.header, run.results[1]))
    assert repeat[repeat.index("--backend") + 1] == "mine@set:MY_LEVEL=low"
    assert repeat[repeat.index("--threads") + 1] == str(run.results[1].threads)
    assert call_harness(*repeat[3:], "--output", tmp_path / "again").returncode == 1  # after python -m harness
    from reports import markdown, page

    for writer in (markdown.write, page.write):
        text = writer(analyse(run), tmp_path)[0].read_text()
        assert "with MY_LEVEL=low; right with nothing set, MY_LEVEL=middle" in text.replace("\\_", "_")
        assert "Laws by what is set for the backend" in text


def test_threads_of_a_cell_are_recorded_and_both_numbers_occur(tmp_path):
    run = harness.run(
        "correctness", backends=["im2col"], problems=[LINE], output=tmp_path / "run", jobs=1,
        laws=["agrees-with-reference", "tap-probe", "linear-in-the-input"],
    )  # fmt: skip
    assert len({result.threads for result in run.results if result.seconds}) == 2
    for result in run.results:
        if result.seconds:
            assert f"--threads {result.threads}" in repeat_command(run.header, result)


def test_the_threads_of_an_arm_are_those_of_its_backend_and_a_judge_has_one(tmp_path):
    from harness.execution.worker_supervisor import WorkerSupervisor

    supervisor = WorkerSupervisor(load_plugins(), "im2col", tmp_path, 2**33, 3, ())
    try:
        supervisor.launch()
        judge, host = (Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in supervisor.pids)
    finally:
        supervisor.close()
    for name in THREAD_VARIABLES:
        assert f"{name}=1".encode() in judge
        assert f"{name}=3".encode() in host


def _arm(text, switch=""):
    settings = tuple(tuple(word.split("=")) for word in text.split(",") if word)
    return Arm(name=text or "plain", backend="b", environment=Environment(settings=settings), switch=switch)


def test_an_arm_is_idle_where_its_own_library_says_what_it_says_before():
    plain, low, high, other = _arm(""), _arm("A=low", "onednn"), _arm("A=high", "onednn"), _arm("B=1", "mkl")
    seen = {"plain": {"onednn": "H"}, "A=low": {"onednn": "L"}, "A=high": {"onednn": "H"}, "B=1": {"onednn": "H"}}
    idle = find_idle([plain, low, high, other], seen)
    assert idle == {"A=high": "A=high changes nothing: onednn uses H in plain as well"}  # mkl has said nothing
    assert find_idle([plain, high], {}) == {}  # a worker that did not come up says nothing
    assert find_idle([plain, _arm("A=high")], seen) == {}  # nor is an arm left out that the user asked for


def test_levels_are_compared_under_the_same_other_settings():
    first, second = _arm("C=1"), _arm("A=high", "onednn")
    assert find_idle([first, second], {"C=1": {"onednn": "H"}, "A=high": {"onednn": "H"}}) == {}


def test_libraries_say_whether_a_switch_took_effect(tmp_path):
    from harness.execution.worker_supervisor import WorkerSupervisor

    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    if "avx2" not in flags:
        pytest.skip("no AVX2 to be lowered")
    settings = (("OPENBLAS_CORETYPE", "Nehalem"), ("NPY_DISABLE_CPU_FEATURES", "X86_V3"))
    supervisor = WorkerSupervisor(load_plugins(), "im2col", tmp_path, 2**33, 1, (), settings=settings, observe=True)
    try:
        said = supervisor.launch()[1].process["instruction_sets"]
    finally:
        supervisor.close()
    assert said.get("openblas", "Nehalem") == "Nehalem"
    assert said["numpy"] != "X86_V3"


def test_cells_are_dealt_to_workers_by_threads():
    lines = [f"conv x={n}x3x7 w=4x3x3 data=integer" for n in range(1, 13)]
    cells = plan_run(load_plugins(), ["correctness"], ["im2col"], name_problems(lines)).cells[:400]
    assert len(cells) == 400
    assert deal_cells(cells, 1) == [cells]
    for hands, parts in ((2, 2), (3, 3), (16, 16)):
        dealt = deal_cells(cells, hands)
        assert len(dealt) == parts
        assert all(len({cell.threads for cell in part}) == 1 for part in dealt)
        assert sorted(cell.number for part in dealt for cell in part) == [cell.number for cell in cells]
        assert sum(part[0].threads == 0 for part in dealt) <= 2


@pytest.mark.parametrize(
    ("lines", "threads", "expected_s", "hands"),
    [
        (["conv", "conv"], [1, 1], 0.003, 1),
        (["conv", "conv"], [1, 0], 0.003, 2),  # each number of threads has a worker
        (["conv"] * 400, [1, 0] * 200, 0.005, 4),
        (["network", "network", "conv"], [1, 1, 1], 0.003, 3),  # the cost of a training is not known
    ],
)
def test_so_many_workers_are_started_as_the_cells_are_worth(lines, threads, expected_s, hands):
    cells = [SimpleNamespace(line=f"{word} x", threads=one) for word, one in zip(lines, threads, strict=True)]
    assert count_hands(cells, [expected_s] * len(cells)) == hands


def test_a_few_cells_on_one_thread_have_one_worker(tmp_path):
    lines = [f"conv x={n}x3x7 w=4x3x3 data=integer" for n in range(1, 5)]
    run = harness.run(
        "correctness", backends=["im2col"], problems=lines, laws=["agrees-with-reference"], threads=1, jobs=4,
        output=tmp_path / "run",
    )  # fmt: skip
    assert {result.outcome for result in run.results} == {"passed"}
    assert len({result.worker for result in run.results}) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"backends": ["im2col@set:OMP_NUM_THREADS=2"]}, "OMP_NUM_THREADS is set by the harness"),
        ({"backends": ["im2col@set:A"]}, "'A' behind '@set:' has no '='"),
        ({"isa": ["avx2"]}, "isa: got 'avx2'"),
        ({"isa": "all"}, "isa: got the text 'all'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(tmp_path, arguments, why):
    with pytest.raises(UsageError, match=why.replace("'", ".")) as caught:
        harness.run("correctness", problems=[LINE], output=tmp_path / "run", **arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # plans the whole suite
def test_levels_are_not_timed():
    from harness.api.running import choose_arms

    registry = load_plugins()
    try:
        arms = choose_arms(registry, ["im2col"], ["suite"], ["all"])
    except UsageError as error:  # no /proc/cpuinfo
        pytest.skip(str(error))
    plan = plan_run(registry, ["suite"], arms=arms)
    assert {cell.backend for cell in plan.cells if cell.kind == "speed"} == {"im2col"}
