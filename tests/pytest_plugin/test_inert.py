"""No text of a backend acts in pytest's output: reasons, exceptions and their frames, skipped cells, broken plugins."""

import pytest

from tests.hostile.texts import FORBIDDEN, NASTY_BACKENDS
from tests.pytest_plugin.trial import make_repository, run_cells

pytest_plugins = ["pytester"]
BACKENDS = f"""

Right = Mine
{NASTY_BACKENDS}

@harness.hookimpl
def register_backends(register):
    for one in (Mine(), Nasty(), Away()):
        register(one)
"""


@pytest.fixture(autouse=True)
def repository(pytester, monkeypatch):
    make_repository(pytester, monkeypatch)
    path = pytester.path / "backends_here.py"
    path.write_text(path.read_text() + BACKENDS)


def test_reasons_and_exceptions_are_inert_and_short(pytester):
    result = run_cells(pytester, "-rA", backends=["mine", "nasty", "away"], laws=["tap-probe"])
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    said = result.stdout.str() + result.stderr.str()
    assert said.count("=cmd") >= 3  # where it is described, in the frames, and why the other is skipped
    for line in said.split("\n"):
        assert not FORBIDDEN.search(line), line[:200]
        assert not line.startswith("::error::") and "n" * 5000 not in line


def test_where_nothing_ran_the_reason_is_inert(pytester):
    said = run_cells(pytester, "-m", "harness", backends=["away"], laws=["tap-probe"]).stdout.str()
    assert "no cell ran, and the session is no success" in said
    assert not any(FORBIDDEN.search(line) for line in said.split("\n"))
