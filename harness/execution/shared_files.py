"""Files by which two versions run the same code, or other code than their sources, although git tells them apart.

A copy of the package that was installed or lies on PYTHONPATH; a build that the first version has made and the other
one finds under its name; a file that git ignores and that only the checkout has.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from harness.git import GitError, git

INSTALLED = frozenset({"site-packages", "dist-packages"})
# A name with a hash of what it was made from, as compilers of kernels give: another source has another name.
HASHED = re.compile(r"(?=[a-z0-9]*\d)[a-z0-9]{20,}", re.IGNORECASE)
VERSION = re.compile(r"_*version(_*info)?_*\.py")  # written by tools for packaging; decides on no answer


def list_changed(repository: Path, first: str, second: str) -> frozenset[str]:
    """Return the files that differ between two revisions, relative to the repository; all files if git cannot tell.

    first, second: revisions; "" for the working tree of the checkout.
    """
    revisions = [one for one in (first, second) if one]
    try:
        return frozenset(git(repository, "diff", "--name-only", "-z", *revisions).split("\0")) - {""}
    except GitError:
        return frozenset(_list_tracked(repository))


def is_copy(file: Path, repository: Path, changed: Collection[str], compiled: tuple[str, ...]) -> bool:
    """Return True if a module outside of the repository belongs to a package that has changed in the repository.

    changed: files that differ between the versions. compiled: ends of the names of sources that are compiled.
    """
    module = _find_module(file)
    if len(module.parts) > 1:
        folders = _list_packages(repository).get(module.parts[0], ())
        return any(one.startswith(folders) or one.endswith(compiled) for one in changed) if folders else False
    alike = (Path(one) for one in changed if Path(one).name == module.name)
    searched = file.parent in _list_searched()
    return any(one.parent.name == file.parent.name or (searched and one.parent == Path()) for one in alike)


def _list_searched() -> list[Path]:
    """Return the folders of PYTHONPATH: a module at the top of a repository may lie in one of them as a copy."""
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [Path(os.path.realpath(folder)) for folder in folders if folder]


def forget() -> None:
    """Forget what earlier comparisons have found in files and repositories, which may have changed since."""
    _find_module.cache_clear()
    _list_packages.cache_clear()


@lru_cache(maxsize=8192)
def _find_module(file: Path) -> Path:
    """Return the path of a module below the folder from which its top-level package is imported."""
    root = file.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    return file.relative_to(root)


@lru_cache(maxsize=4)
def _list_packages(repository: Path) -> Mapping[str, tuple[str, ...]]:
    """Return the folders of a repository's packages by name, each with a slash at its end."""
    found: dict[str, tuple[str, ...]] = {}
    for name in _list_tracked(repository):
        if name.endswith("/__init__.py"):
            folder = name.removesuffix("__init__.py")
            found[Path(folder).name] = (*found.get(Path(folder).name, ()), folder)
    return found


def _list_tracked(repository: Path) -> list[str]:
    try:
        return git(repository, "ls-files", "-z").split("\0")
    except GitError:
        return []


def is_kept_build(file: Path) -> bool:
    """Return True if a library lies in a folder for temporary or cached files, without a hash in its name."""
    return _is_for_caches(file) and not any(HASHED.search(part) for part in file.parts)


def _is_for_caches(file: Path) -> bool:
    home = Path(os.path.realpath(Path.home()))
    folders = [tempfile.gettempdir(), os.environ.get("XDG_CACHE_HOME", "")]
    if any(file.is_relative_to(os.path.realpath(folder)) for folder in folders if folder):
        return True
    parts = file.relative_to(home).parts if file.is_relative_to(home) else ("",)
    return parts[0].startswith(".") and any("cache" in part.lower() for part in parts[:-1])


def has_changed(files: Iterable[str], trees: Iterable[Path | None], changed: Collection[str]) -> bool:
    """Return True if a loaded file of a version differs between the versions.

    files: that were loaded. trees: folders of the sources of both versions. changed: see `list_changed`.
    """
    kept = [tree for tree in trees if tree is not None]
    return any(
        Path(file).relative_to(tree).as_posix() in changed
        for file in files for tree in kept if Path(file).is_relative_to(tree)
    )  # fmt: skip


def find_unmade(files: Iterable[str], tree: Path, other: Path, modules: Iterable[str]) -> str:
    """Return a loaded file that git ignores in both versions and that only one has; "" if there is none.

    Both are meant to have it if modules of both name it, made by something that has not been run for the other version,
    which falls back on something else.
    files: that were loaded from `tree`. other: folder of the sources of the other version.
    modules: files that the other version has loaded.
    """
    names = [Path(file).relative_to(tree).as_posix() for file in files if Path(file).is_relative_to(tree)]
    lacking = [name for name in names if not (other / name).exists() and not VERSION.fullmatch(Path(name).name)]
    if not lacking:
        return ""
    texts = [_read(Path(file)) for file in modules if file.endswith(".py") and Path(file).is_relative_to(other)]
    lacking = [name for name in lacking if any(_names(text, Path(name).name.partition(".")[0]) for text in texts)]
    if not lacking:
        return ""
    ignored = [name for name in _list_ignored(tree, lacking) if name in _list_ignored(other, lacking)]
    return str(tree / min(ignored)) if ignored else ""


def _names(text: str, stem: str) -> bool:
    """Return True if a text has the stem of a file's name as a word."""
    return re.search(rf"\b{re.escape(stem)}\b", text) is not None


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _list_ignored(tree: Path, names: Iterable[str]) -> list[str]:
    try:
        return git(tree, "-c", "core.quotePath=false", "check-ignore", "--", *names).splitlines()
    except GitError:  # none of them
        return []
