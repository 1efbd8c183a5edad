"""Types of arrays: one place names them all, and no argument that holds an array is left without a type."""

import ast

import pytest

from harness import problems
from harness.problems import arrays as home
from tests.annotations import list_annotations, list_names
from tests.conftest import SOURCES

PACKAGES = ("harness", "backends", "suites", "reports")
HELD = {"a", "array", "arrays", "b", "db", "devices", "dw", "dx", "dy", "indices", "like", "w", "x", "y"}
NUMPY = {"NDArray", "np.ndarray", "ndarray", "numpy.ndarray"}


def find_aliases(tree):
    """Yield the line and the text of each name for a type of arrays, or for any type at all."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        if isinstance(node, ast.AnnAssign) and not ast.unparse(node.annotation).endswith("TypeAlias"):
            continue
        value = node.value
        base = ast.unparse(value.value if isinstance(value, ast.Subscript) else value)
        if base in {*NUMPY, "Any", "typing.Any"}:
            yield node.lineno, ast.unparse(node)


def find_copies(tree, named):
    """Yield the line and the text of each NumPy type that has a name in `named`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node) in named:
            yield node.lineno, ast.unparse(node)


def find_untyped(tree):
    """Yield the line and the text of each argument or field that is named as an array and may be anything."""
    for line, name, annotation in list_annotations(tree):
        if name in HELD and "Any" in list_names(annotation):
            yield line, f"{name}: {ast.unparse(annotation)}"


def _named():
    tree = ast.parse((SOURCES / "harness" / "problems" / "arrays.py").read_text())
    return {text.partition(" = ")[2] for _, text in find_aliases(tree)} - {"Any"}


@pytest.mark.parametrize("package", PACKAGES)
def test_types_of_arrays_have_one_name_in_one_place(package):
    named = _named()
    assert "NDArray[Any]" in named
    for path in (SOURCES / package).rglob("*.py"):
        if path == SOURCES / "harness" / "problems" / "arrays.py":
            continue
        tree = ast.parse(path.read_text())
        found = [*find_aliases(tree), *find_copies(tree, named), *find_untyped(tree)]
        assert not found, f"{path}: {found}; harness/problems/arrays.py has names for types of arrays"


@pytest.mark.parametrize(
    "text",
    [
        "Array = NDArray[Any]", "Array: TypeAlias = NDArray[np.float32]", "Tensor = Any", "Wide = np.ndarray",
        "if TYPE_CHECKING:\n    Array: TypeAlias = NDArray[np.float64]",
    ],
)  # fmt: skip
def test_a_second_alias_is_found(text):
    assert list(find_aliases(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["def f(x: Any): ...", "def f(*, arrays: Mapping[str, Any]): ...", "class C:\n    w: Any | None"]
)
def test_an_array_of_any_type_is_found(text):
    assert list(find_untyped(ast.parse(text)))


def test_a_copy_of_a_named_type_is_found():
    assert list(find_copies(ast.parse("def f(p: NDArray[np.float64]): ..."), _named()))
    assert not list(find_copies(ast.parse("table: NDArray[np.int8]"), _named()))


def test_plugins_get_the_same_names():
    for name in ("Array", "Call", "DeviceArray", "DeviceArrays", "Namespace", "Outputs"):
        assert getattr(problems, name) is getattr(home, name)
