"""`list coverage RUN`: tables and gaps of a run as its user reads them, and one line for what cannot be."""

import pytest

from harness.cli.coverage import choose
from harness.errors import UsageError
from harness.record.directory import read_run
from tests.commands import call_harness
from tests.reports.made import make_run, result

LINES = ("conv x=2x8x6x6 w=16x8x3x3 pad=1 data=integer", "max_pool x=1x16x8x8 kernel=2x2 stride=2 dtype=bfloat16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("coverage") / "run"
    done = call_harness(
        "run", "correctness", "--backend", "im2col", "--law", "agrees-with-reference",
        *(word for line in LINES for word in ("--problem", line)), "--output", str(path), "--format", "csv",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(path)


def test_conditions_pairs_and_gaps_are_shown(folder):
    shown = call_harness("list", "coverage", folder)
    assert shown.returncode == 0, shown.stderr
    rows = {" ".join(line.split()) for line in shown.stdout.splitlines()}
    assert any(row.endswith("kernel 3x3 1 never") for row in rows), shown.stdout
    assert any(row.endswith("bfloat16 never not run") for row in rows), shown.stdout
    assert "never asked  with anything: C = 1; C = 3;" in shown.stdout
    assert "never asked  C = 8  with  O = 1" not in shown.stdout  # O = 1 was not asked with anything


def test_only_what_is_named_and_all_of_it(folder):
    shown = call_harness("list", "coverage", folder, "--backend", "im2col", "--operator", "conv", "--all")
    assert shown.returncode == 0, shown.stderr
    assert "max_pool" not in shown.stdout
    assert "--all shows" not in shown.stdout


@pytest.mark.parametrize(("words", "wanted"), [
    (["list", "coverage"], "run is missing: `list coverage` got no directory"),
    (["list", "coverage", "nowhere"], "run not found: got 'nowhere'"),
    (["list", "laws", "RUN"], "RUN belongs to `list coverage`, got it with `list laws`"),
])  # fmt: skip
def test_what_cannot_be_is_one_line(words, wanted):
    shown = call_harness(*words)
    assert shown.returncode == 2
    assert wanted in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("backends", "operators", "law", "wanted"), [
    (("torhc",), (), None, "unknown backend of the run: got 'torhc', wanted one of im2col"),
    ((), ("conf",), None, "unknown operator: got 'conf', .* did you mean 'conv'?"),
    ((), ("avg_pool",), None, "unknown operator of the run: got 'avg_pool', wanted one of conv, max_pool"),
    ((), (), "no-law", "unknown law of the run: got 'no-law', wanted one of agrees-with-reference"),
])  # fmt: skip
def test_a_name_that_the_run_does_not_have_is_told(folder, backends, operators, law, wanted):
    with pytest.raises(UsageError, match=wanted):
        choose(read_run(folder), backends, operators, law)


def test_a_run_of_networks_alone_has_nothing_to_count():
    run = make_run(result("mine", "", "network lenet5 forward", "passed", None))
    with pytest.raises(UsageError, match="which has no cell of an operator"):
        choose(run, (), (), None)


def test_names_that_the_run_has_apart_and_not_together_are_told():
    run = make_run(
        result("one", "law", LINES[0], "passed", None), result("two", "law", LINES[1], "passed", None),
    )  # fmt: skip
    with pytest.raises(UsageError, match="is of all that was named"):
        choose(run, ("one",), ("max_pool",), None)
