"""Libraries that are no backends are refused when they are loaded, in one line that says what is wanted."""

import pytest

from harness import UsageError
from harness.backend.compiled.backend import load_backend
from harness.backend.compiled.structures import OPERATORS
from harness.backend.declarations import check_backend
from harness.problems.operator import Operator
from tests.backend.compiled.libraries import build, build_copy, needs_compiler

pytestmark = needs_compiler
TABLE = '#include "harness_backend.h"\nconst harness_backend *harness_get_backend(void) { return RESULT; }\n'
STATIC = '#include "harness_backend.h"\nstatic const harness_backend table = {TABLE};\n' + TABLE.split("\n", 1)[1]


def test_every_operator_has_a_function_in_the_table():
    assert set(OPERATORS) == set(Operator)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("int nothing;", "has no function harness_get_backend"),
        (TABLE.replace("RESULT", "0"), "gave NULL"),
        (STATIC.replace("TABLE", ".abi = 2").replace("RESULT", "&table"), "abi: got 2, wanted 1"),
        (STATIC.replace("TABLE", ".abi = 1, .size = 8").replace("RESULT", "&table"), "size: got 8, wanted"),
        (
            STATIC.replace("TABLE", ".abi = 1, .size = sizeof table").replace("RESULT", "&table"),
            "description: got NULL, wanted JSON",
        ),
    ],
)
def test_a_library_that_is_no_backend_is_refused(tmp_path, source, reason):
    with pytest.raises(UsageError, match=reason):
        load_backend(build(tmp_path, source))


def test_a_file_that_is_no_library_is_refused(tmp_path):
    (tmp_path / "mine.so").write_text("no library")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_backend(tmp_path / "mine.so")


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("", "wanted JSON"),
        ("[1]", "wanted a JSON object"),
        ("{}", "name: got None, wanted a word"),
        ('{"name": "my own"}', "name: got 'my own', wanted a word"),
        ('{"name": "a", "dtype": ["float32"]}', "'dtype'.*did you mean 'dtypes'"),
        ('{"name": "a", "numerics": {"algoritm": "fft"}}', "'algoritm'.*did you mean 'algorithm'"),
        ('{"name": "a", "numerics": {"algorithm": "fast"}}', "'fast'"),
        ('{"name": "a", "layouts": ["nhwc"]}', "'nhwc'"),
        ('{"name": "a", "layouts": []}', "layouts: got"),
        ('{"name": "a", "layouts": "channels-last"}', "layouts: got 'channels-last', wanted a list"),
        ('{"name": "a", "versions": {"a": 1}}', "version in the description: got 1, wanted text"),
        ('{"name": "a", "axes": 2}', "axes: got 2, wanted a tuple"),
        ('{"name": "a", "dtypes": ["float33"]}', "'float33'"),
        ('{"name": "a", "rate": "fast"}', "rate: got 'fast'"),
    ],
)
def test_a_wrong_description_is_refused(tmp_path, description, reason):
    with pytest.raises(UsageError, match=reason):
        check_backend(load_backend(build_copy(tmp_path, description=description)))


def test_a_library_without_an_operator_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no operator"):
        check_backend(load_backend(build_copy(tmp_path, operators="")))


def test_a_plan_that_nothing_destroys_is_refused(tmp_path):
    extra = "static const char *plan(const harness_problem *p, const harness_arrays *a, void **at) { return 0; }"
    with pytest.raises(UsageError, match="prepare and destroy: got one of them"):
        load_backend(build_copy(tmp_path, extra=extra, members=".prepare = plan"))


def test_what_a_library_describes_is_declared(tmp_path):
    text = (
        '{"name": "all", "axes": [2], "dtypes": ["float16"], "layouts": ["channels-last"], "grouped": false, '
        '"rate": 5e9, "numerics": {"algorithm": "winograd", "tile": 4}, "listed": false, "versions": {"all": "1.2"}}'
    )
    backend = load_backend(build_copy(tmp_path, description=text))
    check_backend(backend)
    assert (backend.name, backend.axes, backend.dtypes, backend.grouped) == ("all", (2,), ("float16",), False)
    assert (backend.rate, backend.numerics.tile, backend.listed) == (5e9, 4, False)
    assert backend.versions() == {"all": "1.2"}
    assert not hasattr(backend, "max_pool")
    assert not hasattr(backend, "set_threads")
