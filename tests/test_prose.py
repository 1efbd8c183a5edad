"""Docstrings and comments are plain technical English (docs/style.md), in the rooms that have been revised."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from harness import Backend, Operator
from tests.conftest import ROOT
from tests.test_docs import TEXTS

# Revised rooms: folders with all that is below them, or files. The list grows until it holds all four packages.
DONE = (
    "harness/machine", "harness/measure", "harness/networks", "harness/generate", "harness/capture", "harness/record",
    "harness/analysis", "harness/api", "harness/cli", "harness/worker", "harness/execution", "harness/problems",
    "harness/laws", "harness/plan",
    "harness/plugins", "harness/gating", "harness/experiments", "harness/pytest_plugin", "harness/backend",
    "harness/__init__.py", "harness/__main__.py", "harness/git.py", "harness/errors.py", "harness/exit_codes.py",
    "harness/lazy.py", "reports", "suites", "backends",
)  # fmt: skip
PACKAGES = ("harness", "backends", "suites", "reports")
CLAUSE = re.compile(
    r"(What|Whether|Where|Why|How|Who|Whoever|Whose|Which|When|The (one|ones|same) (that|which|as|of|by))\b"
)
DIALECT = re.compile(
    r"\b(whoever|whosoever|nobody|somebody|those (that|which|who|whose)|hand(s|ed|ing)? (\w+ )?over|beside|one's own|"
    r"as it lies|goes? round|but for|gives|(do|does) not (tell|say))\b",
    re.IGNORECASE,
)  # fmt: skip
DOCUMENT_DIALECT = re.compile(
    r"\b(whoever|whosoever|nobody|somebody|anybody|those\s+(that|which|who|whose)|hand(s|ed|ing)? (\w+ )?over|beside|"
    r"one's own|as it lies|but for)\b",
    re.IGNORECASE,
)
MANY = 3  # parameters, from which on a public function describes them


def _docstrings(tree):
    """Line, docstring, for a node with a docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def _comments(source):
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _undescribed(tree):
    """Line, function and parameter of public functions with MANY parameters, of which no docstring tells.

    A parameter may be described by the function, by its class, or by its module, where many functions share it. A
    command is described to its user: by `help` of its options, see `_unhelpful`. `harness.Backend` describes the
    parameters of operators, and `harness.law` those of laws, whose docstring is their formula.
    """
    for scope in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")):
        for node in scope.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name[0] == "_":
                continue
            if _is_command(node) or _is_law(node):
                continue
            told = " ".join(ast.get_docstring(place) or "" for place in (tree, scope, node))
            if node.name.removesuffix("_by_loops") in list(Operator):
                told += f" {Backend.__doc__}"
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            names = [one.arg for one in arguments if one.arg not in ("self", "cls")]
            if len(names) >= MANY:
                yield from (
                    (node.lineno, node.name, name) for name in names if not re.search(rf"\b{re.escape(name)}\b", told)
                )


def _calls_decorating(node):
    """Names of the functions, without their modules, that are called to decorate a function."""
    return {ast.unparse(one.func).rpartition(".")[2] for one in node.decorator_list if isinstance(one, ast.Call)}


def _is_command(node):
    """Return True for a command of click, whose docstring is its help text."""
    return "command" in _calls_decorating(node)


def _is_law(node):
    """Return True for a law, whose docstring is its formula."""
    return not _calls_decorating(node).isdisjoint({"law", "network_law"})


def _unhelpful(tree):
    """Line and first name of options of click without a help text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "click.option":
            texts = [one.value for one in node.keywords if one.arg == "help"]
            if not texts or (isinstance(texts[0], ast.Constant) and not texts[0].value):
                yield node.lineno, ast.unparse(node.args[0])


def find_words_of_code(source, path):
    """Faults in the words of a file's docstrings and comments, as lines to read."""
    tree = ast.parse(source)
    found = []
    for line, text in _docstrings(tree):
        if clause := CLAUSE.match(text):
            found.append(f"{path}:{line} begins with '{clause[0]}', wanted a verb or a noun phrase")
        found += [f"{path}:{line} docstring has '{hit[0]}'" for hit in DIALECT.finditer(text)]
    for line, text in _comments(source):
        found += [f"{path}:{line} comment has '{hit[0]}'" for hit in DIALECT.finditer(text)]
    return found


def find_faults(source, path):
    """Faults of a file's prose, as lines to read."""
    tree = ast.parse(source)
    found = find_words_of_code(source, path)
    found += [f"{path}:{line} {function} does not describe '{name}'" for line, function, name in _undescribed(tree)]
    found += [f"{path}:{line} option {name} has no help" for line, name in _unhelpful(tree)]
    return found


def _files(place):
    path = ROOT / place
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]


@pytest.mark.parametrize("place", DONE)
def test_prose_is_plain(place):
    files = _files(place)
    assert files and Path(place).parts[0] in PACKAGES
    found = [fault for path in files for fault in find_faults(path.read_text(), path.relative_to(ROOT))]
    assert not found, "see docs/style.md:\n" + "\n".join(found)


@pytest.mark.parametrize("place", ["tests", "examples", ".ci"])
def test_words_of_tests_and_tools_are_plain(place):
    files = _files(place)
    assert files
    found = [fault for path in files for fault in find_words_of_code(path.read_text(), path.relative_to(ROOT))]
    assert not found, "see docs/style.md:\n" + "\n".join(found)


def find_words(text):
    """Words of a document, outside of code and quotations, that docs/style.md excludes."""
    text = re.sub(r'```.*?```|`[^`]*`|"[^"]*"', " ", text, flags=re.DOTALL)
    return [hit[0] for hit in DOCUMENT_DIALECT.finditer(text)]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_documents_are_plain(path):
    assert find_words(path.read_text()) == []


def test_words_of_documents_are_found():
    assert find_words("Whoever asks.") == ["Whoever"]
    assert find_words("A file\nbeside it, and those that\nwait.") == ["beside", "those that"]
    assert find_words('`beside` ```\nnobody\n``` not "beside"; - before: "nobody\nwaits"\n') == []


GOOD = '''"""Clocks of timed regions."""


class Clock:
    """A clock; synchronize: waits for the device."""

    def time(self, run, warm, synchronize):
        """Return the time of `run` in ns.

        warm: number of untimed calls.
        """


def is_late(now):
    """Return True if it is late."""


def _mix(a, b, c):
    """Mean of the three."""


@click.command("read")
@click.option("--zone", help="Time zone.")
def read(clock, zone, output):
    """Read CLOCK."""


class Quick(Backend):
    """A backend."""

    def avg_pool(self, x, w, window):
        """Pool by running sums."""


@harness.law(tolerance="exact")
def pooling_is_linear(subject, problem, scale):
    """f(2 x) = 2 f(x)"""
'''


def test_plain_prose_has_no_faults():
    assert find_faults(GOOD, "clocks.py") == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Clocks of", "What clocks there are in", "clocks.py:1 begins with 'What'"),
        ("Return True if", "Whether", "clocks.py:15 begins with 'Whether'"),
        ("Return True if", "The one that says whether", "clocks.py:15 begins with 'The one that'"),
        ("A clock;", "Whoever is timed;", "clocks.py:5 begins with 'Whoever'"),
        ("number of", "nobody times", "clocks.py:8 docstring has 'nobody'"),
        ("number of", "made by those that are not", "clocks.py:8 docstring has 'those that'"),
        ("number of", "they hand it over in", "clocks.py:8 docstring has 'hand it over'"),
        ("number of", "on a machine of one's own,", "clocks.py:8 docstring has 'one's own'"),
        ("Mean of the three", "Gives the mean beside a", "clocks.py:19 docstring has 'beside'"),
        ("def _mix", "# as it lies\ndef _mix", "clocks.py:18 comment has 'as it lies'"),
        ("warm: number", "Number", "clocks.py:7 time does not describe 'warm'"),
        ("A clock; synchronize:", "A clock:", "clocks.py:7 time does not describe 'synchronize'"),
        ("is_late(now)", "is_late(now, then, never)", "clocks.py:14 is_late does not describe 'never'"),
        (', help="Time zone."', "", "clocks.py:23 option '--zone' has no help"),
        ("Time zone.", "", "clocks.py:23 option '--zone' has no help"),
        ('click.command("read")', "cache", "clocks.py:24 read does not describe 'clock'"),
        ("def avg_pool", "def pool", "clocks.py:31 pool does not describe 'window'"),
        ("self, x, w, window", "self, x, w, weights", "clocks.py:31 avg_pool does not describe 'weights'"),
        ("harness.law(", "harness.memo(", "clocks.py:36 pooling_is_linear does not describe 'scale'"),
    ],
)
def test_faults_are_found(old, new, fault):
    assert GOOD.count(old) == 1
    found = find_faults(GOOD.replace(old, new), "clocks.py")
    assert any(line.startswith(fault) for line in found), found


def test_pairs_of_the_guide_are_real():
    """The second text of each pair in docs/style.md stands in the file that the pair names."""
    pairs = re.findall(
        r"^\d+\. `([^`]+)`.*?\n\s+- before: \"(.*?)\"\n\s+- after: \"(.*?)\"\n\s+- why: ",
        (ROOT / "docs" / "style.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert len(pairs) == 10
    for path, before, after in pairs:
        code = " ".join((ROOT / path).read_text().split())
        assert " ".join(after.split()) in code, path
        assert " ".join(before.split()) not in code, path
