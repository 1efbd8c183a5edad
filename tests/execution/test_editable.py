"""The finder of an editable installation is no copy of the sources, whichever tool has made it."""

import json
from importlib import metadata

import pytest

from harness.execution import provenance
from tests.gating.twenty import git


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that installs files as editable or not; which of them count as copies of the sources."""
    folder = tmp_path / "site-packages"
    info = folder / "mine-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: mine\nVersion: 1\n")
    monkeypatch.setattr(provenance.metadata, "distributions", lambda: [metadata.PathDistribution(info)])

    def install(files, pth, editable=True):
        told = {"url": f"file://{tmp_path}", "dir_info": {"editable": editable}}
        (info / "direct_url.json").write_text(json.dumps(told))
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in (*files, "mine.pth")))
        (folder / "mine.pth").write_text(pth)
        copies = provenance.list_installed(tmp_path)
        assert set(copies.values()) == {tmp_path}
        return {file for file in files if str(folder / file) in copies}

    return install


@pytest.mark.parametrize(
    ("finder", "pth"),
    [
        ("__editable___mine_1_finder.py", "import __editable___mine_1_finder; __editable___mine_1_finder.install()"),
        ("_mine_editable.py", "import _mine_editable"),  # of scikit-build-core
        ("_mine_editable_loader.py", "import _mine_editable_loader\n"),  # of meson-python
        ("_mine.py", "/home/me/mine\nimport os, _mine"),
    ],
)
def test_a_finder_is_what_the_installation_imports_as_python_starts(installed, finder, pth):
    assert installed([finder, "mine/fast.py"], pth) == {"mine/fast.py"}
    assert installed([finder, "mine/fast.py"], pth, editable=False) == {finder, "mine/fast.py"}
    assert installed([finder, "mine/fast.py"], "/home/me/mine") == {finder, "mine/fast.py"}


def test_a_module_of_the_sources_is_no_finder(installed, tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").touch()
    git(tmp_path, "init", "--quiet")
    assert not installed(["mine.py"], "import mine")
    git(tmp_path, "add", "lib")
    assert installed(["mine.py"], "import mine") == {"mine.py"}
