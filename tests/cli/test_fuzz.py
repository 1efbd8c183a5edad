"""`python -m harness fuzz`, run as its user runs it; bounded by numbers of examples, not by time."""

import math
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest

from harness import parse_line
from harness.experiments.fuzz_corpus import Case, append_case, read_cases
from tests.commands import call_harness
from tests.conftest import DYING, ROOT

FORWARD = str(ROOT / "tests" / "faulty" / "forward.py")
RIGHT = str(ROOT / "tests" / "faulty" / "right.py")
LAWS = ("--law", "agrees-with-reference", "--law", "tap-probe", "--law", "input-adjoint")
CASE = Case("agrees-with-reference", "conv x=1x1x5 w=1x1x1 data=integer")
CRASHING = """
import ctypes
import harness

class Crashing(harness.Backend):
    name = "crashing"

    def conv(self, x, w, b, window):
        ctypes.string_at(0)

@harness.hookimpl
def register_backends(register):
    register(Crashing())
"""


def slow(*values):
    """Return a case that is slow because the tests of `harness.fuzz` ask the same of the command."""
    return pytest.param(*values, marks=pytest.mark.slow)


def fuzz(*arguments, corpus=None, cwd=ROOT):
    where = ("--corpus", str(corpus)) if corpus else ()
    return call_harness("fuzz", *arguments, *where, cwd=cwd)


def _tail_lost(corpus):
    arguments = ("--plugin", FORWARD, "--backend", "faulty:width-tail-lost", "--operator", "conv", "--seed", "1")
    return fuzz(*arguments, "--examples", "60", *LAWS, corpus=corpus)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    corpus = tmp_path_factory.mktemp("fuzz") / "corpus"
    return _tail_lost(corpus), corpus


@pytest.mark.slow  # tests of `harness.fuzz` ask the command soon what it finds and replays
def test_a_fault_is_found_made_small_stored_and_told_with_the_command_that_repeats_it(found):
    done, corpus = found
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "seed 1\n" in done.stdout
    cases = read_cases(corpus, "faulty:width-tail-lost")
    assert {case.law for case in cases} == {"agrees-with-reference", "tap-probe", "input-adjoint"}
    for case in cases:  # the smallest width at which the fault shows, and little else
        problem = parse_line(case.line)
        assert problem.y[-1] == 5, case.line
        assert problem.kernel == (1,), case.line
        assert math.prod(problem.x) <= 10, case.line
        assert f"problem  {case.line}\n" in done.stdout
    assert "failed  faulty:width-tail-lost  tap-probe   w = delta at (o, c, t)" in done.stdout
    assert re.search(r"reason   y\[0, 0, 4\]: got 0, wanted \S+ exactly", done.stdout)
    assert re.search(r"met      in problem \d+, as conv x=", done.stdout)
    assert f"stored   {corpus}/faulty:width-tail-lost.txt" in done.stdout
    assert re.search(r"\d+ problems and \d+ law applications in [\d.]+ s, laws broken: 3", done.stdout)


@pytest.mark.slow
def test_the_command_that_is_printed_repeats_the_case(found, tmp_path):
    done, _ = found
    line = next(line for line in done.stdout.splitlines() if "repeat   " in line).partition("harness ")[2]
    again = call_harness(*shlex.split(line), "--output", tmp_path / "run")
    assert again.returncode == 1, again.stderr
    assert "failed  faulty:width-tail-lost" in again.stdout


@pytest.mark.slow
def test_the_same_seed_finds_the_same(found, tmp_path):
    done, _ = found
    again = _tail_lost(tmp_path)
    plain = [re.sub(r"in [\d.]+ s|stored .*", "", text) for text in (done.stdout, again.stdout)]
    assert plain[0] == plain[1]


@pytest.mark.slow
def test_what_is_stored_is_replayed_and_not_searched_for_again(found):
    _, corpus = found
    before = read_cases(corpus, "faulty:width-tail-lost")
    done = _tail_lost(corpus)
    assert done.returncode == 1
    assert done.stdout.count("still fails  faulty:width-tail-lost") == len(before)
    assert "0 problems and 3 law applications" in done.stdout
    assert read_cases(corpus, "faulty:width-tail-lost") == before


@pytest.mark.slow
def test_a_right_backend_is_clean_and_what_is_mended_passes(tmp_path):
    append_case(tmp_path, "right", CASE)
    done = fuzz("--plugin", RIGHT, "--backend", "right", "--examples", "60", *LAWS, corpus=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"corpus: right  {CASE.law}  {CASE.line}: passes now" in done.stdout
    assert re.search(r"right: [456]\d problems and \d+ law applications", done.stdout)
    assert "laws broken: 0" in done.stdout
    assert re.search(r"seed \d+\n", done.stdout)


@pytest.mark.slow
def test_a_backend_that_crashes_is_asked_on(tmp_path):
    (tmp_path / "crashing.py").write_text(CRASHING)
    done = fuzz(
        "--plugin", "./crashing.py", "--backend", "crashing", "--operator", "conv", "--examples", "2", "--seed", "1",
        "--law", "agrees-with-reference", "--law", "tap-probe", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "crashed  crashing  agrees-with-reference" in done.stdout
    assert "died with signal SIGSEGV" in done.stdout
    assert "log:" not in done.stdout  # its folder is gone
    line = "conv x=1x1x1 w=1x1x1 data=integer"
    cases = read_cases(tmp_path / "harness-corpus", "crashing")  # more crashes in a row than one crew takes
    assert cases == (Case("agrees-with-reference", line), Case("tap-probe", line))
    assert {path.name for path in tmp_path.iterdir()} <= {"crashing.py", "harness-corpus", "__pycache__"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        slow(("--backend", "dying:unavailable"), 4, "dying:unavailable is unavailable: no such device"),
        slow(("--backend", "dying:crashes-in-probe"), 1, "dying:crashes-in-probe died while starting"),
        slow(("--backend", "fft", "--dtype", "bfloat16"), 4, "fft has no bfloat16"),
        (("--backend", "fft", "--operator", "max_pool"), 4, "nothing could be applied: fft has no max_pool"),
        slow(("--backend", "im2col", "--operator", "max_pool", "--law", "tap-probe"), 4, "no law applies"),
    ],
)
def test_where_nothing_can_be_applied_the_reason_is_told(arguments, code, words, tmp_path):
    done = fuzz("--plugin", DYING, *arguments, "--examples", "10", "--seed", "1", corpus=tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Missing option '--backend'"),
        (("--backend", "trch"), "did you mean 'torch'?"),
        (("--backend", "fft", "--law", "tap"), "unknown law: got 'tap'"),
        (("--backend", "fft", "--operator", "konv"), "unknown operator: got 'konv'"),
        (("--backend", "fft", "--dtype", "float8"), "unknown dtype: got 'float8'"),
        (("--backend", "fft", "--time", "0"), "got '0', wanted a duration"),
        (("--backend", "fft", "--time", "soon"), "got 'soon', wanted a duration"),
        (("--backend", "fft", "--examples", "0"), "0 is not in the range"),
        (("--backend", "fft", "--seed", "-1"), "-1 is not in the range"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_2(arguments, words, tmp_path):
    done = fuzz(*arguments, corpus=tmp_path)
    assert done.returncode == 2, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("tap-probe\tconv x=1x1x5", "line 1 is torn"), ("no-such-law\tconv x=1x1x5 w=1x1x1\n", "line 1: unknown law")],
)
def test_an_unreadable_corpus_is_told_before_anything_runs(text, words, tmp_path):
    (tmp_path / "fft.txt").write_text(text)
    done = fuzz("--backend", "fft", corpus=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert not done.stdout


@pytest.mark.slow
def test_an_interrupt_ends_the_search_and_keeps_what_was_found(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-m", "harness", "fuzz", "--plugin", FORWARD, "--backend", "faulty:flipped", *LAWS,
         "--law", "images-do-not-mix", "--corpus", str(tmp_path), "--time", "10m"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    first = [child.stdout.readline() for _ in range(7)]  # the seed, and the first finding
    assert first[1].startswith("failed  faulty:flipped")
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=600)
    assert child.returncode == 130, err
    assert "interrupted; what was done is on disk" in err
    assert read_cases(tmp_path, "faulty:flipped")
