import pickle
import sys
from pathlib import Path

import pytest

from harness import UsageError
from harness.plugins import hookspecs
from harness.plugins.manager import BUILTIN, load_plugins

SMALL = """
import harness

class Mine(harness.Backend):
    name = "mine"

    def conv(self, x, w, b, window):
        return x

@harness.hookimpl
def register_backends(register):
    register(Mine())
"""


SUITE = """
import harness

def problems():
    return (harness.NamedProblem(name="p", problem=harness.parse_line("conv x=1x2x9 w=3x2x3")),)

@harness.hookimpl
def register_suites(register):
    register(harness.Suite(name="mine", kind="speed", description="", problems=problems))
"""


def _row(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    registry = load_plugins([str(path)])
    (row,) = [row for row in registry.rows if row.name == str(path)]
    return registry, row


def test_the_smallest_plugin_registers_a_backend(tmp_path):
    registry, row = _row(tmp_path, SMALL)
    assert (row.state, row.backends) == ("loaded", ("mine",))
    assert registry.backend("mine").name == "mine"


def test_every_built_in_plugin_loads():
    assert {row.name: row.reason for row in load_plugins().rows if row.origin == "built-in" and row.reason} == {}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemExit('gone')", "SystemExit: gone"),
        ("x = 1", "no hook found"),
        (SMALL.replace("def register_backends", "def register_backend"), "register_backend"),
        (SMALL.replace("register_backends(register)", "register_backends(registry)"), "registry"),
        (SMALL.replace("register(Mine())", "register(Mine)"), "wanted an instance of a subclass of harness.Backend"),
        (SMALL.replace('"mine"', '"torch"'), "the name 'torch' is taken among backends"),
        (SMALL.replace('"mine"', '"my own"'), "wanted a word without blanks"),
        (SMALL.replace("def conv", "def convolve"), "has no operator"),
        (SMALL.replace("def conv", "def convolve"), "convolve is none, did you mean conv?"),
        (SMALL.replace("register(Mine())", "raise KeyError('late')"), "KeyError: 'late'"),
        (
            SMALL.replace("    def conv", "    axes = (2)\n\n    def conv"),
            "backend 'mine', axes: got 2, wanted a tuple",
        ),
        (
            SMALL.replace("def conv", "def avgpool(self, x, window):\n        return x\n\n    def conv"),
            "wanted avg_pool",
        ),
        (SUITE.replace('"speed"', '"sped"'), "unknown kind of suite 'mine': got 'sped'"),
        (SUITE.replace("problems=problems", "problems=problems()"), "suite 'mine', problems: got ("),
        (SUITE.replace("problems=problems", "laws='tap-probe'"), "suite 'mine', laws: got 'tap-probe', wanted a tuple"),
        (SUITE.replace("harness.Suite(", "dict("), "register_suites: got {'name': 'mine'"),
    ],
)
def test_a_broken_plugin_is_a_row_with_its_reason(tmp_path, text, reason):
    registry, row = _row(tmp_path, text)
    assert row.state == "broken"
    assert reason in row.reason
    assert "\n" not in row.reason
    assert "mine" not in registry.backends and "mine" not in registry.suites
    assert {row.state for row in registry.rows if row.origin == "built-in"} == {"loaded"}


def test_the_smallest_suite_loads(tmp_path):
    registry, row = _row(tmp_path, SUITE)
    assert (row.state, row.suites) == ("loaded", ("mine",))
    assert registry.suite("mine").problems()[0].name == "p"


def test_a_plugin_can_be_left_out():
    registry = load_plugins(blocked=["backends.fft"])
    assert "fft" not in registry.backends
    assert [row.state for row in registry.rows if row.name == "backends.fft"] == ["blocked"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"extra": ["./nowhere.py"]}, "plugin file not found: got './nowhere.py'"),
        ({"blocked": ["backends.ftf"]}, "did you mean 'backends.fft'?"),
    ],
)
def test_what_cannot_be_found_is_an_error(arguments, words):
    with pytest.raises(UsageError, match=r".") as caught:
        load_plugins(**arguments)
    assert words in str(caught.value)


def test_only_the_wanted_plugins_are_imported(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SMALL)
    registry = load_plugins([str(path)], only=[str(path)])
    assert set(registry.backends) == {"mine"}
    assert len(registry.rows) == 1


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that installs a package `kernels` with a plugin `mine`, in a folder on the search path."""

    def install(text=SMALL, value="kernels.plugin"):
        site = tmp_path / "site"
        (site / "kernels").mkdir(parents=True)
        (site / "kernels" / "__init__.py").write_text("raise RuntimeError('imported')\n")
        (site / "kernels" / "plugin.py").write_text(text)
        (site / "kernels-1.dist-info").mkdir()
        (site / "kernels-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: kernels\nVersion: 1\n")
        (site / "kernels-1.dist-info" / "entry_points.txt").write_text(f"[harness]\nkernels = {value}\n")
        monkeypatch.syspath_prepend(site)
        return site / "kernels" / "plugin.py"

    return install


def _others(registry):
    return [(row.name, row.origin, row.state) for row in registry.rows if row.origin != "built-in"]


@pytest.mark.parametrize("link", [False, True])
def test_a_file_of_an_entry_point_is_one_plugin_and_is_not_imported_by_another_name(tmp_path, installed, link):
    file = installed()
    given = tmp_path / "link.py" if link else file
    if link:
        given.symlink_to(file)
    registry = load_plugins([str(given)])
    assert _others(registry) == [(str(file), "--plugin", "loaded")]
    assert registry.backend("mine").name == "mine"
    assert _others(load_plugins([str(file)], ["kernels"])) == [
        ("kernels", "entry point", "blocked"), (str(file), "--plugin", "loaded"),
    ]  # fmt: skip


REPLACED = """
import harness

@harness.hookimpl
def register_suites(register):
    register(harness.Suite(name="correctness", kind="correctness", description="nothing", problems=tuple))
"""


def test_an_entry_point_takes_the_place_of_no_built_in_plugin(installed):
    site = installed(REPLACED).parent.parent
    (site / "kernels-1.dist-info" / "entry_points.txt").write_text("[harness]\nsuites.correctness = kernels.plugin\n")
    registry = load_plugins()
    ((name, _, state),) = _others(registry)
    (broken,) = (row.reason for row in registry.rows if row.state == "broken")
    assert (name, state) == ("suites.correctness = kernels.plugin", "broken")
    assert "got the name 'suites.correctness', which is that of a built-in plugin" in broken
    assert registry.suite("correctness").laws


@pytest.mark.parametrize(("value", "clashes"), [("kernels.plugin", 0), ("others", 1)])
def test_two_packages_of_one_plugin_name_are_told(installed, value, clashes):
    folder = installed().parent.parent
    (folder / "others.py").write_text(SMALL)
    info = folder / "others-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[harness]\nkernels = {value}\n")
    said = [row.reason or "" for row in load_plugins().rows]
    assert sum("got the name 'kernels', which is that of the entry point" in one for one in said) == clashes


def test_a_file_and_the_module_of_it_are_one_plugin(tmp_path, monkeypatch):
    (tmp_path / "a_module.py").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    assert _others(load_plugins(["a_module.py", "a_module"])) == [
        (str(tmp_path / "a_module.py"), "--plugin", "loaded")
    ]  # fmt: skip
    assert _others(load_plugins(["a_module", "./a_module.py"])) == [("a_module", "--plugin", "loaded")]


def test_two_files_that_register_one_name_are_an_error_with_both(tmp_path, installed):
    file, other = installed(), tmp_path / "mine.py"
    (file.parent / "__init__.py").write_text("")
    other.write_text(SMALL)
    row = load_plugins([str(other)]).rows[-1]
    assert (row.state, row.name) == ("broken", str(other))
    assert row.reason == (
        f"the name 'mine' is taken among backends by plugin kernels of '{file}', wanted another name in '{other}', or "
        "only one of them (--no-plugin kernels)"
    )
    assert load_plugins([str(other)], ["kernels"]).rows[-1].state == "loaded"


def test_two_files_of_one_stem_are_two_modules(tmp_path):
    paths = [tmp_path / folder / "my.plug-in.py" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        text = SMALL.replace('"mine"', f'"{path.parent.name}"').replace("return x", f"return {path.parent.name!r}")
        path.write_text(f"{text}\n\nclass Settings:\n    of = {path.parent.name!r}\n")
    registry = load_plugins(map(str, paths))
    mine = [registry.backend(name) for name in ("a", "b")]
    assert [one.conv(None, None, None, None) for one in mine] == ["a", "b"]
    modules = [sys.modules[type(one).__module__] for one in mine]
    assert [Path(module.__file__) for module in modules] == paths
    for one, module in zip(mine, modules, strict=True):
        assert type(pickle.loads(pickle.dumps(one))) is type(one)
        assert pickle.loads(pickle.dumps(module.Settings)) is module.Settings and module.Settings.of == one.name


def test_a_file_that_fails_leaves_no_module(tmp_path):
    _, row = _row(tmp_path, "raise ValueError")
    assert row.state == "broken"
    assert not [name for name, one in sys.modules.items() if getattr(one, "__file__", "") == str(tmp_path / "mine.py")]


def test_a_name_that_a_plugin_gives_twice_is_its_own(tmp_path):
    _, row = _row(tmp_path, SMALL.replace("    register(Mine())", "    register(Mine())\n    register(Mine())"))
    assert row.reason == "the name 'mine' is taken among backends by this plugin itself, wanted a new one"


def test_unknown_names_list_the_known_ones(registry):
    for lookup, name in ((registry.backend, "trch"), (registry.suite, "corectness"), (registry.law, "tap-prob")):
        with pytest.raises(UsageError, match="wanted one of") as caught:
            lookup(name)
        assert "did you mean" in str(caught.value)


def test_every_hook_is_documented_with_its_parameters():
    hooks = [value for value in vars(hookspecs).values() if hasattr(value, "harness_spec")]
    assert len(hooks) == 7
    for hook in hooks:
        names = hook.__code__.co_varnames[: hook.__code__.co_argcount]
        assert hook.__doc__
        assert all(f":param {name}:" in hook.__doc__ for name in names)


def test_built_in_plugins_are_named_as_strings():
    assert all(isinstance(name, str) for name in BUILTIN)
