"""Conditions under which a base needs its own environment."""

import pytest

from harness.errors import UsageError
from harness.gating.dependencies import check_package, find_package, list_folders, why_build
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
        (PROJECT.format(version=1, needs='"numpy"'), PROJECT.format(version=2, needs='"numpy"'), None),
        (PROJECT.format(version=1, needs='"numpy"'), "# more\n" + PROJECT.format(version=1, needs='"numpy"'), None),
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
    assert why_build(repository, base, same) is None
    assert why_build(repository, base, other) == "requirements.txt asks for other dependencies"


def test_extensions_of_setuptools_are_compiled(repository):
    base = _commit(repository, setup__py="setup(ext_modules=[])")
    assert why_build(repository, base, "") == "setup.py has extensions that are compiled"


def test_dependencies_of_a_package_in_a_subfolder_count(repository):
    (repository / "python" / "src").mkdir(parents=True)
    base = _commit(repository, **{"python/pyproject__toml": PROJECT.format(version=1, needs='"numpy"')})
    head = _commit(repository, **{"python/pyproject__toml": PROJECT.format(version=1, needs='"numpy>=2"')})
    assert why_build(repository, base, head, [""]) is None
    folders = list_folders(repository, "python/src", [])
    assert folders == ["python/src", "python", ""]
    assert why_build(repository, base, head, folders) == "python/pyproject.toml asks for other dependencies"
    setup = _commit(repository, **{"python/setup__py": "setup(ext_modules=[])"})
    assert why_build(repository, setup, setup, folders) == "setup.py has extensions that are compiled (python)"


def test_folders_of_plugin_files_count_if_they_lie_in_the_repository(repository, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    files = [str(repository / "kernels" / "mine.py"), str(elsewhere), "some.module"]
    assert list_folders(repository, "", files) == ["", "kernels"]


def test_the_package_is_the_nearest_from_the_current_folder_or_the_plugin(repository, monkeypatch):
    for name in ("python/src", "other"):
        (repository / name).mkdir(parents=True)
    (repository / "python" / "setup.py").write_text("")
    (repository / "other" / "requirements.txt").write_text("")
    (repository / "pyproject.toml").write_text("[tool.ruff]\n")  # no package
    monkeypatch.chdir(repository / "python" / "src")
    assert find_package(repository, []) == "python"
    monkeypatch.chdir(repository)
    assert find_package(repository, []) == ""
    assert find_package(repository, ["other/mine.py"]) == "other"
    assert check_package(repository, "python") == "python"
    assert check_package(repository, ".") == ""
    for wrong in ("nowhere", "..", "pyproject.toml"):
        with pytest.raises(UsageError, match=f"package: got '{wrong}', wanted a folder of"):
            check_package(repository, wrong)
