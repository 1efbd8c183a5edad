"""Closed vocabularies: a value that is no word of its field is refused where it is given, and the fields are typed."""

import ast
from enum import StrEnum
from typing import get_args

import pytest

import harness
from harness import GeometryError, NetworkProblem, Numerics, Problem, Suite, Timing, UsageError, parse_line
from harness.errors import HarnessError
from harness.laws.deviation import Deviation
from harness.networks.problem import parse_network, split_line
from harness.plan import KnownBug
from harness.problems.numerics import DTYPES, MATHS, Dtype, Math
from harness.problems.problem import LAYOUTS, REGIMES, WORDS, Layout, Regime
from harness.problems.validation import read_word
from harness.record.run import Result
from tests.annotations import list_annotations, list_names
from tests.conftest import SOURCES
from tests.networks.small import NETWORKS

LINE = "conv x=1x2x9 w=3x2x3 pad=1"
GOOD = parse_line(LINE)
WRONG = {"dtype": "float8", "math": "fast", "layout": "NHWC", "data": "random"}


def _make(**changes):
    return Problem(operator=GOOD.operator, x=GOOD.x, w=GOOD.w, window=GOOD.window, **changes)


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_a_wrong_word_is_refused_with_what_was_got_and_wanted(name, value):
    for make in (
        lambda: _make(**{name: value}),
        lambda: GOOD.with_(**{name: value}),
        lambda: parse_line(f"{LINE} {name}={value}"),
    ):
        with pytest.raises(GeometryError) as caught:
            make()
        assert f"unknown {name}: got '{value}', wanted one of {', '.join(WORDS[name])}" in str(caught.value)


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("value", [None, 3, ["float32"], b"float32", float])
def test_a_word_of_another_type_is_refused(name, value):
    with pytest.raises(UsageError, match=f"unknown {name}: got .* wanted one of"):
        _make(**{name: value})


def test_a_text_of_another_class_becomes_a_plain_one():
    class Mine(StrEnum):
        last = "channels-last"
        whole = "integer"

    problem = _make(layout=Mine.last, data=Mine.whole)
    assert type(problem.layout) is type(problem.data) is str
    assert problem == parse_line(f"{LINE} layout=channels-last data=integer") and "integer" in repr(problem)


def test_the_words_are_those_of_the_types():
    assert {"dtype": Dtype, "math": Math, "layout": Layout, "data": Regime}.keys() == WORDS.keys()
    for allowed, words in ((DTYPES, Dtype), (MATHS, Math), (LAYOUTS, Layout), (REGIMES, Regime)):
        assert allowed == get_args(words)
    assert read_word("dtype", "float16", DTYPES) == "float16"


def test_networks_refuse_wrong_words():
    with pytest.raises(GeometryError, match="unknown work: got 'backward', wanted one of forward, step"):
        NetworkProblem(architecture=NETWORKS["smooth"], work="backward")
    with pytest.raises(GeometryError, match="unknown dtype: got 'float8'"):
        NetworkProblem(architecture=NETWORKS["smooth"], work="step", dtype="float8")
    with pytest.raises(HarnessError, match="wanted 'network NAME forward'"):
        parse_network("network smooth backward", NETWORKS)
    with pytest.raises(GeometryError, match="unknown work"):
        split_line("network smooth backward n=2")


def _bug(**changes):
    given = {"project": "a/b", "title": "t", "backends": ("x",), "lines": (), "laws": (), "see": "s", "seen": "1"}
    return KnownBug(**given | changes)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Timing(mode="warm"), "unknown Timing mode: got 'warm', wanted one of cold, hot"),
        (lambda: Suite(name="s", kind="fast", description="d"), "unknown kind of suite 's': got 'fast'"),
        (lambda: Numerics(ties="both"), "unknown Numerics ties: got 'both', wanted one of first, last"),
        (lambda: Numerics(rounds_input_to="bf16"), "rounds_input_to: got 'bf16', wanted one of"),
        (lambda: Deviation(kind="close", worst=0.0, compared=1), "unknown kind of Deviation: got 'close'"),
        (lambda: _bug(shows=("fails",)), "known bug 'a/b:', shows: got 'fails', wanted one of crashed, error"),
        (lambda: _bug(shows="failed"), "known bug 'a/b:', shows: got 'failed', wanted a tuple"),
        (lambda: harness.run("known-bugs", depth="deep"), "unknown depth: got 'deep', wanted one of default, full"),
        (
            lambda: harness.versus("fft", "im2col", mode="warm"),
            "of the caches: got 'warm', wanted one of cold, hot",
        ),
        (lambda: harness.gate("HEAD", build="maybe"), "unknown build: got 'maybe', wanted one of always, auto, never"),
    ],
)
def test_a_wrong_word_is_refused_at_once(make, text):
    with pytest.raises(UsageError) as caught:
        make()
    assert text in str(caught.value)


def test_a_list_of_outcomes_of_a_known_bug_is_converted():
    assert _bug(shows=["failed", "error"]).shows == ("failed", "error")


# --- the types ---------------------------------------------------------------------------------------------------

CLOSED = {"dtype", "dtypes", "math", "maths", "layout", "regime", "regimes", "mode", "role", "outcome", "ties",
          "nan_index", "signed_zeros", "depth", "work"}  # fmt: skip
# What reads stored tables and texts of users, whose words are whatever stands there, and the options of other programs:
OPEN = {
    "harness/analysis/rows.py": {"dtype"},
    "reports/rows.py": {"dtype"},
    "harness/analysis/tables.py": {"dtype"},
    "harness/analysis/history/store.py": {"mode"},  # an expression of SQL
    "harness/capture/torch_model.py": {"dtype"},  # any of torch
    "harness/cli/capture.py": {"dtype"},
    "harness/cli/fuzz.py": {"dtypes"},
    "harness/api/fuzzing.py": {"dtypes"},
    "harness/experiments/fuzz_session.py": {"dtypes"},
    "harness/measure/peak.py": {"dtype"},  # of the library that multiplies
    "harness/worker/wire/arena.py": {"dtype"},  # of NumPy
    "harness/worker/wire/messages.py": {"dtype"},  # of the backend's library
    "reports/figures.py": {"layout"},  # of Plotly
}


def find_plain(tree):
    """Yield the name and the annotation of fields and arguments of a closed vocabulary that are any text."""
    for _, name, annotation in list_annotations(tree):
        if name in CLOSED and "str" in list_names(annotation):
            yield name, ast.unparse(annotation)


@pytest.mark.parametrize("package", ["harness", "backends", "suites", "reports"])
def test_fields_of_closed_vocabularies_have_their_types(package):
    for path in (SOURCES / package).rglob("*.py"):
        allowed = OPEN.get(str(path.relative_to(SOURCES)), set())
        found = [one for one in find_plain(ast.parse(path.read_text())) if one[0] not in allowed]
        assert not found, f"{path}: {found}, wanted types such as Dtype, Layout, Mode, Outcome, Role or Work"


@pytest.mark.parametrize(
    "text", ["def f(dtype: str): ...", "class C:\n    mode: str = 'hot'", "regimes: tuple[str, ...]"]
)
def test_a_plain_text_is_found(text):
    assert list(find_plain(ast.parse(text)))


def test_results_hold_words():
    fields = Result.__dataclass_fields__
    assert [fields[name].type for name in ("kind", "outcome", "role")] == ["CellKind", "Outcome", "Role"]
