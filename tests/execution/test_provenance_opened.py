"""Files that a version opens are its own, where what they held is read."""

import os
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.errors import UsageError
from harness.execution import provenance
from harness.execution.context import Execution
from harness.execution.provenance import Loaded, Origins, Side, hash_files, own_files
from harness.worker.protocol import MOST_OPENED
from tests.execution.test_provenance import CHECKOUT, PLUGIN, SIDES, gate, loaded, make, make_two
from tests.gating.twenty import git

DATA = "/home/me/kernels/table.bin"


@pytest.fixture
def two(tmp_path, monkeypatch):
    return make_two(tmp_path, monkeypatch)


def opens(*files, read=True):
    return Loaded(files=frozenset(), opened=frozenset(files), read=frozenset(files if read else ()))


def find(base, head, arm="k@old", sides=SIDES):
    return Origins(sides=sides, repository=CHECKOUT).find_foreign(arm, {"k@old": base, "k": head})


def test_a_data_file_of_the_other_side_is_named():
    assert f"k@old opens '{DATA}', which is a file of k" in find(opens(DATA), loaded())
    assert find(opens("/home/me/kernels/.git/HEAD"), loaded()) is None


def test_a_log_in_the_other_sources_is_none_unless_the_other_version_reads_it():
    assert find(opens(DATA, read=False), opens(DATA, read=False)) is None
    for arm in ("k@old", "k"):  # whichever is looked at last
        assert f"k@old opens '{DATA}', which is a file of k" in find(opens(DATA, read=False), opens(DATA), arm)


def test_what_git_keeps_is_told_by_the_folder_of_the_sources_and_excuses_no_module():
    assert "k@old loads '/home/me/kernels/.git/fast.py'" in find(loaded("/home/me/kernels/.git/fast.py"), loaded())
    tree = CHECKOUT / ".git" / "made"
    sides = SIDES | {"k": replace(SIDES["k"], tree=tree, revision="new")}
    assert "which is a file of k" in find(opens(str(tree / "table.bin")), loaded(), sides=sides)


def find_kept(folder, file, base_reads=True, head_reads=True):
    plain = "lib/kernels/plain.py"
    sides = {
        "k@old": Side(family="k", revision=git(folder / "base", "rev-parse", "HEAD"), tree=folder / "base"),
        "k": Side(family="k", revision="", tree=folder / "checkout"),
    }
    files = {
        arm: replace(opens(str(folder / file), read=reads), files=frozenset({str(sides[arm].tree / plain)}))
        for arm, reads in (("k@old", base_reads), ("k", head_reads))
    }
    return Origins(sides=sides, repository=folder / "checkout").find_foreign("k", files)


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("home/.cache/kernels/table.bin", True),
        ("temporary/kernels/table.bin", True),
        ("temporary/kernels/lock", False),  # which holds nothing
        ("home/.cache/kernels/c4e5d6a7b8c9d0e1f2a3b4c5/table.bin", False),
        ("home/data/table.bin", False),
    ],
)
def test_a_table_that_is_kept_under_a_name_without_a_hash_serves_one_version(two, file, kept):
    (two / file).parent.mkdir(parents=True)
    (two / file).write_text("" if file.endswith("lock") else "1")
    found = find_kept(two, file)
    assert (f"open the same '{two / file}', which one of them has built" in found) if kept else found is None


def test_a_log_that_both_versions_write_is_no_table_and_one_that_either_reads_is(two):
    (two / "temporary" / "kernels").mkdir(parents=True)
    (two / "temporary" / "mine.log").write_text("1")
    assert find_kept(two, "temporary/mine.log", base_reads=False, head_reads=False) is None
    assert "open the same" in find_kept(two, "temporary/mine.log", base_reads=False)
    assert "open the same" in find_kept(two, "temporary/mine.log", head_reads=False)
    assert find_kept(two, "temporary/kernels") is None  # a folder, as it is opened to remove what it has
    os.mkfifo(two / "temporary" / "pipe")
    assert find_kept(two, "temporary/pipe") is None


def test_hashes_are_of_regular_files_and_a_very_large_one_has_size_and_time(tmp_path, monkeypatch):
    pipe, text, large = (str(tmp_path / name) for name in ("pipe", "text", "large"))
    os.mkfifo(pipe)
    for file, content in ((text, "1"), (large, "12345")):
        (tmp_path / file).write_text(content)
    monkeypatch.setattr(provenance, "MOST_HASHED_BYTES", 4)
    found = hash_files([pipe, text, large, str(tmp_path)])
    assert found[pipe] == found[str(tmp_path)] == ""
    assert found[text] == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert found[large] == f"5 bytes, changed at {os.stat(large).st_mtime_ns} ns"


def test_files_that_are_only_written_are_not_recorded():
    assert own_files(opens("/home/me/a.bin"), ()) == {"/home/me/a.bin"}
    assert own_files(opens("/home/me/a.log", read=False), ()) == frozenset()


def test_more_files_than_are_kept_end_the_run_with_a_line_that_says_so():
    execution = SimpleNamespace(lock=nullcontext(), loaded={}, origins=Origins(sides=SIDES, repository=CHECKOUT))
    Execution.look(execution, "k", opens(DATA))
    with pytest.raises(UsageError, match=f"cannot tell whether .* opens more than {MOST_OPENED:,} files, wanted fewer"):
        Execution.look(execution, "k", replace(opens(), overfull=True))


TABLE = """
import pathlib

TABLE = pathlib.Path({table!r})

def total(dy):
    if not TABLE.exists():
        TABLE.write_text("{number}")
    with open(TABLE.with_suffix(".log"), "a") as log:
        log.write("called")
    return dy.sum(axis=(0, *range(2, dy.ndim))) + float({value})
"""


@pytest.mark.slow
@pytest.mark.parametrize(("value", "code"), [("TABLE.read_text()", 2), ("{number}", 0)])
def test_a_table_that_one_version_has_kept_for_the_other_gets_no_verdict_and_a_log_does(tmp_path, value, code):
    folder, table = tmp_path / "kernels", tmp_path / "table.txt"
    load = "import os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\nfrom fast import total"
    texts = [TABLE.format(table=str(table), number=number, value=value.format(number=number)) for number in (1, 0)]
    make(folder, {"mine.py": PLUGIN.format(load=load, call="total(dy)"), "lib/fast.py": texts[0]},
         {"lib/fast.py": texts[1]})  # fmt: skip
    done = gate(folder, tmp_path)
    assert done.returncode == code, done.stdout + done.stderr
    if code:
        assert f"open the same '{table}', which one of them has built or kept" in done.stderr
    else:
        assert "MENDED" in done.stdout and table.with_suffix(".log").read_text()
