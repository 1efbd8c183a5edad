"""Each version runs its own files, or nothing is said of the two."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.execution import provenance
from harness.execution.environments import Place, find_origins
from harness.execution.provenance import Loaded, Origins, Side, own_files
from harness.execution.shared_files import is_copy
from harness.plan.arm import Arm, Environment
from harness.record.directory import read_run
from harness.worker.host.loaded import list_loaded, list_package_folders
from tests.gating.twenty import git, run_harness

TREE, CHECKOUT = Path("/made/base"), Path("/home/me/kernels")
SIDES = {
    "k@old": Side(family="k", revision="old", tree=TREE),
    "k": Side(family="k", revision="", tree=CHECKOUT),
}


def loaded(*files, packages=("/home/me/kernels/.venv/lib", "/usr/lib/python3")):
    return Loaded(files=frozenset(files), packages=frozenset(packages))


def find(base, head=(), **more):
    origins = Origins(sides=SIDES, repository=CHECKOUT, **more)
    return origins.find_foreign("k@old", {"k@old": loaded(*base), "k": loaded(*head)})


@pytest.mark.parametrize(
    ("files", "foreign"),
    [
        (["/made/base/kernels/fast.py", "/usr/lib/libm.so.6"], ""),
        (["/home/me/kernels/.venv/lib/numpy/__init__.py"], ""),
        (["/home/me/kernels/fast.py"], "/home/me/kernels/fast.py"),
        (["/home/me/kernels/build/_fast.so", "/made/base/fast.py"], "/home/me/kernels/build/_fast.so"),
        (["/home/me/kernels-of-others/fast.py"], ""),
    ],
)
def test_a_file_of_the_other_side_is_named(files, foreign):
    found = find(files)
    assert (f"k@old loads '{foreign}', which is a file of k" in found) if foreign else not found


def test_a_file_of_the_checkout_belongs_to_neither_of_two_revisions():
    sides = {"k@old": SIDES["k@old"], "k@new": Side(family="k", revision="new", tree=Path("/made/head"))}
    origins = Origins(sides=sides, repository=CHECKOUT)
    both = {arm: loaded("/home/me/kernels/_fast.so", "/home/me/kernels/.venv/lib/numpy/_core.so") for arm in sides}
    for arm in sides:
        found = origins.find_foreign(arm, both)
        assert f"{arm} loads '/home/me/kernels/_fast.so', which is a file of this checkout" in found
    assert not origins.find_foreign("k@old", {"k@old": loaded("/made/base/fast.py"), "k@new": loaded()})


def test_the_instrument_is_shared_by_design():
    assert not find(["/home/me/kernels/harness/api.py"], instrument=(CHECKOUT / "harness",))


def test_the_same_library_is_foreign_to_one_of_two_versions_of_its_sources(monkeypatch):
    asked = []
    monkeypatch.setattr(provenance, "sources_differ", lambda *given: asked.append(given) or True)
    assert "load the same '/tmp/build/libfast.so'" in find(["/tmp/build/libfast.so"], ["/tmp/build/libfast.so"])
    assert not find(["/tmp/build/libfast.so"], ["/tmp/other/libfast.so"])
    assert not find(["/usr/lib/libm.so.6"], ["/usr/lib/libm.so.6"])
    copied = {"/usr/lib/python3/site-packages/fast.py": CHECKOUT}
    assert "load the same" in find(copied, copied, installed=copied)
    assert not find(copied, copied, installed=copied, instrument=(Path("/usr/lib/python3/site-packages"),))
    monkeypatch.setattr(provenance, "sources_differ", lambda *given: False)
    assert not find(["/tmp/build/libfast.so"], ["/tmp/build/libfast.so"])
    assert asked[0][1:3] == ("old", "")


def _commit(folder, files, message="change"):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


@pytest.fixture
def two(tmp_path, monkeypatch):
    return make_two(tmp_path, monkeypatch)


def make_two(tmp_path, monkeypatch):
    """The checkout of a repository with two commits, and a worktree of the first; lib/kernels/plain.py differs."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    git(checkout, "init", "--quiet")
    files = {"lib/kernels/__init__.py": "", "lib/kernels/plain.py": "A = 1\n", "lib/other/__init__.py": ""}
    _commit(checkout, files | {"lib/alone.py": "A = 1\n", ".gitignore": "*.so\n_made.py\n_version.py\n"})
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "base"))
    _commit(checkout, {"lib/kernels/plain.py": "A = 2\n", "lib/alone.py": "A = 2\n"})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


def _find(folder, common=(), base=(), head=()):
    sides = {
        "k@old": Side(family="k", revision=git(folder / "base", "rev-parse", "HEAD"), tree=folder / "base"),
        "k": Side(family="k", revision="", tree=folder / "checkout"),
    }
    packages = (str(folder / "venv/lib/python3/site-packages"),)
    files = {
        "k@old": loaded(*(str(folder / name) for name in (*common, *base)), packages=packages),
        "k": loaded(*(str(folder / name) for name in (*common, *head)), packages=packages),
    }
    return Origins(sides=sides, repository=folder / "checkout").find_foreign("k", files)


@pytest.mark.parametrize(
    ("file", "foreign"),
    [
        ("site/kernels/plain.py", True),
        ("site/kernels/_fast.so", True),  # whose source may be any file of the package
        ("venv/lib/python3/site-packages/kernels/plain.py", True),
        ("venv/lib/python3/site-packages/other/__init__.py", False),  # has not changed
        ("venv/lib/python3/site-packages/numpy/__init__.py", False),
        ("lib/alone.py", True),
        ("python3/alone.py", False),  # another module of this name
    ],
)
def test_a_copy_of_a_package_that_differs_is_shared_by_no_two_versions(two, file, foreign):
    path = two / file
    path.parent.mkdir(parents=True)
    if path.parent.name not in ("lib", "python3"):
        (path.parent / "__init__.py").touch()
    found = _find(two, [file])
    assert (f"load the same '{path}', though its sources differ" in found) if foreign else found is None


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("home/.cache/kernels/conv.so", True),
        ("temporary/kernels/conv.so", True),
        ("home/.cache/kernels/c4e5d6a7b8c9d0e1f2a3b4c5/conv.so", False),
        ("temporary/me/cabcdefghijk2mnopqrst7uvwxyz.so", False),
        ("elsewhere/libmkl.so", False),
    ],
)
def test_a_build_that_is_kept_under_a_name_without_a_hash_serves_one_version(two, file, kept):
    changed = {"base": ["base/lib/kernels/plain.py"], "head": ["checkout/lib/kernels/plain.py"]}
    found = _find(two, [file], **changed)
    assert ("which one of them has built or kept" in found) if kept else found is None
    assert _find(two, [file]) is None  # no module that differs was loaded


@pytest.mark.parametrize(
    ("file", "unmade"),
    [("lib/kernels/_fast.so", True), ("lib/kernels/_made.py", True), ("lib/kernels/_version.py", False),
     ("lib/kernels/new.py", False)],
)  # fmt: skip
def test_a_file_that_git_ignores_is_made_for_both_versions_or_there_is_no_verdict(two, file, unmade):
    (two / "checkout" / file).touch()
    plain = "lib/kernels/plain.py"
    assert not _find(two, base=[f"base/{plain}"], head=[f"checkout/{file}"])  # the base does not want it
    (two / "base" / plain).write_text(
        "try:\n    from kernels import _fast, _made, _version, new\nexcept ImportError: 0\n"
    )
    found = _find(two, base=[f"base/{plain}"], head=[f"checkout/{file}"])
    assert (f"k loads '{two / 'checkout' / file}', which git ignores and k@old lacks" in found) if unmade else not found
    (two / "base" / file).touch()
    assert not _find(two, base=[f"base/{plain}"], head=[f"checkout/{file}"])


def test_this_process_has_loaded_modules_and_libraries():
    files, folders = list_loaded(), list_package_folders()
    assert os.path.realpath(__file__) in files
    assert any(".so" in Path(file).name for file in files)
    mine = own_files(Loaded(files=frozenset(files), packages=frozenset(folders)), ())
    assert os.path.realpath(__file__) in mine and not any("/numpy/" in file for file in mine)


def test_a_repository_that_has_changed_is_looked_at_again_by_the_next_comparison(two):
    checkout, copy = two / "checkout", two / "site" / "fresh" / "plain.py"
    copy.parent.mkdir(parents=True)
    (copy.parent / "__init__.py").touch()
    changed = ("lib/fresh/plain.py",)
    assert not is_copy(copy, checkout, changed, ())
    _commit(checkout, {"lib/fresh/__init__.py": ""})
    environment = Environment(revision="old")
    place = Place(interpreter="python", variables={}, folder=str(two), plugins=(), names={}, what="old")
    find_origins([Arm(name="k@old", backend="k", environment=environment)], {environment.place: place}, ())
    assert is_copy(copy, checkout, changed, ())


def test_own_files_are_those_of_source_trees_wherever_they_lie():
    found = own_files(loaded("/opt/kernels/fast.py", "/opt/cuda/libcuda.so", "/home/me/a.py"), [Path("/opt/kernels")])
    assert found == {"/opt/kernels/fast.py", "/home/me/a.py"}
    assert not own_files(loaded("/home/me/kernels/.venv/lib/numpy/__init__.py"), [CHECKOUT])


PLUGIN = """
import ctypes, sys
import harness
{load}

class Mine(harness.Backend):
    name = "mine"

    def conv_bias_grad(self, dy):
        return {call}

@harness.hookimpl
def register_backends(register):
    register(Mine())
"""
SUM = "def total(dy):\n    return dy.sum(axis=(0, *range(2, dy.ndim))){more}\n"
C = "int total(void) {{ return {number}; }}\n"


def gate(folder, tmp_path):
    return run_harness(
        "gate", "--plugin", "mine.py", "--unqualified", "--base", "one", "--suite", "correctness", "--law",
        "agrees-with-reference", "--problem", "conv_bias_grad x=1x2x4 w=3x2x1", "--output", str(tmp_path / "run"),
        cwd=folder, state=tmp_path,
    )  # fmt: skip


def make(folder, *versions):
    """A repository with a commit for each version, given as files with their texts; tags one and two."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    for name, files in zip(("one", "two"), versions, strict=True):
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--message", name)
        git(folder, "tag", name)
    return folder


def test_a_base_that_imports_the_modules_of_the_head_gets_no_verdict(tmp_path):
    folder = tmp_path / "kernels"
    # as an editable installation does it that puts the checkout's folder on the path
    load = f"sys.path.append({str(folder / 'lib')!r})\nfrom fast import total"
    plugin = PLUGIN.format(load=load, call="total(dy)")
    make(folder, {"mine.py": plugin, "lib/fast.py": SUM.format(more=" + 1")},
         {"lib/fast.py": SUM.format(more="")})  # fmt: skip
    done = gate(folder, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"mine@one loads '{folder / 'lib' / 'fast.py'}', which is a file of mine" in done.stderr
    assert len(git(folder, "worktree", "list").splitlines()) == 1


@pytest.mark.slow
def test_each_version_with_its_own_files_is_compared_and_the_record_names_them(tmp_path):
    folder = tmp_path / "kernels"
    load = "import os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\nfrom fast import total"
    plugin = PLUGIN.format(load=load, call="total(dy)")
    make(folder, {"mine.py": plugin, "lib/fast.py": SUM.format(more=" + 1")},
         {"lib/fast.py": SUM.format(more="")})  # fmt: skip
    done = gate(folder, tmp_path)
    assert done.returncode == 0 and "MENDED" in done.stdout, done.stdout + done.stderr
    files = read_run(tmp_path / "run").files
    assert set(files) == {"mine@one", "mine"}
    (old,), (new,) = ([sha for file, sha in files[arm].items() if file.endswith("lib/fast.py")] for arm in files)
    assert old and new and old != new
    assert str(folder / "lib" / "fast.py") in files["mine"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_library_that_is_built_outside_belongs_to_one_version_only(tmp_path):
    folder, library = tmp_path / "kernels", tmp_path / "build" / "libfast.so"
    # loaded by the first call, and not when the plugin is imported
    call = f"dy.sum(axis=(0, *range(2, dy.ndim))) + ctypes.CDLL({str(library)!r}).total()"
    plugin = PLUGIN.format(load="", call=call)
    make(folder, {"mine.py": plugin, "fast.c": C.format(number=1)}, {"fast.c": C.format(number=0)})
    library.parent.mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "fast.c"], check=True)
    done = gate(folder, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"load the same '{library}', though its sources differ between them" in done.stderr
    ended = [json.loads(line) for line in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()][-1]
    assert "load the same" in ended["ending"]["reason"] and not ended["ending"]["complete"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_library_that_is_older_than_its_sources_gets_no_verdict(tmp_path):
    folder = tmp_path / "kernels"
    load = "import os\nfast = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'build', 'libfast.so'))"
    total = "dy.sum(axis=(0, *range(2, dy.ndim)))"
    old = {"mine.py": PLUGIN.format(load="", call=total), "c/fast.c": C.format(number=0), ".gitignore": "build\n"}
    make(folder, old, {"mine.py": PLUGIN.format(load=load, call=f"{total} + fast.total()")})
    library = folder / "build" / "libfast.so"
    library.parent.mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "c" / "fast.c"], check=True)
    assert gate(folder, tmp_path).returncode == 0
    (folder / "c" / "fast.c").write_text(C.format(number=1))  # wrong now, but not built
    os.utime(library, (1, 1))
    shutil.rmtree(tmp_path / "run")
    done = gate(folder, tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"mine loads '{library}', which is older than '{folder / 'c' / 'fast.c'}'" in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_a_build_command_makes_the_library_of_each_version(tmp_path):
    folder = tmp_path / "kernels"
    load = "import os\nfast = ctypes.CDLL(os.path.join(os.path.dirname(__file__), 'build', 'libfast.so'))"
    plugin = PLUGIN.format(load=load, call="dy.sum(axis=(0, *range(2, dy.ndim))) + fast.total()")
    old = {"native/mine.py": plugin, "native/c/fast.c": C.format(number=0), ".gitignore": "build\n"}
    make(folder, old, {"native/c/fast.c": C.format(number=1)})
    stale = folder / "native" / "build" / "libfast.so"  # of the checkout; neither version may load it
    stale.parent.mkdir()
    subprocess.run(["cc", "-shared", "-fPIC", "-o", stale, folder / "native" / "c" / "fast.c"], check=True)
    (folder / "native" / "c" / "fast.c").write_text(C.format(number=2))
    (folder / "pyproject.toml").write_text(
        '[tool.harness]\nplugin = "native/mine.py"\npackage = "native"\n[tool.harness.gate]\n'
        "build-command = 'mkdir -p build && cc -shared -fPIC -o build/libfast.so c/fast.c'\n"
    )
    done = run_harness(
        "gate", "--unqualified", "--base", "one", "--suite", "correctness", "--law", "agrees-with-reference",
        "--problem", "conv_bias_grad x=1x2x4 w=3x2x1", "--output", str(tmp_path / "run"), cwd=folder, state=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1 and "1 BROKEN" in done.stdout, done.stdout + done.stderr
    files = read_run(tmp_path / "run").files
    assert str(stale) not in {file for own in files.values() for file in own}
    (old_sha,), (new_sha,) = (
        [sha for file, sha in own.items() if file.endswith("libfast.so")] for own in files.values()
    )
    assert old_sha and new_sha and old_sha != new_sha
    assert "pyproject.toml" in git(folder, "status", "--porcelain") and stale.is_file()
