"""Environments that are built for a revision, or in which a backend is installed already."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.execution.environment_build import is_package, list_versions
from harness.execution.environments import open_places
from harness.plan.arm import Environment
from tests.gating.twenty import SETTINGS, git

PROJECT = '[project]\nname = "pack"\nversion = "{version}"\n\n[tool.setuptools]\npackages = ["pack"]\n'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A package `pack` of version 1 at tag v1, and of version 2 in the working tree; the current folder."""
    for name, value in {**SETTINGS, "HARNESS_STATE_DIR": str(tmp_path / "state")}.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    (folder / "pack").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    _write(folder, 1)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "one")
    git(folder, "tag", "v1")
    _write(folder, 2)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    return folder


def _write(folder, version):
    (folder / "pyproject.toml").write_text(PROJECT.format(version=version))
    (folder / "pack" / "__init__.py").write_text(f"VERSION = {version}\n")


def _make_environment(folder):
    """An environment that includes the packages of this interpreter."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib"))
    return packages


def _ask(place, code):
    done = subprocess.run(
        [place.interpreter, "-P", "-c", code], env={**os.environ, **place.variables}, cwd=place.folder,
        capture_output=True, text=True,
    )  # fmt: skip
    assert not done.returncode, done.stderr
    return done.stdout.split()


def test_what_is_installed_comes_before_the_sources_of_the_checkout(repository, tmp_path):
    packages = _make_environment(tmp_path / "released")
    (packages / "pack").mkdir()
    (packages / "pack" / "__init__.py").write_text("VERSION = 'released'\n")
    there = Environment(interpreter=str(tmp_path / "released"), installed=True)
    with open_places([there], ["pack"]) as places:
        place = places[there]
        assert _ask(place, "import pack; print(pack.VERSION)") == ["released"]
        assert str(repository) not in place.variables["PYTHONPATH"].split(os.pathsep)
        assert place.what.startswith(f"what is installed in {tmp_path / 'released'}")


def test_a_plugin_that_is_not_installed_there_is_named(repository, tmp_path):
    _make_environment(tmp_path / "bare")
    there = Environment(interpreter=str(tmp_path / "bare"), installed=True)
    match = f"environment '{tmp_path / 'bare'}' has no module 'pack'; wanted the plugin in both arms"
    with pytest.raises(UsageError, match=match), open_places([there], ["pack"]):
        pass


def test_the_checkout_itself_is_no_installed_version(repository, tmp_path):
    packages = _make_environment(tmp_path / "editable")
    (packages / "pack.pth").write_text(str(repository))  # as `pip install --editable` leaves it
    there = Environment(interpreter=str(tmp_path / "editable"), installed=True)
    match = "module 'pack' comes from '.*', wanted it from what is installed there"
    with pytest.raises(UsageError, match=match), open_places([there], ["pack"]):
        pass


@pytest.mark.slow
@pytest.mark.builds
def test_a_revision_is_built_with_the_versions_of_here(repository):
    built, told = Environment(revision="v1", build=True), []
    with open_places([built], ["pack"], told.append) as places:
        place = places[built]
        code = "import numpy, pack; print(pack.VERSION, pack.__file__, numpy.__version__)"
        version, path, numpy = _ask(place, code)
        assert version == "1"
        assert Path(path).is_relative_to(Path(place.interpreter).parents[1])
        assert f"numpy=={numpy}" in list_versions(repository)
        assert place.revision == git(repository, "rev-parse", "v1")
    assert told == ["revision v1: its environment is built"]
    with open_places([built], ["pack"], told.append) as places:
        assert places[built].interpreter == place.interpreter
    assert told[1].startswith("revision v1: taken from")


def test_what_cannot_be_installed_is_refused(repository, tmp_path):
    git(repository, "rm", "--quiet", "--force", "pyproject.toml")
    git(repository, "commit", "--quiet", "--message", "no package")
    nothing = Environment(revision="main", build=True)
    with pytest.raises(UsageError, match="revision main cannot be built: it has none of"), open_places([nothing], []):
        pass


def test_a_package_is_what_pip_installs(repository):
    assert is_package(repository)
    (repository / "pyproject.toml").write_text("[tool.ruff]\nline-length = 120\n")
    assert not is_package(repository)
    (repository / "setup.py").write_text("")
    assert is_package(repository)
