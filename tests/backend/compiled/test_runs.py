"""Runs of backends in shared libraries: right ones pass, and each way to fail costs the cells that fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.analysis.exit_code import find_exit_code
from harness.exit_codes import ExitCode
from tests.backend.compiled.libraries import EXAMPLES, build, needs_compiler
from tests.commands import call_harness
from tests.gating.twenty import git

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
RUST = shutil.which("rustc")
LAW = "agrees-with-reference"
START = "float *y = a->y;"
FAULTS = f"""{START}
    if (p->n == 3) *(volatile int *)0 = 0;
    if (p->n == 5) return "no room for five";
    if (p->n == 6) y[-1] = 0;
    if (p->n == 7) {{ for (int64_t i = 0; i < p->n * p->o * product(p->out); i++) y[i] = 1; return 0; }}
"""
LINE = "conv x={n}x2x9 w=4x2x3 data=integer"


def _ask(tmp_path, library, lines, backend, **options):
    return harness.run(
        "correctness", backends=[backend], plugins=[str(library)], problems=lines, threads=1, output=tmp_path / "run",
        **options,
    )  # fmt: skip


@needs_compiler
def test_each_way_to_fail_costs_its_cells(tmp_path):
    library = build(tmp_path, (EXAMPLES / "mine.c").read_text().replace(START, FAULTS, 1))
    run = _ask(tmp_path, library, [LINE.format(n=n) for n in (2, 3, 5, 6, 7)], "mine-c", laws=[LAW])
    found = {int(one.problem.partition("x=")[2].partition("x")[0]): one for one in run.results}
    assert {n: one.outcome for n, one in found.items()} == {
        2: "passed", 3: "crashed", 5: "error", 6: "error", 7: "failed",
    }  # fmt: skip
    assert "SIGSEGV" in found[3].reason
    assert "no room for five" in found[5].reason
    assert "wrote before the start, up to 4 bytes away from it of y" in found[6].reason
    assert find_exit_code(run) is ExitCode.WRONG


@needs_compiler
def test_the_example_in_c_passes_and_is_timed(tmp_path):
    library = build(tmp_path, (EXAMPLES / "mine.c").read_text())
    lines = ["conv x=2x4x9x8 w=6x2x3x3 pad=1 groups=2 bias data=integer", "max_pool x=2x3x9x8 kernel=3x2 data=integer"]
    run = _ask(tmp_path, library, lines, "mine-c")
    assert find_exit_code(run) is ExitCode.OK
    assert run.counts["passed"] > 20


@pytest.mark.skipif(RUST is None, reason="no Rust compiler: the command rustc is not found")
def test_the_example_in_rust_passes(tmp_path):
    library = tmp_path / "mine_rs.so"
    command = [RUST, "-O", "--crate-type", "cdylib", str(EXAMPLES / "mine.rs"), "-o", str(library)]
    subprocess.run(command, check=True, capture_output=True)
    lines = [
        "avg_pool x=2x3x9x8 kernel=3x2 stride=2 pad=1 exclude_pad ceil data=integer",
        "avg_pool x=2x3x17 kernel=3 stride=2 pad=1 dtype=float64",
    ]
    run = _ask(tmp_path, library, lines, "mine-rs")
    assert find_exit_code(run) is ExitCode.OK
    assert run.counts["passed"] > 10


@needs_compiler
def test_the_plugins_of_a_command_may_be_libraries(tmp_path):
    library = build(tmp_path, (EXAMPLES / "mine.c").read_text())
    done = call_harness("plugins", "--plugin", library)
    assert done.returncode == 0
    assert "backends mine-c" in done.stdout


def test_a_broken_library_ends_a_run(tmp_path):
    (tmp_path / "mine.so").write_text("no library")
    done = call_harness("run", "correctness", "--plugin", tmp_path / "mine.so", "--dry-run")
    assert done.returncode == ExitCode.USAGE
    assert "the library cannot be loaded" in done.stderr


def test_the_header_is_found_by_a_command():
    done = call_harness("plugins", "--header")
    header = Path(done.stdout.strip())
    assert header.name == "harness_backend.h"
    assert "HARNESS_ABI" in header.read_text()


MAKEFILE = """HEADER := $(shell python -m harness plugins --header)
libmine.so: mine.c
\tcc -O1 -shared -fPIC -I $(dir $(HEADER)) mine.c -o $@ -lm
"""


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make: the command is not found")


@needs_compiler
@needs_make
@pytest.mark.slow
@pytest.mark.parametrize("ignored", ["*.so\n*.json\n", "*.json\n"], ids=["ignored", "untracked"])
def test_a_gate_builds_the_library_of_each_version(tmp_path, ignored):
    """The stale library of the checkout is no source of the build, even if git does not ignore it."""
    source = (EXAMPLES / "mine.c").read_text()
    for name, text in {"mine.c": source, "Makefile": MAKEFILE, ".gitignore": ignored}.items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-qm", "right")
    subprocess.run(["make", "-s"], cwd=tmp_path, check=True, env={**os.environ, "PATH": PATH})
    (tmp_path / "mine.c").write_text(source.replace("float sum = 0;", "float sum = p->n == 5;"))
    gate = ["gate", "--base", "HEAD", "--plugin", "./libmine.so", "--threads", "1", "--budget", "20"]
    problem = ["--problem", "conv x=5x2x9 w=4x2x3 data=integer", "--output", tmp_path / "run"]
    done = call_harness(*gate, *problem, "--build-command", "make", cwd=tmp_path, PATH=PATH)
    assert done.returncode == ExitCode.WRONG, done.stdout + done.stderr
    assert "BROKEN; mine-c" in done.stdout


@needs_compiler
def test_a_gate_without_a_build_wants_one(tmp_path):
    library = build(tmp_path, (EXAMPLES / "mine.c").read_text())
    (tmp_path / ".gitignore").write_text("*.so\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "-qm", "right")
    done = call_harness("gate", "--base", "HEAD", "--plugin", library, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "revision 'HEAD' has no file 'mine.so'; wanted one that has the plugin: make it with" in done.stderr


@needs_compiler
def test_a_library_outside_of_the_repository_is_one_file_for_both_versions(tmp_path):
    library, inside = build(tmp_path, (EXAMPLES / "mine.c").read_text()), tmp_path / "inside"
    inside.mkdir()
    git(inside, "init", "-q", "-b", "main")
    git(inside, "commit", "-q", "--allow-empty", "-m", "empty")
    for more in (["--base", "HEAD"], ["--base-env", sys.prefix]):
        done = call_harness("gate", *more, "--plugin", library, cwd=inside)
        assert done.returncode == ExitCode.USAGE, done.stdout
        assert "the same file for both versions" in done.stderr


@needs_compiler
def test_a_library_with_a_version_in_its_name_is_a_plugin(tmp_path):
    library = build(tmp_path, (EXAMPLES / "mine.c").read_text(), "libmine")
    library.rename(tmp_path / "libmine.so.1.2")
    library.symlink_to("libmine.so.1.2")
    for name in ("libmine.so", "libmine.so.1.2"):
        done = call_harness("plugins", "--plugin", tmp_path / name)
        assert "backends mine-c" in done.stdout
