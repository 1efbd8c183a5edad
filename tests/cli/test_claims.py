"""Claims from the command line: runs with a file, its writing from a run, and its check against a plan."""

import datetime
import json
import re
import tomllib
import xml.etree.ElementTree as ElementTree

import pytest

import harness
from harness.cli.claims import DAYS
from tests.commands import call_harness

PLUGIN = """
import os

import numpy as np

import harness
from harness.problems import reference


class Mine(harness.Backend):
    name = "mine"
    axes = (1, 2)
    dtypes = ("float32", "float16") if os.environ.get("MINE") != "narrow" else ("float32",)

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        y = reference.conv(x, w, b, window).astype(x.dtype)
        half = x.dtype == np.float16 and window.stride != (1,) * (x.ndim - 2)
        return -y if half and os.environ.get("MINE") != "mended" else y


@harness.hookimpl
def register_backends(register):
    register(Mine())
"""
PROBLEMS = (
    "conv x=1x2x9 w=3x2x3 stride=2 data=integer",
    "conv x=1x2x9 w=3x2x3 stride=2 dtype=float16 data=integer",
    "conv x=1x2x9 w=3x2x3 dilation=2 dtype=float16 data=integer",
    "max_pool x=1x2x9 kernel=3",
)
GIVEN = ("--reason", "the sign is lost", "--link", "https://example.org/7")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the plugin, its problems, a run of it, and the claims that this shows."""
    folder = tmp_path_factory.mktemp("claims")
    (folder / "mine.py").write_text(PLUGIN)
    (folder / "problems.txt").write_text("\n".join(PROBLEMS))
    assert run(folder, "first", claims=None).returncode == 1
    done = call_harness("claims", "observe", "first", *GIVEN, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "harness-claims.toml: 1 promises, 2 known faults (2 cells)\n"
    return folder


def run(folder, name, *more, claims="harness-claims.toml", mine=""):
    held = ("--claims", claims) if claims else ()
    return call_harness(
        "run", "correctness", "--plugin", "./mine.py", "--backend", "mine", "--problems", "problems.txt", *held,
        "--law", "agrees-with-reference", "--law", "stride-is-subsampling", "--output", name, "--threads", 1, *more,
        cwd=folder, MINE=mine,
    )  # fmt: skip


def cases(folder, name):
    """Kinds of findings in junit.xml, with their elements."""
    tree = ElementTree.parse(folder / name / "report" / "junit.xml")
    return [(one.tag, one.get("type")) for case in tree.iter("testcase") for one in case]


@pytest.fixture(scope="module")
def held(place):
    """The command that made the run `again`, which is held against the claims that pyproject.toml names."""
    (place / "pyproject.toml").write_text('[tool.harness]\nclaims = "harness-claims.toml"\n')
    try:
        done = run(place, "again", "--format", "junit", claims=None)
        assert call_harness("claims", "observe", "first", "--output", "-", *GIVEN, cwd=place).returncode == 0
    finally:
        (place / "pyproject.toml").unlink()
    return done


def test_a_run_that_is_held_against_its_own_claims_is_green(place, held):
    done = held
    assert done.returncode == 0, done.stdout
    assert "claims: harness-claims.toml: 1 kept, 2 known faults present" in done.stdout
    assert "faults 1, 2 of mine" in done.stdout and "2 cells: the sign is lost; https://example.org/7" in done.stdout
    assert cases(place, "again").count(("skipped", "known fault")) == 2
    assert not [kind for kind in cases(place, "again") if kind[0] in ("failure", "error")]
    again = harness.load(place / "again")
    assert again.header.claims.file == "harness-claims.toml"
    assert harness.analyse(again).exit_code == 0


def test_a_promise_that_is_broken_fails(place):
    done = run(place, "narrow", "--format", "junit", mine="narrow")
    assert done.returncode == 1
    assert "CLAIM BROKEN  promise 1 of mine" in done.stdout
    assert "unsupported: mine has no float16" in done.stdout
    assert ("failure", "CLAIM BROKEN") in cases(place, "narrow")


@pytest.mark.slow
def test_a_fault_that_is_gone_fails_by_a_strict_row(place):
    strict = (place / "harness-claims.toml").read_text().replace('law = "', 'strict = true\nlaw = "')
    (place / "strict.toml").write_text(strict)
    done = run(place, "strict", "--format", "junit", claims="strict.toml", mine="mended")
    assert done.returncode == 1
    assert "FAULT GONE" in done.stdout and "2 gone" in done.stdout
    assert ("failure", "FAULT GONE") in cases(place, "strict")
    done = call_harness("claims", "observe", "strict", "--replace", "--output", "strict.toml", cwd=place)
    assert done.stdout == "strict.toml: 1 promises, 0 known faults (0 cells)\n"


def test_rows_that_match_cells_of_the_given_problems_are_accepted(place):
    given = ("--plugin", "./mine.py", "--suite", "correctness", "--problems", "problems.txt")
    done = call_harness("claims", "check", "harness-claims.toml", *given, cwd=place)
    assert (done.returncode, done.stdout) == (
        0, "harness-claims.toml: 1 promises and 2 known faults can be used\n",
    )  # fmt: skip


def test_rows_that_excuse_nothing_any_more_are_refused(place):
    text = (place / "harness-claims.toml").read_text()
    (place / "old.toml").write_text(re.sub(r"expires = .*", "expires = 2020-02-03", text))
    done = call_harness("claims", "check", "old.toml", "--plugin", "./mine.py", "--suite", "speed-short", cwd=place)
    assert done.returncode == 2
    assert "fault 1 is stale, as it matches no cell of speed-short" in done.stderr
    assert "fault 1 has expired, 2020-02-03 was its last day" in done.stderr


@pytest.mark.slow
def test_the_python_face_has_the_same_claims(place, monkeypatch):
    monkeypatch.chdir(place)
    found = harness.run(
        "correctness", backends=["mine"], problems=PROBLEMS[:1], laws=["agrees-with-reference"], plugins=["./mine.py"],
        claims="harness-claims.toml", output="python",
    )  # fmt: skip
    analysis = harness.analyse(found)
    assert [row.state for row in analysis.claims.promises] == ["kept"]
    assert [row.state for row in analysis.claims.faults] == ["not asked", "not asked"]
    assert analysis.exit_code == 0
    with pytest.raises(harness.UsageError, match=r"nothing.toml', which does not exist"):
        harness.gate("HEAD", claims="nothing.toml")


def test_the_day_of_new_rows_follows_from_the_run(place):
    created = json.loads((place / "first" / "header.json").read_text())["created"][:10]
    wanted = datetime.date.fromisoformat(created) + datetime.timedelta(days=DAYS)
    found = tomllib.loads((place / "harness-claims.toml").read_text())
    assert {row["expires"] for row in found["fault"]} == {wanted}
    shown = call_harness("claims", "observe", "first", "--output", "-", *GIVEN, "--expires", "2031-05-06", cwd=place)
    assert tomllib.loads(shown.stdout)["fault"][0]["expires"] == datetime.date(2031, 5, 6)
    assert call_harness("claims", "observe", "first", "--output", "-", *GIVEN, cwd=place).stdout == (
        place / "harness-claims.toml"
    ).read_text()  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("observe", "first"), "claims exist: got 'harness-claims.toml'; overwrite them with --replace"),
        (
            ("observe", "first", "--output", "new.toml"),
            "has 2 wrong cells that no row knows, wanted --reason and --link",
        ),
        (
            ("observe", "first", "--output", "new.toml", *GIVEN, "--expires", "soon"),
            "expires: got 'soon', wanted a date",
        ),
        (("observe", "first", "--output", "no/new.toml", *GIVEN), "claims cannot be written: got 'no/new.toml'"),
        (("observe", "first", "--backend", "mina", *GIVEN, "--output", "n"), "unknown backend: got 'mina'"),
        (("observe", "nothing"), "nothing"),
        (("check", "nothing.toml"), "which does not exist"),
        (("check", "harness-claims.toml"), "promise 1: unknown backend: got 'mine', wanted one of"),
    ],
)
def test_what_cannot_be_done_is_one_clear_line(place, arguments, message):
    done = call_harness("claims", *arguments, cwd=place)
    assert done.returncode in (2, 6)
    assert message in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert not (place / "new.toml").exists()


@pytest.mark.usefixtures("held")
def test_a_run_is_resumed_with_the_same_claims_only(place):
    done = call_harness(
        "run", "correctness", "--plugin", "./mine.py", "--backend", "mine", "--problems", "problems.txt", "--law",
        "agrees-with-reference", "--law", "stride-is-subsampling", "--threads", 1, "--resume", "again", cwd=place,
    )  # fmt: skip
    assert done.returncode == 2
    assert "claims: got none, the run has 3 rows" in done.stderr
