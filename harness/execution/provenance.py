"""Check that arms run their own files: compare what their processes have loaded with the sources of the other arms.

A base whose worktree has no compiled module may silently import that of the head; both versions are then the same,
whatever their sources are. The check sees a process's modules and its memory map, on Linux, and files that its Python
code opens; what native code reads is not included.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

from harness.execution.editable import list_finders
from harness.execution.shared_files import INSTALLED, find_unmade, has_changed, is_copy, is_kept_build, list_changed
from harness.git import GitError, git
from harness.machine.files import open_regular

SYSTEM = ("/usr", "/lib", "/lib64", "/opt", "/nix", "/etc")  # files of the machine, not of a revision
COMPILED = (
    ".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp", ".rs", ".f", ".f90", ".pyx", ".pxd", ".s", ".S", ".asm",
    ".go", ".zig", ".ispc", ".cl", "Makefile", "CMakeLists.txt", "meson.build",
)  # fmt: skip
MOST_HASHED_BYTES = 2**30  # larger files of data are known by their size and time
WANTED = (
    "wanted each version with its own: build it from its revision (--build always), or compare installed environments "
    "(--base-env VENV)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Location of the sources of an arm.

    family: of the arms that it is compared with.
    revision: of the sources; "" for the working tree of the checkout.
    tree: their folder; None if the arm has none.
    home: folder of the virtual environment in which the arm is installed; None if it runs from sources.
    """

    family: str
    revision: str
    tree: Path | None
    home: Path | None = None


NOWHERE = Side(family="", revision="", tree=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Real paths of the files that the processes of an arm have loaded, and of their interpreter's package folders.

    opened: files that code of the backend has opened, to read or to write.
    read: opened files of which it may have read what they held. overfull: whether more were opened than were kept.
    """

    files: frozenset[str]
    packages: frozenset[str] = frozenset()
    opened: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()
    overfull: bool = False

    def __or__(self, other: Loaded) -> Loaded:
        return Loaded(
            files=self.files | other.files, packages=self.packages | other.packages, opened=self.opened | other.opened,
            read=self.read | other.read, overfull=self.overfull or other.overfull,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Required origins of each arm's files.

    sides: by arm.
    repository: None outside of one.
    instrument: folders that all arms share by design.
    installed: files that pip copied from the repository into this interpreter, with the folders they come from.
    """

    sides: Mapping[str, Side]
    repository: Path | None
    instrument: tuple[Path, ...] = ()
    installed: Mapping[str, Path] = field(default_factory=dict)

    def find_foreign(self, arm: str, loaded: Mapping[str, Loaded]) -> str | None:
        """Return why an arm does not run its own files, with the name of one; None if there is no evidence.

        loaded: files loaded so far, by this arm and by others.
        """
        own, mine = self.sides[arm], loaded[arm]
        read = frozenset[str]().union(*(one.read for one in loaded.values()))  # a log is written by all, read by none
        for one in (arm, *(loaded.keys() - {arm})):  # the reader of what another version has written may come later
            files = loaded[one].files if one == arm else frozenset[str]()
            if found := self._find_strange(one, loaded[one], files, loaded[one].opened & read):
                return found
        for other in loaded:
            if other == arm or self.sides[other].family != own.family:
                continue
            if file := self._find_common(arm, other, loaded):
                return f"{arm} and {other} load the same '{file}', though its sources differ between them; {WANTED}"
            if file := self._find_equal(arm, other, loaded):
                return (
                    f"{arm} and {other} load equal libraries '{file}', which git tracks and no build has made, though "
                    f"its sources differ between them; {WANTED}"
                )
            for first, second in ((arm, other), (other, arm)):
                if file := self._find_unmade(first, second, loaded):
                    return (
                        f"{first} loads '{file}', which git ignores and {second} lacks, so that it runs something "
                        "else; wanted both versions made in the same way (--build-command, --build always)"
                    )
            if file := self._find_kept(arm, other, loaded):
                word, what = ("load", "library") if file in mine.files else ("open", "file")
                return (
                    f"{arm} and {other} {word} the same '{file}', which one of them has built or kept, though modules "
                    f"that it may be made from differ between them; wanted a {what} for each version: give it a name "
                    "with a hash of its sources, or a folder in the sources"
                )
        return None

    def _find_strange(self, arm: str, mine: Loaded, files: Collection[str], opened: Collection[str]) -> str:
        """Return which of these files of an arm is another version's; "" if none is."""
        own = self.sides[arm]
        checkout = {"this checkout, which is none of the versions": Side(family="", revision="", tree=self.repository)}
        for other, side in {**self.sides, **checkout}.items():
            if side.tree is None or side.tree == own.tree:
                continue
            for file in sorted({*files, *opened}):
                if not _is_from(Path(file), side.tree, own, mine.packages, self.instrument):
                    continue
                if file in files:
                    return f"{arm} loads '{file}', which is a file of {other}; {WANTED}"
                if ".git" not in Path(file).relative_to(side.tree).parts:  # where git keeps what it says of both
                    return f"{arm} opens '{file}', which is a file of {other}; {WANTED}"
        return ""

    def find_stale(self, arm: str, loaded: Loaded) -> str | None:
        """Describe a compiled file of its tree that an arm has loaded although a source is newer; None if none."""
        tree = self.sides[arm].tree
        for file in sorted(loaded.files) if tree is not None else ():
            assert tree is not None
            if not _is_library(file) or not _is_from(Path(file), tree, NOWHERE, loaded.packages, self.instrument):
                continue
            if source := find_newer(Path(file), tree):
                return (
                    f"{arm} loads '{file}', which is older than '{source}'; wanted what the sources make as they lie: "
                    "build it again, or let both versions be built (--build always, --build-command)"
                )
        return None

    def _find_common(self, first: str, second: str, loaded: Mapping[str, Loaded]) -> str:
        """Return a file that two versions share although its sources differ between them; "" if there is none."""
        revisions = self.sides[first].revision, self.sides[second].revision
        if self.repository is None or revisions[0] == revisions[1]:
            return ""
        folders = loaded[first].packages | loaded[second].packages
        changed = list_changed(self.repository, *revisions)
        for file in sorted(loaded[first].files & loaded[second].files):
            if _is_below(file, self.instrument):
                continue
            if (source := self.installed.get(file)) is not None:
                paths = [str(source)]
            elif self._may_be_copy(file, folders) and is_copy(Path(file), self.repository, changed, COMPILED):
                return file
            elif _is_built(file, self.repository, folders):
                paths = [f":(glob)**/*{end}" for end in COMPILED]
            else:
                continue
            if sources_differ(self.repository, *revisions, paths):
                return file
        return ""

    def _find_equal(self, first: str, second: str, loaded: Mapping[str, Loaded]) -> str:
        """Return a library that is in both trees with the same bytes although sources differ; or "".

        Both must not be made by a build: a change of a comment makes an equal library. One that git tracks is none.
        """
        one, other = self.sides[first], self.sides[second]
        revisions = one.revision, other.revision
        if self.repository is None or one.tree is None or other.tree is None or revisions[0] == revisions[1]:
            return ""
        for file in sorted(filter(_is_library, loaded[first].files)):
            if not Path(file).is_relative_to(one.tree):
                continue
            there = other.tree / Path(file).relative_to(one.tree)
            if str(there) not in loaded[second].files or not (is_tracked(Path(file)) or is_tracked(there)):
                continue
            digests = hash_files([file, str(there)]).values()
            sources = [source.relative_to(one.tree).as_posix() for source in list_sources(Path(file), one.tree)]
            if sources and len(set(digests)) == 1 and sources_differ(self.repository, *revisions, sources):
                return file
        return ""

    def _may_be_copy(self, file: str, folders: Collection[str]) -> bool:
        """Return True for a file outside of the repository that does not belong to Python or the machine."""
        if self.repository is None or Path(file).is_relative_to(self.repository):
            return False
        return bool(INSTALLED & set(Path(file).parts)) or not _is_below(file, (*SYSTEM, *folders))

    def _find_unmade(self, first: str, second: str, loaded: Mapping[str, Loaded]) -> str:
        """Return a file that one version has from the checkout, and that was never made for the other; or ""."""
        one, other = self.sides[first], self.sides[second]
        if None in (one.tree, other.tree) or one.tree == other.tree or one.revision or not other.revision:
            return ""
        assert one.tree is not None and other.tree is not None
        files = {
            file
            for file in loaded[first].files
            if not _is_below(file, (*self.instrument, *(p for p in loaded[first].packages if p != str(one.tree))))
        }
        return find_unmade(files, one.tree, other.tree, loaded[second].files)

    def _find_kept(self, first: str, second: str, loaded: Mapping[str, Loaded]) -> str:
        """Return a file of a folder for caches that two versions share although modules of theirs differ; or ""."""
        sides = self.sides[first], self.sides[second]
        revisions = [side.revision for side in sides]
        if self.repository is None or revisions[0] == revisions[1]:
            return ""
        folders = loaded[first].packages | loaded[second].packages
        kept = [
            file
            for file in loaded[first].files & loaded[second].files
            if _is_built(file, self.repository, folders) and not _is_below(file, self.instrument)
            and is_kept_build(Path(file))
        ]  # fmt: skip
        files, trees = loaded[first].files | loaded[second].files, [side.tree for side in sides]
        own = [path for side in sides for path in (side.tree, side.home) if path is not None]
        places: list[str | Path] = [self.repository, *self.instrument, *folders, *own]
        kept += [
            file
            for file in loaded[first].opened & loaded[second].opened & (loaded[first].read | loaded[second].read)
            if not _is_below(file, (*SYSTEM, *places)) and is_kept_build(Path(file)) and _has_content(file)
        ]
        if kept and has_changed(files, trees, list_changed(self.repository, *revisions)):
            return min(kept)
        return ""


def _is_from(file: Path, tree: Path, own: Side, packages: Collection[str], instrument: Collection[Path]) -> bool:
    """Return True if a file lies in another side's sources, outside of all folders that the arm may use."""
    if not file.is_relative_to(tree):
        return False
    allowed = [path for path in (own.tree, own.home) if path is not None and not tree.is_relative_to(path)]
    allowed += [Path(folder) for folder in packages if not tree.is_relative_to(folder)]
    return not any(file.is_relative_to(folder) for folder in (*allowed, *instrument))


def _is_built(file: str, repository: Path, folders: Iterable[str]) -> bool:
    """Return True if a file is a library that belongs neither to the machine nor to the interpreter."""
    if not _is_library(file) or Path(file).is_relative_to(repository) or INSTALLED & set(Path(file).parts):
        return False
    return not _is_below(file, (*SYSTEM, *folders))


def _is_library(file: str) -> bool:
    return file.endswith(".so") or ".so." in Path(file).name


def _has_content(file: str) -> bool:
    """Return True for a regular file that holds something, as a lock does not."""
    try:
        return Path(file).is_file() and Path(file).stat().st_size > 0
    except OSError:
        return False


def find_newer(file: Path, tree: Path) -> str:
    """Return a source that is newer than a compiled file; "" if there is none, or git cannot tell.

    The sources compared are those below the nearest parent folder of the file that contains any: those of its package.
    A file tracked by git gets its time from the checkout, which is no evidence.
    """
    if is_tracked(file):
        return ""
    built = file.stat().st_mtime_ns
    newer = (str(one) for one in list_sources(file, tree) if one.is_file() and one.stat().st_mtime_ns > built)
    return min(newer, default="")


def list_sources(file: Path, tree: Path) -> list[Path]:
    """Return what a compiled file is probably made of: sources below the nearest of its folders that has any.

    tree: folder beyond which nothing is looked for. Returns nothing if git cannot tell.
    """
    for folder in file.parents:
        if not folder.is_relative_to(tree):
            return []
        try:
            names = git(folder, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
        except GitError:
            return []
        if sources := [folder / name for name in names if name.endswith(COMPILED)]:
            return sources
    return []


def is_tracked(file: Path) -> bool:
    """Return True if a file is tracked by git."""
    try:
        return bool(git(file.parent, "ls-files", "--", file.name))
    except GitError:
        return False


def list_installed(repository: Path) -> dict[str, Path]:
    """Return the files that pip copied from the repository into this interpreter, with the folders they come from.

    An editable installation puts a module there that only says where the sources are; what it finds is seen itself.
    """
    found: dict[str, Path] = {}
    for one in metadata.distributions():
        source = _find_source(one)
        if source is not None and source.is_relative_to(repository):
            finders = list_finders(one, source)
            files = (file for file in one.files or () if str(file) not in finders)
            found |= {str(Path(str(one.locate_file(file))).resolve()): source for file in files}
    return found


def _find_source(distribution: metadata.Distribution) -> Path | None:
    """Return the local folder from which a distribution was installed; None for any other distribution."""
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlparse(told["url"])
    except (ValueError, KeyError, TypeError, OSError):
        return None
    return Path(unquote(url.path)).resolve() if url.scheme == "file" else None


def sources_differ(repository: Path, first: str, second: str, paths: Iterable[str]) -> bool:
    """Return True if files differ between two revisions, or if git cannot tell.

    repository: root of the checkout.
    first, second: revisions; "" for the working tree of the checkout.
    paths: pathspecs of git.
    """
    revisions = [one for one in (first, second) if one]
    try:
        return bool(git(repository, "diff", "--name-only", *revisions, "--", *paths))
    except GitError:
        return True


def hash_files(files: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each file, or size and time of a very large one; "" for what is no readable file."""
    found = {}
    for file in sorted(files):
        try:
            with open_regular(file) as stream:
                status = os.fstat(stream.fileno())
                if status.st_size > MOST_HASHED_BYTES:
                    found[file] = f"{status.st_size} bytes, changed at {status.st_mtime_ns} ns"
                else:
                    found[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            found[file] = ""
    return found


def own_files(loaded: Loaded, trees: Iterable[Path], instrument: Iterable[Path] = ()) -> frozenset[str]:
    """Return an arm's files that lie in source trees, or outside of the machine's and interpreter's packages.

    instrument: folders of files that all arms share, which are left out.
    """
    sources, folders = tuple(trees), (*SYSTEM, *loaded.packages)
    inner = [folder for folder in loaded.packages if any(Path(folder).is_relative_to(tree) for tree in sources)]
    return frozenset(
        file
        for file in loaded.files | loaded.read
        if not _is_below(file, (*inner, *instrument)) and (_is_below(file, sources) or not _is_below(file, folders))
    )


def _is_below(file: str, folders: Iterable[str | Path]) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in folders)
