"""`gate` and `bisect` as users call them, in repositories made here; no verdict depends on how long things take."""

import json
import os
import re
import shutil
import sys

import pytest

from harness.record.directory import read_run
from tests.commands import call_harness
from tests.conftest import ROOT
from tests.execution.interrupted import run_killed
from tests.gating.twenty import COMMITS, SETTINGS, Commit, add, git, make_repository
from tests.gating.twenty import run_harness as harness

OPTIONS = ("--plugin", "kernels.plugin", "--unqualified", "--budget", "60s")
ONE = ("--threads", "1")  # one worker of each version; what all threads add is not what a gate is about
BROKEN = next(commit for commit in COMMITS if commit.finding == "BROKEN")
LOST = Commit("Leave mean pooling out", "kernels/plugin.py", "def avg_pool(", "def _avg_pool(")
NEEDS = Commit("Need more", "pyproject.toml", '["numpy"]', '["numpy", "kernels-of-nobody @ file:///nowhere"]')
SAME = pytest.mark.slow  # `test_early` asks the same soon
MORE = (add("README.md", "One.\n"), BROKEN, LOST, NEEDS)  # after the first commit, in this order


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Its folder; tags begin, same, broken, lost, needs."""
    folder = tmp_path_factory.mktemp("gate") / "repository"
    names = ("begin", "same", "broken", "lost", "needs")
    for name, revision in zip(names, make_repository(folder, MORE), strict=True):
        git(folder, "tag", name, revision)
    git(folder, "switch", "--quiet", "--detach", "same")
    return folder


def call_here(repository, tmp_path, *arguments):
    """Call a command in this process, which imports the package of the repository and forgets it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(repository)
        try:
            return call_harness(*arguments, cwd=repository, HARNESS_STATE_DIR=tmp_path, **SETTINGS)
        finally:
            for name in [name for name in sys.modules if name.partition(".")[0] == "kernels"]:
                del sys.modules[name]


def gate(repository, tmp_path, *arguments):
    return call_here(repository, tmp_path, "gate", *OPTIONS, *ONE, "--output", tmp_path / "run", *arguments)


@pytest.mark.parametrize(
    ("base", "head", "code", "said"),
    [
        pytest.param("begin", "same", 0, "4 cells, a change of 1 % counts: 4 UNCHANGED", marks=pytest.mark.slow),
        pytest.param("same", "broken", 1, "failed: 1 BROKEN", marks=pytest.mark.slow),
        pytest.param("broken", "broken", 0, "WRONG BEFORE", marks=pytest.mark.slow),
        pytest.param("broken", "same", 0, "MENDED", marks=pytest.mark.slow),
        pytest.param("broken", "lost", 3, "failed: 1 MISSING", marks=pytest.mark.slow),
        pytest.param("lost", "broken", 0, "1 NEW", marks=pytest.mark.slow),
    ],
)
def test_laws_of_both_versions_make_the_exit_code(repository, tmp_path, base, head, code, said):
    done = gate(repository, tmp_path, "--base", base, "--head", head, "--suite", "kernels-laws")
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
    assert f"(exit code {code})" in done.stdout
    repeat = f"repeat   python -m harness gate --base {base} --head {head} --backend kernels --suite kernels-laws"
    assert (repeat in done.stdout) == (code == 1)
    assert len(git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.slow
def test_a_checkout_as_it_lies_is_compared_and_said_to_be_dirty(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    path = copy / BROKEN.file
    path.write_text(path.read_text().replace(BROKEN.old, BROKEN.new))
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    done = gate(copy, tmp_path, "--base", "same", "--suite", "kernels-laws", "--summary", str(summary))
    assert done.returncode == 1, done.stdout + done.stderr
    old, new = json.loads((tmp_path / "run" / "header.json").read_text())["arms"]
    assert (old["dirty"], new["dirty"]) == (False, True)
    assert old["revision"] == new["revision"] == git(copy, "rev-parse", "same")
    text = summary.read_text()
    assert text.startswith("before\n### ❌ failed: 1 BROKEN")
    assert "with uncommitted changes compared with" in text
    assert "| BROKEN | 1 | `kernels` | `agrees-with-reference` | `conv_input_grad" in text


@pytest.mark.slow
def test_an_operator_that_was_dropped_on_purpose_is_accepted(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    options = ("--base", "broken", "--head", "lost", "--suite", "kernels-laws")
    assert gate(copy, tmp_path, *options).returncode == 3
    unchanged = call_here(copy, tmp_path, "bless", "kernels max_pool", "--reason", "?", "--run", tmp_path / "run")
    assert unchanged.returncode == 2 and unchanged.stderr.startswith("error: ")
    blessed = call_here(copy, tmp_path, "bless", "kernels avg_pool", "--reason", "nobody takes means",
                        "--run", tmp_path / "run")  # fmt: skip
    assert blessed.returncode == 0, blessed.stderr
    (tmp_path / "run").rename(tmp_path / "before")
    done = gate(copy, tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 BLESSED" in done.stdout and "nobody takes means" in done.stdout


@pytest.mark.slow
def test_a_version_that_drops_all_support_is_missing_and_what_no_version_supports_is_said(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    asked = ("--base", "same", "--suite", "kernels-laws", "--suite", "kernels-speed", "--budget", "5s")
    never = gate(copy, tmp_path, *asked, "--problem", "conv x=2x3x20 w=4x3x5 stride=3")
    assert never.returncode == 4, never.stdout + never.stderr
    assert "kernels supports none of the 2 cells in either version (only the problems of" in never.stdout
    shutil.rmtree(tmp_path / "run")
    path = copy / "kernels" / "plugin.py"
    path.write_text(path.read_text().replace("None if known else", "None if not problem else"))
    done = gate(copy, tmp_path, *asked)
    assert done.returncode == 3, done.stdout + done.stderr
    # The four laws at least: a time of the base is no time where the machine cannot tell whether it is true.
    assert re.search(r"failed: [4-8] MISSING", done.stdout), done.stdout
    assert "NEW" not in done.stdout


@pytest.mark.slow
def test_times_are_interleaved_and_too_short_a_budget_cannot_tell(repository, tmp_path):
    done = gate(repository, tmp_path, "--base", "begin", "--head", "same", "--suite", "kernels-speed", "--budget", "1s")
    assert done.returncode == 5, done.stdout + done.stderr
    assert "4 INCONCLUSIVE" in done.stdout
    assert "gate:   cannot tell: " in done.stdout


def test_a_law_by_itself_needs_no_times(repository, tmp_path):
    line = "conv_input_grad x=100x4x14x14 w=8x4x3x3"
    done = harness("gate", *OPTIONS, "--base", "same", "--head", "broken", "--law", "agrees-with-reference",
                   "--problem", line, "--output", str(tmp_path / "run"), cwd=repository, state=tmp_path)  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 cells" in done.stdout and "failed: 1 BROKEN" in done.stdout
    assert len(git(repository, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "base: got none, wanted --base REV"),
        pytest.param(["--base", "same", "--head", "nowhere"], "unknown revision: got 'nowhere'", marks=SAME),
        pytest.param(["--base", "sme"], "unknown revision: got 'sme'", marks=SAME),
        pytest.param(["--base-env", "/nowhere"], "interpreter not found: got '/nowhere'", marks=SAME),
        (["--base", "same", "--suite", "consensus"], "suite: got 'consensus', a suite of kind consensus"),
        (["--base", "same", "--backend", "kernel"], "unknown backend: got 'kernel'"),
        pytest.param(["--base", "same", "--budget", "soon"], "got 'soon', wanted a duration", marks=SAME),
        (["--base", "same", "--resolve", "much"], "share: got 'much'"),
        pytest.param(["--base", "needs", "--suite", "kernels-laws"], "does not build: ERROR",
                     marks=[pytest.mark.slow, pytest.mark.builds]),
        (["--base", "same", "--head", "same", "--summary", "/nowhere/summary.md", "--suite", "kernels-laws"],
         "summary: got '/nowhere/summary.md'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line_and_exit_2(repository, tmp_path, arguments, message):
    done = call_here(repository, tmp_path, "gate", *OPTIONS, "--output", tmp_path / "run", *arguments)
    code = 6 if message.startswith("summary") else 2  # a place that cannot be written
    assert done.returncode == code, done.stdout + done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("error: ") and message in line


def test_a_plugin_that_the_base_lacks_is_named(repository, tmp_path):
    (tmp_path / "copy").mkdir()
    git(tmp_path / "copy", "clone", "--quiet", str(repository), ".")
    (tmp_path / "copy" / "new.py").write_text((repository / "kernels" / "plugin.py").read_text())
    done = call_here(tmp_path / "copy", tmp_path, "gate", "--base", "same", "--plugin", "./new.py", "--unqualified",
                     "--output", tmp_path / "run")  # fmt: skip
    assert done.returncode == 2
    assert "revision 'same' has no file 'new.py'" in done.stderr


@pytest.mark.parametrize(
    ("head", "suites", "code", "said"),
    [
        pytest.param(
            "same",
            ("kernels-laws", "kernels-speed"),
            5,
            "cannot tell: times were not compared, this machine is not qual",
            marks=pytest.mark.slow,
        ),
        pytest.param("broken", ("kernels-laws", "kernels-speed"), 1, "failed: 1 BROKEN", marks=pytest.mark.slow),
        pytest.param("same", ("kernels-laws",), 0, "passed: neither slower nor wrong", marks=pytest.mark.slow),
        ("same", ("kernels-speed",), 5, "the gate is not armed: this machine is not qualified"),
    ],
)
def test_a_machine_that_is_not_qualified_compares_no_times_but_laws_all_the_same(
    repository, tmp_path, head, suites, code, said
):  # fmt: skip
    chosen = [word for name in suites for word in ("--suite", name)]
    done = call_here(repository, tmp_path, "gate", "--base", "begin", "--head", head, "--plugin", "kernels.plugin",
                     *ONE, *chosen, "--output", tmp_path / "run")  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


@pytest.mark.slow
def test_a_base_that_cannot_run_is_not_passed_over(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    (copy / "kernels" / "built.py").write_text("IMAGES = 1\n")  # in no revision, as what a compiler made would be
    path = copy / "kernels" / "conv.py"
    path.write_text("from kernels.built import IMAGES\n" + path.read_text())
    (copy / ".git" / "info" / "exclude").write_text("built.py\n")
    git(copy, "commit", "--quiet", "--all", "--message", "needs what is not there")
    done = gate(copy, tmp_path, "--base", "HEAD", "--suite", "kernels-laws")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "4 INCONCLUSIVE" in done.stdout
    assert "nothing ran that could be compared; the base cannot run here" in done.stdout


@pytest.mark.slow
def test_a_change_that_mends_a_base_that_cannot_be_imported_or_built_passes_where_it_is_told_so(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    path = copy / "kernels" / "conv.py"
    text = path.read_text()
    path.write_text("import kernels_nobody_has\n" + text)
    git(copy, "commit", "--quiet", "--all", "--message", "broken import")
    path.write_text(text)
    options = ("--base", "HEAD", "--suite", "kernels-laws", "--base-broken", "ok")
    done = gate(copy, tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 MENDED" in done.stdout and "No module named 'kernels_nobody_has'" in done.stdout.splitlines()[-1]
    build = ("--build", "never", "--build-command", "! grep -q nobody kernels/conv.py")
    built = gate(copy, tmp_path, *options, *build, "--output", tmp_path / "two")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "the base cannot run here: revision HEAD does not build" in built.stdout.splitlines()[-1]
    refused = gate(copy, tmp_path, *options[:4], *build, "--output", tmp_path / "three")
    assert refused.returncode == 2 and "--base-broken ok" in refused.stderr


@pytest.mark.slow
def test_a_backend_that_the_new_version_does_not_hand_over_is_missed(repository, tmp_path):
    copy = _copy(repository, tmp_path)
    path = copy / "kernels" / "plugin.py"
    text = path.read_text()
    second = "    register(Kernels())\n    second = Kernels()\n    second.name = 'second'\n    register(second)\n"
    path.write_text(text.replace("    register(Kernels())\n", second))
    git(copy, "commit", "--quiet", "--all", "--message", "two")
    path.write_text(text)
    done = gate(copy, tmp_path, "--base", "HEAD", "--suite", "kernels-laws")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "failed: backend second is gone" in done.stdout
    path.write_text(text.replace("    register(Kernels())\n", second))
    reverse = gate(copy, tmp_path, "--base", "same", "--suite", "kernels-laws", "--output", tmp_path / "two")
    assert reverse.returncode == 5, reverse.stdout + reverse.stderr
    assert "4 NEW, 4 UNCHANGED" in reverse.stdout and "the base of second can do none of them" in reverse.stdout
    options = ("--base", "same", "--suite", "kernels-laws", "--base-broken", "ok", "--output", tmp_path / "three")
    accepted = gate(copy, tmp_path, *options)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr


def test_versions_that_would_be_the_same_code_are_refused(repository, tmp_path):
    (tmp_path / "elsewhere.py").write_text((repository / "kernels" / "plugin.py").read_text())
    done = call_here(repository, tmp_path, "gate", "--base", "begin", "--plugin", tmp_path / "elsewhere.py",
                     "--unqualified", "--output", tmp_path / "run")  # fmt: skip
    assert done.returncode == 2
    assert "of which no revision of" in done.stderr


def test_a_backend_that_pip_has_copied_is_refused_with_what_to_do(repository, tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    shutil.copytree(repository / "kernels", site / "kernels")
    (site / "kernels-0.dist-info").mkdir()
    (site / "kernels-0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 0\n")
    (site / "kernels-0.dist-info" / "entry_points.txt").write_text("[harness]\nkernels = kernels.plugin\n")
    monkeypatch.syspath_prepend(site)  # of this process; PYTHONPATH is that of the process that describes the plugin
    for named in ((), ("--backend", "kernels")):
        done = call_harness("gate", "--base", "same", *named, "--suite", "kernels-laws", "--unqualified", "--output",
                            tmp_path / "run", cwd=repository / "kernels", PYTHONPATH=site,
                            HARNESS_STATE_DIR=tmp_path, **SETTINGS)  # fmt: skip
        assert done.returncode == 2, done.stdout
        (line,) = done.stderr.strip().splitlines()
        assert "copy that pip has installed" in line and str(site / "kernels" / "plugin.py") in line
        assert "pip install --editable ." in line and "--build always" in line


def _copy(repository, tmp_path):
    copy = tmp_path / "copy"
    git(repository, "clone", "--quiet", str(repository), str(copy))
    git(copy, "switch", "--quiet", "--detach", "same")
    return copy


@pytest.mark.slow
def test_bisect_finds_the_commit_that_broke_a_law(repository, tmp_path):
    done = call_here(
        repository, tmp_path, "bisect", "--good", "begin", "--bad", "lost", "--plugin", "kernels.plugin",
        "--law", "agrees-with-reference", "--cell", "kernels conv_input_grad x=100x4x14x14 w=8x4x3x3",
        "--output", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    broken = git(repository, "rev-parse", "--short", "broken")
    assert "the first commit that is wrong:" in done.stdout
    assert done.stdout.splitlines()[-1].strip().startswith(broken)
    assert done.stdout.splitlines()[-1].endswith(BROKEN.message)


@pytest.mark.slow
def test_bisect_says_that_the_ends_do_not_differ(repository, tmp_path):
    done = call_here(
        repository, tmp_path, "bisect", "--good", "begin", "--bad", "same", "--plugin", "kernels.plugin",
        "--law", "agrees-with-reference", "--cell", "kernels conv x=100x4x14x14 w=8x4x3x3",
        "--output", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert "bad is not shown to be worse than good: UNCHANGED" in done.stderr


def test_bisect_compares_no_times_on_a_machine_that_is_not_qualified(repository, tmp_path):
    done = call_here(
        repository, tmp_path, "bisect", "--good", "begin", "--bad", "same", "--plugin", "kernels.plugin",
        "--cell", "kernels conv x=100x4x14x14 w=8x4x3x3", "--output", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 5, done.stdout + done.stderr
    assert "bisect compares no times: this machine is not qualified" in done.stderr and "--unqualified" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_gate_that_was_killed_goes_on_to_the_same_verdicts(repository, tmp_path):
    copy = _copy(repository, tmp_path)  # worktrees of a killed command remain until the next one
    asked = (*OPTIONS, *ONE, "--base", "same", "--head", "broken", "--suite", "kernels-laws")
    state = {**SETTINGS, "HARNESS_STATE_DIR": str(tmp_path), "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}"}
    run_killed("4+", "gate", *asked, "--output", tmp_path / "run", cwd=copy, **state)
    begun = read_run(tmp_path / "run")
    assert not begun.complete and 0 < len(begun.results) < 8
    done = call_here(copy, tmp_path, "gate", *asked, "--resume", tmp_path / "run")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "failed: 1 BROKEN" in done.stdout and "and resumed: killed after" in done.stdout
    run = read_run(tmp_path / "run")
    assert run.complete and [result for result in run.results if result in begun.results] == list(begun.results)
    other = call_here(copy, tmp_path, "gate", *asked, "--head", "same", "--resume", tmp_path / "run")
    assert other.returncode == 2 and "run cannot be resumed" in other.stderr and "arms: got" in other.stderr
