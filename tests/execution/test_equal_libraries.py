"""A compiled library that git tracks and that both versions have alike is no evidence of a change of its sources."""

import pytest

from harness.execution.provenance import Loaded, Origins, Side
from tests.gating.twenty import git


@pytest.fixture
def two(tmp_path):
    """The checkout of a repository whose C source has changed, and a worktree of the commit before."""
    checkout = tmp_path / "checkout"
    (checkout / "kernels/build").mkdir(parents=True)
    git(checkout, "init", "--quiet")
    (checkout / "kernels/mine.c").write_text("int a;\n")
    (checkout / "other.c").write_text("int b;\n")
    (checkout / "kernels/build/libmine.so").write_bytes(b"compiled")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message", "before")
    git(checkout, "worktree", "add", "--quiet", "--detach", str(tmp_path / "base"))
    return tmp_path


def _find(two):
    base, head = two / "base", two / "checkout"
    sides = {
        "mine@old": Side(family="mine", revision=git(base, "rev-parse", "HEAD"), tree=base),
        "mine": Side(family="mine", revision="", tree=head),
    }
    files = {
        "mine@old": Loaded(files=frozenset([str(base / "kernels/build/libmine.so")])),
        "mine": Loaded(files=frozenset([str(head / "kernels/build/libmine.so")])),
    }
    return Origins(sides=sides, repository=head).find_foreign("mine", files)


def test_an_equal_library_of_changed_sources_gets_no_verdict(two):
    (two / "checkout/kernels/mine.c").write_text("int a = 1;\n")
    assert "load equal libraries" in _find(two)
    assert "libmine.so', which git tracks and no build has made" in _find(two)


def test_an_equal_library_of_the_same_sources_is_compared(two):
    (two / "checkout/other.c").write_text("int b = 1;\n")  # it is not below the nearest folder with sources
    assert _find(two) is None


def test_another_library_is_compared(two):
    (two / "checkout/kernels/mine.c").write_text("int a = 1;\n")
    (two / "checkout/kernels/build/libmine.so").write_bytes(b"compiled again")
    assert _find(two) is None


def test_equal_libraries_that_were_built_are_compared(two):
    """A build of sources that differ in a comment makes equal bytes."""
    for name in ("checkout", "base"):
        git(two / name, "rm", "--quiet", "--cached", "kernels/build/libmine.so")
    (two / "checkout/kernels/mine.c").write_text("int a; /* the same */\n")
    assert _find(two) is None
