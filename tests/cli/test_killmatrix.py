from pathlib import Path

import pytest

from harness.cli.main import main

FAULTY = Path(__file__).parent.parent / "faulty"
# Suite `correctness` without the problems on specialised code paths, which take seconds to make.
SMALL = """
import harness
from suites.geometries import correctness_problems
from suites.laws import all_laws

@harness.hookimpl
def register_suites(register):
    laws = all_laws()
    for law in laws:
        register(law)
    names = tuple(law.name for law in laws)
    register(harness.Suite(
        name="correctness", kind="correctness", description="d", problems=correctness_problems, laws=names,
    ))
"""


@pytest.fixture
def small(tmp_path):
    """Options that replace suite `correctness` by the small one."""
    path = tmp_path / "small_suite.py"
    path.write_text(SMALL)
    return "--no-plugin", "suites.correctness", "--plugin", path


def _main(*arguments):
    with pytest.raises(SystemExit) as caught:
        main(["killmatrix", *map(str, arguments)])
    return caught.value.code


FILES = {"killmatrix.csv", "killmatrix.md", "killmatrix.html"}


def test_a_caught_fault_is_counted_and_written(small, tmp_path, capsys):
    code = _main(
        "--faults", FAULTY / "forward.py", "--backend", "faulty:flipped", "--law", "tap-probe", "--quick", "--output",
        tmp_path, *small,
    )  # fmt: skip
    assert code == 0
    assert "1 of 1 faults caught" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} >= FILES


@pytest.mark.slow  # plans the whole suite
def test_a_law_that_catches_nothing_is_named(tmp_path, capsys):
    code = _main(
        "--faults", FAULTY / "forward.py", "--backend", "faulty:flipped", "--law", "tap-probe", "--law", "reflection",
        "--output", tmp_path,
    )  # fmt: skip
    out = capsys.readouterr().out
    assert code == 0
    assert "1 of 1 faults caught" in out
    assert "laws that catch no fault: reflection" in out
    assert {path.name for path in tmp_path.iterdir()} >= FILES


def test_a_survivor_is_named_and_fails_the_command(small, capsys):
    fault = ("--faults", FAULTY / "forward.py", "--backend", "faulty:flipped")
    code = _main(*fault, "--law", "bias-shifts", "--quick", *small)
    assert code == 1
    assert "survivors: faulty:flipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--faults", "no/such/folder"), "wanted a folder or file with faulty backends"),
        (("--faults", FAULTY / "right.py"), "no backend whose name begins with 'faulty:'"),
        (("--faults", FAULTY / "forward.py", "--backend", "faulty:fliped"), "did you mean 'faulty:flipped'"),
        (("--faults", FAULTY / "forward.py", "--law", "tap-prob"), "did you mean 'tap-probe'"),
        (("--faults", FAULTY / "forward.py", "--output", "/proc/none/matrix"), "output folder cannot be written"),
    ],
)
def test_bad_input_is_one_line(arguments, words, capsys):
    assert _main(*arguments) == (6 if "cannot be written" in words else 2)
    assert words in capsys.readouterr().err
