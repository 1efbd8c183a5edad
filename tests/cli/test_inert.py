"""A nasty text acts nowhere: as a plugin's file, an exception, a reason or an argument, in what each command prints."""

import csv
import html
import json
import re

import pytest

import harness
from harness.errors import UsageError
from harness.execution.worker_supervisor import name_log
from harness.plan.arm import parse_arm
from harness.problems.validation import MOST_WORD_BYTES
from tests.commands import call_harness
from tests.conftest import ROOT
from tests.hostile.texts import FORBIDDEN, LONG, NASTY, NASTY_BACKENDS

FILE = "na\x1b[2J\u202e`|$(x)<b>\n::error::no .py"
LINE = "conv x=1x2x9 w=3x2x3 data=integer"
PLUGIN = f"""
import sys

sys.path.insert(0, {str(ROOT)!r})
import harness
from tests.faulty.right import Right
{NASTY_BACKENDS}

@harness.hookimpl
def register_backends(register):
    register(Nasty())
    register(Away())
"""
SHOWN = ("html", "markdown", "csv", "junit", "annotations", "summary", "pytest-benchmark", "bencher")
BACKENDS = ("--backend", "nasty", "--backend", "away")
ASKED = ("--problem", LINE, "--law", "agrees-with-reference")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the plugin; the state of the harness is kept there too."""
    path = tmp_path_factory.mktemp("nasty")
    (path / FILE).write_text(PLUGIN)
    return path


def call(folder, *arguments):
    """Run a command; hold everything that it prints to be inert; return it."""
    done = call_harness(*arguments, cwd=folder, HARNESS_STATE_DIR=folder / "state")
    for line in (done.stdout + done.stderr).split("\n"):
        assert_inert(line)
    assert done.returncode not in (7, -1), done.stderr
    return done


def assert_inert(line):
    assert not FORBIDDEN.search(line), line[:300]
    assert not line.startswith(("::error::no", "# <script>")), line[:300]
    assert len(line) < 9000, line[:300]


@pytest.fixture(scope="module")
def run(folder):
    formats = [word for name in SHOWN for word in ("--format", name)]
    done = call(folder, "run", "correctness", *BACKENDS, *ASKED, "--plugin", folder / FILE, "--output", "run", *formats)
    assert done.returncode == 1 and "=cmd" in done.stdout
    return folder / "run"


def test_every_report_is_inert(run):
    paths = [path for path in (run / "report").rglob("*") if path.is_file()]
    assert len(paths) >= len(SHOWN) - 1
    for path in paths:
        text = path.read_text("utf-8")
        data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
        own = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL) if path.suffix == ".html" else text
        for shown in (own, html.unescape(own), *(json.dumps(json.loads(one), ensure_ascii=False) for one in data)):
            assert not FORBIDDEN.search(shown.replace("\r\n", "\n")), path.name
            assert not re.search(r"^(::error::no|# <script>)", shown, re.MULTILINE), path.name
        assert path.suffix not in (".html", ".md", ".xml") or "<script>alert" not in own, path.name
        if path.suffix == ".csv":
            for row in csv.reader(text.splitlines()):
                assert not any(cell.startswith(("=", "@", "\t")) for cell in row), path.name


@pytest.mark.parametrize(
    "arguments",
    [
        ("report", "run"),
        ("compare", "run", "run"),
        ("history", "."),
        ("baseline", "save", "kept", "run"),
        ("baseline", "list"),
        ("baseline", "show", "kept"),
        ("list", "coverage", "run"),
    ],
)
def test_every_reader_of_a_run_is_inert(folder, run, arguments):
    call(folder, *arguments)


def test_what_a_notebook_shows_of_a_run_is_inert(run):
    found = harness.load(run)
    assert found.results and "repr_html" not in " ".join(dir(found))  # so that a notebook shows the following
    for shown in (repr(found), repr(harness.analyse(found).failures(9, 9)), repr(found.results[0].reason)):
        assert not FORBIDDEN.search(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("fuzz", "--backend", "nasty", "--backend", "away", "--time", "1s"), marks=pytest.mark.slow),
        pytest.param(
            ("versus", "a=nasty", "b=away", "--problem", LINE, "--budget", "1s", "--format", "markdown"),
            marks=pytest.mark.slow,
        ),
        ("plugins",),
    ],
)
def test_every_command_that_asks_a_backend_is_inert(folder, arguments):
    said = call(folder, *arguments, "--plugin", folder / FILE)
    assert "na" in said.stdout


@pytest.mark.parametrize("text", [NASTY.replace("\x00", ""), LONG], ids=["nasty", "long"])
@pytest.mark.parametrize(
    "arguments",
    [
        ("run",), ("run", "correctness", "--backend"), ("run", "correctness", "--problem"), ("run", "--plugin"),
        ("run", "--resume"), ("run", "--network"), ("report",), ("report", "run", "--format"), ("compare", "run"),
        ("history",), ("import",), ("capture",), ("fuzz", "--backend"), ("versus", "im2col"), ("gate", "--base"),
        ("bisect", "--cell", "im2col conv", "--good"), ("bless", "--reason", "x"), ("baseline", "show"),
        ("killmatrix", "--faults"), ("killmatrix", "--resume"), ("list",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_command_refuses_a_nasty_argument_in_lines_that_are_inert(folder, arguments, text):
    done = call(folder, *arguments, text)
    assert done.returncode in (2, 4, 6), done.stderr


@pytest.mark.parametrize("name", ["a\x1b[2J", "a\u202eb", "a\x00", "\ud800", LONG, "a b", "a/b", ""])
def test_a_name_that_no_table_or_file_can_hold_is_refused(name):
    with pytest.raises(UsageError, match="wanted a word without blanks or slashes, of printable characters"):
        harness.Suite(name=name, kind="correctness", description="d")
    with pytest.raises(UsageError, match="is not a word without blanks or slashes"):
        parse_arm(f"{name}=im2col")


def test_the_log_of_an_arm_with_a_long_name_is_a_file(tmp_path):
    arms = [f"torch@env:/{'deep/' * 100}{n}" for n in range(2)]
    names = {name_log(arm) for arm in arms}
    assert len(names) == 2 and all(len(name.encode()) < MOST_WORD_BYTES + 20 for name in names)
    for name in names:
        (tmp_path / name).touch()
    assert name_log("torch@set:A=/b") == "torch@set:A=_b.log"
