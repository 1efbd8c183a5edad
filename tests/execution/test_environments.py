"""Environments of arms: what is measured comes from there, what measures from here, and nothing is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import harness
from harness.errors import UsageError
from harness.execution.environments import open_places
from harness.plan.arm import HERE, Environment

PACKAGE = Path(harness.__file__).resolve().parent
V1, V2 = Environment(revision="v1"), Environment(revision="v2")
PLUGIN = """
import harness

class Mine(harness.Backend):
    name = "mine"

    def conv_bias_grad(self, dy):
        return dy.sum(axis=(0, *range(2, dy.ndim)))

    def versions(self):
        return {{"mine": "{version}"}}

@harness.hookimpl
def register_backends(register):
    register(Mine())
"""
FOREIGN = "raise SystemExit('the instrument of the revision')"
FILES = {
    "backends/__init__.py": "VERSION = '{version}'",
    "backends/im2col.py": "VERSION = '{version}'",
    "harness/__init__.py": FOREIGN,
    "suites/__init__.py": FOREIGN,
    "plugins/mine.py": PLUGIN,
    "src/kernels.py": "VERSION = '{version}'",
    "lib/pack/__init__.py": "",
    "lib/pack/plugin.py": PLUGIN,
}

SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
    f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}


def _git(folder, *arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **SETTINGS}, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout


def _write(repository, files, version):
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.format(version=version))


def _commit(repository, files, version):
    _write(repository, files, version)
    _git(repository, "add", "--all")
    _git(repository, "commit", "--quiet", "--message", version)
    _git(repository, "tag", version)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files, of this test alone."""
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A repository with tags v1 and v2 whose every file says so, and files of v3."""
    folder = tmp_path_factory.mktemp("original")
    _git(folder, "init", "--quiet", "--initial-branch", "main")
    _commit(folder, FILES, "v1")
    _commit(folder, {**FILES, "plugins/new.py": PLUGIN, "lib/newer.py": PLUGIN}, "v2")
    _write(folder, FILES, "v3")
    return folder


@pytest.fixture
def repository(original, tmp_path, monkeypatch):
    """A copy of it, which is the current folder."""
    shutil.copytree(original, tmp_path / "repository")
    monkeypatch.chdir(tmp_path / "repository")
    return tmp_path / "repository"


def _run(place, code):
    """Output of a program that is started there as a worker is."""
    done = subprocess.run(
        [place.interpreter, "-P", "-c", code], env={**os.environ, **place.variables}, cwd=place.folder,
        capture_output=True, text=True,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def _assert_nothing_left(repository, temporary):
    assert len(_git(repository, "worktree", "list").splitlines()) == 1
    assert not list((repository / ".git" / "worktrees").glob("*"))
    assert not list(temporary.iterdir())


def test_the_implementation_is_of_the_revision_and_the_instrument_is_ours(repository):
    code = "import backends.im2col, harness, suites, os\n"
    code += "print(backends.im2col.VERSION, backends.im2col.__file__)\n"
    code += "for package in (harness, suites): print(os.path.realpath(package.__file__))"
    with open_places([HERE, V1, V2], []) as places:
        for environment, version in ((HERE, "v3"), (V1, "v1"), (V2, "v2")):
            place = places[environment]
            implementation, *instrument = _run(place, code)
            assert implementation == f"{version} {place.folder}/backends/im2col.py"
            assert instrument == [str(PACKAGE / "__init__.py"), str(PACKAGE.parent / "suites" / "__init__.py")]
        assert places[HERE].folder == str(repository)
        assert len({place.folder for place in places.values()}) == 3


def test_neighbours_of_the_harness_are_not_found_by_way_of_it(repository):
    with open_places([V1], []) as places:
        paths = places[V1].variables["PYTHONPATH"].split(os.pathsep)
        assert str(PACKAGE.parent) not in paths
        assert {path.name for path in Path(paths[0]).iterdir()} == {"harness", "suites"}


def test_a_plugin_file_of_the_repository_is_the_revisions_own(repository, tmp_path):
    outside = tmp_path / "outside.py"
    outside.write_text(PLUGIN.format(version="outside").replace('name = "mine"', 'name = "outside"'))
    code = "from harness.plugins.manager import load_plugins\n"
    code += "registry = load_plugins({plugins}, only={names})\n"
    code += "print({{name: backend.versions()['mine'] for name, backend in registry.backends.items()}})"
    plugins = ["plugins/mine.py", str(outside)]
    names = [str(repository / "plugins/mine.py"), str(outside)]  # as the plugins are called here
    with open_places([HERE, V1, V2], plugins) as places:
        for environment, version in ((HERE, "v3"), (V1, "v1"), (V2, "v2")):
            place = places[environment]
            there = [place.name_of(name) for name in names]
            assert _run(place, code.format(plugins=place.plugins, names=there)) == [
                str({"mine": version, "outside": "outside"})
            ]
            assert place.plugins[1] == str(outside)


def test_a_plugin_file_that_the_revision_lacks_is_named(repository, temporary):
    with (
        pytest.raises(UsageError, match=r"revision 'v1' has no file 'plugins/new\.py'"),
        open_places([V2, V1], ["plugins/new.py"]),
    ):
        pass
    _assert_nothing_left(repository, temporary)


def test_a_worker_stands_in_the_counterpart_of_the_current_folder(repository, monkeypatch):
    monkeypatch.chdir(repository / "lib")
    with open_places([HERE, V1], []) as places:
        assert places[HERE].folder == str(repository / "lib")
        assert places[V1].folder.endswith("/lib")
        code = "import os, pack.plugin; print(os.getcwd(), pack.plugin.__file__, pack.plugin.Mine().versions()['mine'])"
        for environment, version in ((HERE, "v3"), (V1, "v1")):
            folder = places[environment].folder
            assert _run(places[environment], code) == [f"{folder} {folder}/pack/plugin.py {version}"]
    new = repository / "new"
    new.mkdir()
    monkeypatch.chdir(new)
    with open_places([V1], []) as places:
        assert places[V1].folder == places[V1].variables["PYTHONPATH"].split(os.pathsep)[1]  # the top


def test_a_plugin_module_is_of_the_revision_wherever_its_folder_lies(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository / "lib")
    with open_places([V1], ["pack.plugin"]) as places:
        assert places[V1].plugins == ("pack.plugin",)
        assert _run(places[V1], "import pack.plugin; print(pack.plugin.Mine().versions()['mine'])") == ["v1"]
    with pytest.raises(UsageError, match=r"revision 'v1' has no file 'lib/newer\.py'"), open_places([V1], ["newer"]):
        pass


def test_an_installed_plugin_module_is_no_file_of_the_revision(repository, monkeypatch):
    packages = repository / "env" / "lib" / "site-packages"
    _write(packages, {"installed.py": PLUGIN}, "release")
    monkeypatch.syspath_prepend(packages)
    with open_places([V1], ["installed"]) as places:
        assert places[V1].plugins == ("installed",)
        assert str(packages) not in places[V1].variables["PYTHONPATH"]


def test_the_users_own_search_path_follows_the_revision(repository, tmp_path, monkeypatch):
    (repository / "untracked").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["lib", str(repository / "untracked"), str(tmp_path)]))
    with open_places([HERE, V1], []) as places:
        tree = places[V1].folder
        assert places[HERE].variables["PYTHONPATH"].split(os.pathsep)[1:] == [
            str(repository), str(repository / "lib"), str(repository / "untracked"), str(tmp_path),
        ]  # fmt: skip
        assert places[V1].variables["PYTHONPATH"].split(os.pathsep)[1:] == [
            tree, f"{tree}/src", f"{tree}/lib", str(tmp_path),
        ]  # fmt: skip


def test_revision_and_dirtiness_are_recorded(repository):
    first, second = _git(repository, "rev-parse", "v1", "v2").split()
    with open_places([HERE, V1], []) as places:
        assert (places[HERE].revision, places[HERE].dirty) == (second, True)
        assert (places[V1].revision, places[V1].dirty) == (first, False)
        assert places[HERE].what.startswith(f"this checkout ({second[:12]}, dirty), Python 3.")
        assert places[V1].what.startswith(f"revision v1 ({first[:12]}), Python 3.")
    _git(repository, "checkout", "--quiet", ".")
    with open_places([HERE], []) as places:
        assert (places[HERE].revision, places[HERE].dirty) == (second, False)


def test_names_of_one_commit_share_a_worktree(repository):
    branch = Environment(revision="main")
    with open_places([V2, branch], []) as places:
        assert places[V2].folder == places[branch].folder
        assert len(_git(repository, "worktree", "list").splitlines()) == 2


@pytest.mark.parametrize(
    ("revision", "hint"), [("mian", "did you mean 'main'?"), ("e" * 40, "wanted a commit, branch")]
)
def test_an_unknown_revision_is_named_with_those_near_to_it(repository, temporary, revision, hint):
    with pytest.raises(UsageError) as caught, open_places([V1, Environment(revision=revision)], []):
        pass
    assert str(caught.value).startswith(f"unknown revision: got '{revision}'")
    assert hint in str(caught.value)
    _assert_nothing_left(repository, temporary)


def test_a_shallow_clone_is_said_to_be_one(repository, tmp_path, monkeypatch):
    _git(tmp_path, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{repository}", "clone")
    monkeypatch.chdir(tmp_path / "clone")
    with pytest.raises(UsageError, match=r"unknown revision: got 'v1'.*this clone is shallow"), open_places([V1], []):
        pass
    _git(tmp_path / "clone", "switch", "--quiet", "--detach")
    _git(tmp_path / "clone", "branch", "--delete", "--force", "--quiet", "main")
    near = pytest.raises(UsageError, match="did you mean 'origin/main'")
    with near, open_places([Environment(revision="main")], []):
        pass


def test_outside_a_repository_there_is_only_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_places([HERE], []) as places:
        assert (places[HERE].revision, places[HERE].dirty, places[HERE].folder) == ("", False, str(tmp_path))
        assert places[HERE].what.startswith("this folder, Python")
    with (
        pytest.raises(UsageError, match=r"revision: got 'v1', but '.*' is in no git repository"),
        open_places([V1], []),
    ):
        pass


def test_the_repository_of_a_plugin_file_serves_outside_one(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugin = str(repository / "plugins" / "mine.py")
    with open_places([V1], [plugin]) as places:
        assert "'v1'" in Path(places[V1].plugins[0]).read_text().replace('"', "'")
        assert places[V1].plugins[0] != plugin
        assert places[V1].folder == str(tmp_path)


def test_nothing_is_made_where_nothing_is_asked_for(temporary):
    with open_places([], ["no such plugin.py"]) as places:
        assert places == {}
        assert not list(temporary.iterdir())


def test_a_hook_that_started_the_command_does_not_lead_astray(repository, tmp_path, monkeypatch):
    _git(tmp_path, "init", "--quiet", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other" / ".git" / "index"))
    with open_places([V1], []) as places:
        assert _run(places[V1], "import kernels; print(kernels.VERSION)") == ["v1"]


def test_hooks_of_the_repository_do_not_run(repository, tmp_path):
    hook = repository / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    with open_places([V1], []):
        assert not (tmp_path / "hooked").exists()
    _git(repository, "checkout", "--quiet", "--force", "v1")
    assert (tmp_path / "hooked").exists()  # it would have


# -- nothing is left behind, and no one is disturbed


def test_worktrees_are_gone_afterwards(repository, temporary):
    with open_places([V1, V2], []) as places:
        assert len(_git(repository, "worktree", "list").splitlines()) == 3
        Path(places[V1].folder, "written-by-a-backend").write_text("")
    _assert_nothing_left(repository, temporary)
    assert (PACKAGE / "__init__.py").is_file()  # a link to it was removed


def test_worktrees_are_gone_after_an_error(repository, temporary):
    with pytest.raises(ArithmeticError), open_places([V1], []):
        raise ArithmeticError
    _assert_nothing_left(repository, temporary)


@pytest.mark.parametrize("fate", ["removed", "torn"])
def test_a_worktree_that_met_an_accident_is_gone_too(repository, temporary, fate):
    with open_places([V1], []) as places:
        tree = Path(places[V1].folder)
        if fate == "removed":
            shutil.rmtree(tree)
        else:  # as a checkout that was killed leaves it
            _git(repository, "worktree", "lock", str(tree))
            (tree / ".git").unlink()
    _assert_nothing_left(repository, temporary)


OPEN = """
from harness.plan.arm import Environment
from harness.execution.environments import open_places
import pathlib, sys, time
with open_places([Environment(revision="v1")], []):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(60)
"""


@pytest.mark.parametrize("moment", ["while it is open", "while it is made"])
def test_worktrees_are_gone_after_an_interrupt(repository, temporary, tmp_path, moment):
    reached = tmp_path / "reached"
    if moment == "while it is made":  # git passes every file to a program that never ends
        (repository / ".git" / "info").mkdir(exist_ok=True)
        (repository / ".git" / "info" / "attributes").write_text("*.py filter=slow\n")
        _git(repository, "config", "filter.slow.smudge", f"touch {reached}; exec sleep 60")
    awaited = reached if moment == "while it is made" else tmp_path / "opened"
    command = [sys.executable, "-P", "-c", OPEN, str(tmp_path / "opened")]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            while not awaited.exists():
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)
            assert len(_git(repository, "worktree", "list").splitlines()) == 2
            process.send_signal(signal.SIGINT)
            assert "KeyboardInterrupt" in process.communicate(timeout=600)[1]
        finally:
            process.kill()
    _assert_nothing_left(repository, temporary)


def test_two_at_once_do_not_disturb_each_other(repository, temporary):
    def read(environment):
        with open_places([environment], []) as places:
            return _run(places[environment], "import backends; print(backends.VERSION)")

    with open_places([V1], []) as places:
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(read, [V1, V2, V1, V2])) == [["v1"], ["v2"], ["v1"], ["v2"]]
        assert _run(places[V1], "import backends; print(backends.VERSION)") == ["v1"]
        assert len(_git(repository, "worktree", "list").splitlines()) == 2
    _assert_nothing_left(repository, temporary)


@pytest.mark.parametrize("failures", [1, 100])
def test_a_worktree_is_tried_again_but_not_for_ever(repository, temporary, tmp_path, monkeypatch, failures):
    folder = tmp_path / "bin"
    folder.mkdir()
    script = f"""#!/bin/sh
case "$*" in *"worktree add"*)
  echo x >> {tmp_path}/tries
  [ $(wc -l < {tmp_path}/tries) -gt {failures} ] || {{ echo "fatal: could not create directory" >&2; exit 128; }}
esac
exec {shutil.which("git")} "$@"
"""
    (folder / "git").write_text(script)
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    if failures == 1:
        with open_places([V1], []) as places:
            assert _run(places[V1], "import backends; print(backends.VERSION)") == ["v1"]
    else:
        with (
            pytest.raises(UsageError, match="cannot be checked out: fatal: could not create directory"),
            open_places([V1], []),
        ):
            pass
    assert len((tmp_path / "tries").read_text().split()) == min(failures + 1, 5)
    _assert_nothing_left(repository, temporary)


# -- interpreters


def _make_interpreter(folder, *, equipped):
    """A virtual environment of this interpreter; with `equipped` it has the packages that are installed here."""
    venv.create(folder, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    if equipped:
        (packages / "here.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return packages


def test_an_interpreter_is_that_of_its_virtual_environment(repository, tmp_path):
    _make_interpreter(tmp_path / "env", equipped=True)
    folder, file = Environment(interpreter=str(tmp_path / "env")), Environment(interpreter="../env/bin/python")
    both = Environment(revision="v1", interpreter=str(tmp_path / "env"))
    code = "import sys, backends; print(sys.prefix, backends.VERSION)"
    with open_places([HERE, folder, file, both], []) as places:
        assert _run(places[HERE], code) == [f"{sys.prefix} v3"]
        for environment, version in ((folder, "v3"), (file, "v3"), (both, "v1")):
            assert os.path.samefile(places[environment].interpreter, tmp_path / "env" / "bin" / "python")
            assert _run(places[environment], code) == [f"{tmp_path / 'env'} {version}"]
        assert places[folder].versions.keys() == {"python", "numpy", "msgspec", "pluggy"}
        assert places[folder].versions == places[HERE].versions
        assert places[both].what.endswith(f" of {tmp_path / 'env' / 'bin' / 'python'}")


def test_an_interpreter_without_what_workers_need_is_told_what_to_install(repository, temporary, tmp_path):
    _make_interpreter(tmp_path / "bare", equipped=False)
    python = tmp_path / "bare" / "bin" / "python"
    with pytest.raises(UsageError) as caught, open_places([V1, Environment(interpreter=str(tmp_path / "bare"))], []):
        pass
    assert f"'{python}' cannot import numpy, msgspec, pluggy (ModuleNotFoundError: " in str(caught.value)
    assert str(caught.value).endswith(f"install it with `{python} -m pip install numpy msgspec pluggy`")
    _assert_nothing_left(repository, temporary)


OLD = json.dumps([{"python": "3.9.2"}, {"numpy": "ImportError"}, {}])


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "interpreter not found: got '.*', wanted the folder of a virtual environment or a Python interpreter"),
        ("echo no such library >&2; exit 3", "wanted one that runs Python programs; it says 'no such library'"),
        ("exit 0", "wanted one that runs Python programs; JSONDecodeError when it was run"),
        (f"echo '{OLD}'", r"is Python 3\.9\.2, wanted 3\.11\+"),
    ],
)
def test_what_is_no_interpreter_is_refused_with_the_reason(repository, tmp_path, script, reason):
    path = tmp_path / "python"
    if script is not None:
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    with pytest.raises(UsageError, match=reason), open_places([Environment(interpreter=str(path))], []):
        pass


def test_an_installation_that_hides_the_revision_is_refused(repository, temporary, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(repository / "lib")
    packages = _make_interpreter(tmp_path / "env", equipped=True)
    finder = "import sys, importlib.util\nclass First:\n    def find_spec(name, path=None, target=None):\n"
    finder += "        if name == 'pack':\n            return importlib.util.spec_from_file_location(name, "
    finder += f"{str(repository / 'lib/pack/__init__.py')!r})\nsys.meta_path.insert(0, First)\n"
    (packages / "first.py").write_text(finder)
    (packages / "first.pth").write_text("import first\n")
    hidden = Environment(revision="v1", interpreter=str(tmp_path / "env"))
    with open_places([V1], ["pack.plugin"]) as places:
        assert places[V1].plugins == ("pack.plugin",)
    match = f"module 'pack' comes from '{repository}/lib/pack/__init__.py', wanted it from the revision"
    with pytest.raises(UsageError, match=match), open_places([hidden], ["pack.plugin"]):
        pass
    _assert_nothing_left(repository, temporary)
