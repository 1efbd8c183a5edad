"""Conditions under which a base needs its own environment."""

import pytest

from harness.gating.dependencies import why_build
from tests.gating.twenty import SETTINGS, git

PROJECT = '[project]\nname = "p"\nversion = "{version}"\ndependencies = [{needs}]\n'


@pytest.fixture
def repository(tmp_path, monkeypatch):
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    return tmp_path


def _commit(folder, **files):
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "change")
    return git(folder, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (PROJECT.format(version=1, needs='"numpy"'), PROJECT.format(version=2, needs='"numpy"'), ""),
        (PROJECT.format(version=1, needs='"numpy"'), "# more\n" + PROJECT.format(version=1, needs='"numpy"'), ""),
        (PROJECT.format(version=1, needs='"numpy"'), PROJECT.format(version=1, needs='"numpy>=2"'),
         "pyproject.toml asks for other dependencies"),
        ('[build-system]\nbuild-backend = "mesonpy"\n', '[build-system]\nbuild-backend = "mesonpy"\n',
         "it is compiled by mesonpy"),
    ],
)  # fmt: skip
def test_a_base_is_built_where_its_dependencies_differ_or_it_is_compiled(repository, old, new, reason):
    base = _commit(repository, pyproject__toml=old)
    (repository / "pyproject.toml").write_text(new)
    assert why_build(repository, base, "") == reason  # the working tree
    head = _commit(repository, pyproject__toml=new, other="x")
    assert why_build(repository, base, head) == reason


def test_requirements_count_but_not_their_comments(repository):
    base = _commit(repository, requirements__txt="numpy\n# fast\n")
    same = _commit(repository, requirements__txt="# faster\nnumpy  # arrays\n")
    other = _commit(repository, requirements__txt="numpy\nscipy\n")
    assert why_build(repository, base, same) == ""
    assert why_build(repository, base, other) == "requirements.txt asks for other dependencies"


def test_extensions_of_setuptools_are_compiled(repository):
    base = _commit(repository, setup__py="setup(ext_modules=[])")
    assert why_build(repository, base, "") == "setup.py has extensions that are compiled"
