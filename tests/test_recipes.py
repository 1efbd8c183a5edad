"""The recipes for continuous integration: their own commands, run on repositories made here."""

import re
import subprocess

import pytest

from harness.machine.state import VARIABLE
from tests.benchmarks.bench_recipes import format_table, is_expected, read_rows, write_known
from tests.cli.test_gate import MORE
from tests.commands import call_harness
from tests.gating.recipes import PAGE, RECIPES, read_gitlab, read_shell, read_steps, run_recipe, shell
from tests.gating.scenarios import SCENARIOS
from tests.gating.twenty import git, make_repository

LAWS = "--plugin kernels.plugin --suite kernels-laws"
TIMES = "--plugin kernels.plugin --suite kernels-speed"


@pytest.fixture
def repository(tmp_path):
    """A clone that stands at its second commit; tags begin, same, broken, lost, needs are in its origin too."""
    origin = tmp_path / "origin"
    for name, revision in zip(("begin", "same", "broken", "lost", "needs"), make_repository(origin, MORE), strict=True):
        git(origin, "tag", name, revision)
    git(origin, "clone", "--quiet", str(origin), str(tmp_path / "clone"))
    git(tmp_path / "clone", "switch", "--quiet", "--detach", "same")
    return tmp_path / "clone"


@pytest.fixture
def qualified(tmp_path, monkeypatch):
    """Cache of a job whose kind of machine was qualified before."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    write_known()
    return str(tmp_path / "state")


def _list_scripts():
    """List the scripts of all recipes; an expression of GitHub stands for one word."""
    scripts = [
        text for names in (("gate.yml", "gate"), ("history.yml", "history")) for text in read_steps(*names)[0].values()
    ]
    return [
        re.sub(r"\$\{\{.*?\}\}", "word", script) for script in (*scripts, "\n".join(read_gitlab()[0]), read_shell())
    ]


def test_scripts_are_bash_and_name_options_that_their_commands_have():
    asked = set()
    for script in _list_scripts():
        done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True)
        assert done.returncode == 0, script + done.stderr
        for command, rest in re.findall(r"python -m harness (\w+)([^|;&>\n]*)", script.replace("\\\n", " ")):
            asked |= {(command, option) for option in re.findall(r"--[a-z-]+", rest)}
    helps = {command: call_harness(command, "--help").stdout for command, _ in asked}
    assert {"gate", "history", "qualify", "run"} <= set(helps)
    assert not [(command, option) for command, option in asked if f"{option} " not in helps[command]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "head", "options", "budget", "code", "shown"),
    [
        ("begin", "same", LAWS, "60s", 0, "✅ passed: neither slower nor wrong"),
        ("same", "broken", LAWS, "60s", 1, "❌ failed: 1 BROKEN"),
        ("begin", "same", TIMES, "1s", 0, "⚠️ cannot tell: "),
    ],
)
def test_the_gate_on_github(repository, qualified, tmp_path, base, head, options, budget, code, shown):
    steps, variables = read_steps("gate.yml", "gate")
    summary = tmp_path / "summary.md"
    git(repository, "switch", "--quiet", "--detach", head)
    given = {
        "BASE": base,
        "BASE_BROKEN": "fail",
        "BUDGET": budget,
        "OPTIONS": options,
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    given = variables | given | {VARIABLE: qualified}
    qualifying = shell(steps["Qualify"], repository, given)
    assert qualifying.returncode == 0, qualifying.stderr
    assert "false alarms: 0 of 40 identical pairs" in qualifying.stdout
    done = shell(steps["Gate"], repository, given)
    assert done.returncode == code, done.stdout + done.stderr
    assert summary.read_text().startswith(f"### {shown}")
    assert ("::error" in done.stdout) == (code == 1)
    assert ("::warning title=gate::" in done.stdout) == (budget == "1s")
    assert (repository / "gate" / "report" / "junit.xml").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("head", "code"), [("same", 0), ("broken", 1)])
def test_the_gate_on_gitlab(repository, qualified, head, code):
    commands, variables, allowed = read_gitlab()
    git(repository, "switch", "--quiet", "--detach", head)
    given = variables | {"CI_MERGE_REQUEST_DIFF_BASE_SHA": git(repository, "rev-parse", "begin"), "BUDGET": "60s"}
    given |= {"OPTIONS": LAWS, VARIABLE: qualified}
    done = shell("\n".join(commands), repository, given)
    assert done.returncode == code, done.stdout + done.stderr
    assert allowed == [5]
    assert (repository / "gate" / "report" / "junit.xml").is_file()


@pytest.mark.slow
def test_the_history_on_github_grows_on_its_branch(repository, tmp_path):
    steps, variables = read_steps("history.yml", "history")
    names = ["Fetch the history", "Time", "Show", "Keep"]
    assert [name for name in steps if name != "Install"] == names
    for name in ("begin", "same"):
        clone = tmp_path / name
        git(tmp_path, "clone", "--quiet", str(tmp_path / "origin"), str(clone))
        git(clone, "switch", "--quiet", "--detach", name)
        revision = git(clone, "rev-parse", "HEAD")
        given = variables | {
            "SUITE": "kernels-speed", "OPTIONS": "--plugin kernels.plugin --backend kernels",
            "RUN": f"history/{revision}-1", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        }  # fmt: skip
        for step in names:
            done = shell(steps[step].replace("${{ github.sha }}", revision), clone, given)
            # 5: this machine was too busy to tell whether a time is true, and the others are kept
            assert done.returncode in ((0, 5) if step == "Time" else (0,)), step + done.stdout + done.stderr
        assert (clone / "pages" / "history.html").is_file()
    runs = git(tmp_path / "origin", "ls-tree", "--name-only", "harness-history").split()
    assert runs == sorted(f"{git(tmp_path / 'origin', 'rev-parse', name)}-1" for name in ("begin", "same"))
    assert "4 series" in (tmp_path / "summary.md").read_text()


NAMED = {scenario.name: scenario for scenario in SCENARIOS}
# Of each kind one: an answer, an error before anything is compared, a build, a clone. `make recipes` runs all of them,
# and the tests above have right and wrong changes for the two services.
ASKED = {
    "a shell script": ("wrong in one dtype", "broken import", "C extension in a subfolder", "submodule"),
    "GitHub": ("shallow clone",),
    "GitLab": ("shallow clone",),
}


def _list_jobs():
    for recipe, names in ASKED.items():
        for name in names:
            yield pytest.param(recipe, name, marks=[pytest.mark.builds] * NAMED[name].builds)


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "name"), list(_list_jobs()))
def test_a_recipe_says_of_a_change_what_it_is(qualified, tmp_path, recipe, name):
    scenario = NAMED[name]
    ended = run_recipe(recipe, scenario, qualified, tmp_path / "made", budget="40s")
    assert is_expected(scenario, ended), ended.output


def test_the_table_of_the_page_has_every_scenario_with_the_exit_codes_of_every_recipe():
    rows = read_rows()
    assert list(rows) == list(NAMED)
    for name, row in rows.items():
        assert {int(row[recipe]) for recipe in RECIPES} <= set(NAMED[name].codes), name
        assert row[""], name
    assert format_table(rows) in PAGE.read_text()
