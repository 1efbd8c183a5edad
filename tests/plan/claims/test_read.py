"""Files of claims: what a row may say, and one clear line for what it may not."""

import datetime
import re

import pytest

from harness.capture.workload import name_problems
from harness.errors import UsageError
from harness.machine.files import MOST_BYTES
from harness.plan.catalog import Catalog
from harness.plan.claims import read
from harness.plan.claims.check import check_names, find_stale, load_claims
from harness.plan.claims.facts import WINDOWS, matches, read_facts
from harness.plan.claims.read import read_claims
from harness.plan.claims.rows import Scope
from harness.plan.planner import plan_run
from harness.plugins.manager import load_plugins

PROMISE = '[[promise]]\nbackend = "mine"\noperators = ["conv"]\n'
FAULT = {
    "backend": '"mine"', "law": '"tap-probe"', "problems": '["conv *dtype=float16*"]', "outcome": '"failed"',
    "diagnosis": '"*got the wanted value negated*"', "reason": '"sign"', "link": '"https://example.org/1"',
    "expires": "2027-03-31",
}  # fmt: skip


def write_fault(**changes):
    """A row; a value None leaves its key out."""
    fields = {name: value for name, value in (FAULT | changes).items() if value is not None}
    return "[[fault]]\n" + "".join(f"{name} = {value}\n" for name, value in fields.items())


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "harness-claims.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_claims(path)

    return load


def test_every_field_is_read(load):
    claims = load(
        'format = 1\n[[promise]]\nbackend = "mine"\noperators = ["conv", "max_pool"]\ndtypes = ["float16"]\n'
        'layouts = ["channels-last"]\naxes = [2, 3]\nwindows = ["pad", "stride"]\nderived = true\nnote = "n"\n'
        + write_fault(worst="12.5", strict="true")
    )
    (promise,), (fault,) = claims.promises, claims.faults
    assert promise.scope == Scope(
        backend="mine", operators=("conv", "max_pool"), dtypes=("float16",), layouts=("channels-last",), axes=(2, 3),
        windows=("stride", "pad"),
    )  # fmt: skip
    assert (promise.derived, promise.note) == (True, "n")
    assert fault.expires == datetime.date(2027, 3, 31)
    assert (fault.worst, fault.strict, fault.law, fault.outcome) == (12.5, True, "tap-probe", "failed")
    assert not fault.is_expired(datetime.date(2027, 3, 31))
    assert fault.is_expired(datetime.date(2027, 4, 1))
    assert fault.is_expired(None)


def test_a_line_in_any_order_of_its_fields_is_made_canonical(load):
    claims = load(write_fault(problems='["conv x=1x2x9x9 dtype=float16 w=3x2x3x3 stride=2", "network lenet5 step"]'))
    assert claims.faults[0].scope.problems == (
        "conv x=1x2x9x9 w=3x2x3x3 stride=2,2 dtype=float16", "network lenet5 step",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got no row, wanted [[promise]] and [[fault]]"),
        ("x = [", "is no TOML"),
        (b"\xff", "is no TOML"),
        ("a = " + "[" * 5000, "is no TOML"),
        ("a = " + "9" * 5000, "is no TOML"),
        ("a." * 900_000 + "a = 1", "has a key of more than 64 parts"),
        ('x = {"a"' + " . 'a'" * 300_000 + " = 1}", "has a key of more than 64 parts"),
        ("[[promises]]", "key: got 'promises', wanted one of format, promise, fault; did you mean 'promise'?"),
        ("promise = 3", "promise: got 3, wanted rows that begin with [[promise]]"),
        ("fault = [1]", "fault: got [1], wanted rows that begin with [[fault]]"),
        ("format = 2\n" + PROMISE, "format: got 2, wanted 1; a newer harness"),
        ("format = true\n" + PROMISE, "format: got True, wanted 1"),
        ('[[promise]]\noperators = ["conv"]', "promise 1: got no backend, wanted one in every row"),
        ('[[promise]]\nbackend = "a b"\noperators = ["conv"]', "promise 1: backend: got 'a b', wanted one word"),
        ('[[promise]]\nbackend = "mine"', "promise 1: got neither operators nor problems"),
        (PROMISE + 'dtype = ["float16"]', "promise 1: key: got 'dtype', wanted one of backend"),
        (PROMISE + 'dtype = ["float16"]', "did you mean 'dtypes'?"),
        (PROMISE + 'dtypes = ["float61"]', "dtypes: got 'float61', wanted one of float64"),
        (PROMISE + 'dtypes = ["bfloat61"]', "did you mean 'bfloat16'?"),
        (PROMISE + 'dtypes = "float16"', "dtypes: got 'float16', wanted a list of texts"),
        (PROMISE + "dtypes = []", "dtypes: got [], wanted a list of texts, or no dtypes"),
        (PROMISE + 'layouts = ["NHWC"]', "layouts: got 'NHWC', wanted one of channels-first, channels-last"),
        (PROMISE + "axes = [4]", "axes: got [4], wanted numbers out of 1, 2 and 3"),
        (PROMISE + "axes = [true]", "axes: got [True], wanted numbers"),
        (PROMISE + 'windows = ["strided"]', "did you mean 'stride'?"),
        (PROMISE + "derived = 1", "derived: got 1, wanted true or false"),
        (PROMISE.replace('"conv"', '"cnov"'), "operators: got 'cnov', wanted one of conv,"),
        (PROMISE + 'problems = ["cnov *"]', "operator: got 'cnov', wanted one of conv"),
        (PROMISE + 'problems = ["conv x=0"]', "impossible geometry"),
        (PROMISE + 'problems = ["conv x=1x2x9 w=3x2x3 strid=2"]', "problem line, column 22"),
        (PROMISE + 'problems = ["*dtype=float32*"]', "wanted it without dtype=float32"),
        (PROMISE + 'problems = ["*dtype=float32*"]', 'write dtypes = ["float32"]'),
        (PROMISE + 'problems = ["* math=ieee"]', "wanted it without math=ieee"),
        (PROMISE + write_fault(law=None), "fault 1: got no law, wanted backend, law, outcome"),
        (write_fault(law='"*"'), "law: got '*', wanted the name of one law"),
        (write_fault(law='""'), "law: got '', wanted one word"),
        (write_fault(problems=None), "fault 1: got no problems, which would excuse all of them"),
        (write_fault(problems='["*"]'), "problems: got '*', which is every problem"),
        (write_fault(problems='[" ** "]'), "which is every problem"),
        (write_fault(outcome='"passed"'), "outcome: got 'passed', wanted one of failed, error, crashed, timeout"),
        (write_fault(outcome='"fialed"'), "did you mean 'failed'?"),
        (write_fault(diagnosis='"*"'), "diagnosis: got '*', which excuses other faults too, wanted at least 8"),
        (write_fault(diagnosis='"*got*"'), "diagnosis: got '*got*', which excuses other faults too"),
        (write_fault(diagnosis='" "'), "diagnosis: got an empty text"),
        (write_fault(worst="0.5"), "worst: got 0.5, wanted a number of at least 1"),
        (write_fault(worst="nan"), "worst: got nan, wanted a number of at least 1"),
        (write_fault(worst="true"), "worst: got True, wanted a number of at least 1"),
        (write_fault(reason='""'), "reason: got an empty text"),
        (write_fault(link='"later"'), "link: got 'later', wanted the address of a report"),
        (write_fault(expires='"2027-03-31"'), "expires: got '2027-03-31', wanted a date without quotes"),
        (write_fault(expires="2027-02-30"), "is no TOML"),
        (write_fault(expires="2027-03-31T00:00:00"), "wanted a date without quotes"),
        (write_fault(expires="7"), "expires: got 7, wanted a date"),
    ],
)
def test_what_cannot_be_used_is_one_clear_line(load, text, message):
    with pytest.raises(UsageError, match=re.escape(message)) as told:
        load(text)
    assert "\n" not in str(told.value)
    assert "harness-claims.toml" in str(told.value)


def test_a_file_that_is_missing_a_folder_or_too_large_is_one_clear_line(tmp_path, load, monkeypatch):
    with pytest.raises(UsageError, match=r"which does not exist, wanted a file .*; `python -m harness claims observe"):
        read_claims(tmp_path / "nothing.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_claims(tmp_path)
    assert read.MOST_BYTES < MOST_BYTES
    with pytest.raises(UsageError, match="more than 2 MiB"):
        load("#" * (read.MOST_BYTES + 1))
    monkeypatch.setattr(read, "MOST_ROWS", 2)
    with pytest.raises(UsageError, match="got 3 rows, wanted at most 2"):
        load(PROMISE * 3)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a", "a", True), ("a", "ab", False), ("*", "", True), ("a*", "ab", True), ("*b", "ab", True),
        ("a*b", "ab", True), ("ab*ba", "aba", False), ("a*b*c", "axxbyyc", True), ("a*c*b", "axxbyyc", False),
        ("y[0*", "y[0, 1]", True), ("*[a-z]*", "b", False), ("a?", "ab", False), ("*aa*aa*", "aaa", False),
        ("*a*" * 500, "a" * 499, False), ("*a" * 2000 + "b", "a" * 10_000, False),
    ],
)  # fmt: skip
def test_only_stars_are_special_in_a_pattern(pattern, text, fits):
    assert matches(pattern, text) == fits


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("conv x=1x2x9 w=3x2x3", ""),
        ("conv x=1x2x9 w=3x2x3 bias stride=2 flip", "bias stride flip"),
        ("conv x=1x2x9 w=3x2x3 pad=1", "pad"),
        ("conv x=1x2x9 w=3x2x3 pad=0:1", "pad uneven-pad"),
        ("conv x=0x2x9 w=3x2x3 math=tf32", "empty tf32"),
        ("conv x=1x2x9 w=4x1x3 groups=2 dilation=2", "dilation groups"),
        ("conv_transpose x=1x2x9 w=2x3x3 stride=2 output_padding=1", "stride output_padding"),
        ("avg_pool x=1x2x9 kernel=3 stride=2 ceil exclude_pad", "stride ceil exclude_pad"),
    ],
)
def test_words_of_windows_are_those_of_the_line(line, words):
    assert read_facts(line).windows == set(words.split())
    assert read_facts(line).windows <= set(WINDOWS)


def test_a_scope_covers_what_it_says():
    scope = Scope(backend="mine", operators=("conv",), dtypes=("float32",), axes=(1,), windows=("pad", "stride"))
    assert scope.covers("conv x=1x2x9 w=3x2x3")
    assert scope.covers("conv x=1x2x9 w=3x2x3 stride=2 pad=1")
    for other in (" dilation=2", " dtype=float16"):
        assert not scope.covers("conv x=1x2x9 w=3x2x3" + other)
    assert not scope.covers("conv x=1x2x9x9 w=3x2x3x3")
    assert not scope.covers("max_pool x=1x2x9 kernel=3")
    assert not scope.covers("network lenet5 step")
    assert not scope.covers("no line at all")
    assert Scope(backend="mine", problems=("network *",)).covers("network lenet5 step")
    assert not Scope(backend="mine", windows=()).covers("conv x=1x2x9 w=3x2x3 pad=1")
    assert scope.is_about("mine", "mine@set:A=1") and not scope.is_about("other", "other")
    assert Scope(backend="mine@set:A=1").is_about("mine", "mine@set:A=1")


def test_names_that_no_plugin_brings_are_refused_with_the_nearest(load, tmp_path):
    registry = load_plugins()
    with pytest.raises(UsageError, match=r"promise 1: unknown backend: got 'im2cl'.*did you mean 'im2col'\?"):
        load_claims_of(load, PROMISE.replace("mine", "im2cl"), registry)
    with pytest.raises(UsageError, match=r"fault 1: unknown law: got 'tap-prob'.*did you mean 'tap-probe'\?"):
        load_claims_of(load, write_fault(backend='"im2col"', law='"tap-prob"'), registry)
    with pytest.raises(UsageError, match="promise 1: backend: "):
        load_claims_of(load, PROMISE.replace("mine", "im2col@set:1=2"), registry)
    good = PROMISE.replace("mine", "im2col@set:A=1") + write_fault(backend='"im2col"', law='"time"')
    load_claims_of(load, good, registry)
    (tmp_path / "harness-claims.toml").write_text(good)
    assert isinstance(registry, Catalog)
    assert len(load_claims(tmp_path / "harness-claims.toml", registry).faults) == 1


def load_claims_of(load, text, registry):
    check_names(load(text), registry.backends, registry.laws)


def test_rows_that_match_no_cell_of_a_plan_are_stale(load):
    registry = load_plugins()
    claims = load(
        PROMISE.replace("mine", "im2col")
        + PROMISE.replace("mine", "fft")
        + PROMISE.replace("mine", "im2col") + 'windows = []\ndtypes = ["float16"]\n'
        + write_fault(backend='"im2col"', problems='["conv *stride=2*"]')
        + write_fault(backend='"im2col"', problems='["conv *stride=3*"]')
        + write_fault(backend='"im2col"', problems='["conv *stride=2*"]', law='"time"')
    )  # fmt: skip
    problems = name_problems(["conv x=1x2x9 w=3x2x3 stride=2 data=integer"])
    plan = plan_run(registry, ["correctness"], ["im2col"], problems, ["tap-probe"])
    assert find_stale(claims, plan.cells) == ("promise 2", "promise 3", "fault 2", "fault 3")
