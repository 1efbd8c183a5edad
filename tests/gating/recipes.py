"""The recipes for continuous integration, taken from where users copy them, and run as their services run them."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness.machine.state import VARIABLE
from tests.conftest import ROOT
from tests.gating.scenarios import make_clone
from tests.gating.twenty import SETTINGS, git

WORKFLOWS = ROOT / ".github" / "workflows"
PAGE = ROOT / "docs" / "ci.md"
BUDGET = "180s"  # of a gate that times, where times are what is asked


def read_steps(file, job):
    """Scripts of a job by the names of their steps, and its variables that hold no expression."""
    found = yaml.safe_load((WORKFLOWS / file).read_text())["jobs"][job]
    variables = {name: value for name, value in found["env"].items() if "${{" not in value}
    return {step["name"]: step["run"] for step in found["steps"] if "name" in step}, variables


def read_block(section, language):
    """The first block of a language in a section of docs/ci.md."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[0]


def read_gitlab():
    """Commands of GitLab's recipe except for the installation, its variables, and the exit codes that do not fail."""
    job = yaml.safe_load(read_block("GitLab", "yaml"))["gate"]
    install, *commands = job["script"]
    assert install.startswith("python -m pip install")
    return commands, job["variables"], job["allow_failure"]["exit_codes"]


def read_shell():
    """The shell script without its installation."""
    lines = read_block("A shell script", "sh").splitlines()
    kept = [line for line in lines if not line.startswith("python -m pip install")]
    assert len(kept) == len(lines) - 1
    return "\n".join(kept)


def shell(script, folder, variables, program=("bash", "-e", "-o", "pipefail", "-c")):
    """Run a script as a job does: by default in bash that stops at the first error, and with this Python."""
    path = variables.get("PATH") or os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | SETTINGS | variables
    return subprocess.run(
        [*program, script], cwd=folder, env=variables | {"PATH": path}, capture_output=True, text=True
    )


@dataclass(frozen=True)
class Ended:
    """A job that ended: its exit code, that of its gate, and what it printed."""

    code: int
    gate: int
    output: str


def run_github(clone, options, budget, state, tmp_path, more):
    """Run the steps of the workflow on a clone, with what Actions sets for a pull request to main."""
    steps, variables = read_steps("gate.yml", "gate")
    summary = tmp_path / "summary.md"
    given = variables | {
        "BASE": "origin/main", "BASE_BROKEN": "fail", "BUDGET": budget, "OPTIONS": options, VARIABLE: str(state),
        "GITHUB_STEP_SUMMARY": str(summary), **more,
    }  # fmt: skip
    return _follow(clone, [steps["Qualify"], steps["Gate"]], given)


def run_gitlab(clone, options, budget, state, tmp_path, more):
    """Run the script of the job on a clone, with what GitLab sets for a merge request to main."""
    commands, variables, allowed = read_gitlab()
    origin = git(clone, "remote", "get-url", "origin")
    base = git(Path(origin.removeprefix("file://")), "merge-base", "main", "change")
    given = variables | {
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base, "BUDGET": budget, "OPTIONS": options, VARIABLE: str(state), **more,
    }  # fmt: skip
    ended = _follow(clone, ["\n".join(commands)], given)
    return Ended(0 if ended.code in allowed else ended.code, ended.gate, ended.output)


def run_shell(clone, options, budget, state, tmp_path, more):
    """Run the shell script on a clone."""
    given = {"BASE": "origin/main", "BUDGET": budget, "OPTIONS": options, VARIABLE: str(state), **more}
    return _follow(clone, [read_shell()], given, program=("sh", "-c"))


RECIPES = {"GitHub": run_github, "GitLab": run_gitlab, "a shell script": run_shell}


def run_recipe(recipe, scenario, state, folder, budget=BUDGET):
    """Make the repository of a scenario below a new folder, and run a recipe on it; state: folder of the harness.

    budget: of the gate.
    """
    clone, more = make_clone(scenario, folder), {}
    if scenario.installs:
        programs = _install(clone / scenario.installs, folder / "environment")
        more = {"PATH": os.pathsep.join([str(programs), os.environ["PATH"]])}
    return RECIPES[recipe](clone, scenario.options, budget, state, folder, more)


def _install(package, folder):
    """Install a package in editable form, in a new environment that has the packages of this one; its programs."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = sysconfig.get_path("purelib")
    (packages / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps"]
    done = subprocess.run([*command, "--editable", package], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def _follow(clone, scripts, variables, **how):
    """Run scripts until one fails; the exit code of the gate is in its last line, 2 for an error before it, else -1."""
    output, code = "", 0
    for script in scripts:
        done = shell(script, clone, variables, **how)
        output, code = output + done.stdout + done.stderr, done.returncode
        if code:
            break
    named = re.findall(r"^gate: .*\(exit code (\d)\)$", output, re.MULTILINE)
    errors = re.findall(r"^error: ", output, re.MULTILINE)
    return Ended(code, int(named[-1]) if named else 2 if errors else -1, output)
