"""Modules that an editable installation puts into an environment, which only say where the sources are."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from harness.git import GitError, git


def list_finders(distribution: metadata.Distribution, source: Path) -> frozenset[str]:
    """Return the files of the modules that find the sources of an editable installation; none for any other one.

    They are what its `.pth` imports as Python starts, under a name that each build tool chooses. A module that git
    keeps among the sources is a copy of it, and no finder.
    source: folder from which the distribution was installed.
    """
    if not _is_editable(distribution):
        return frozenset()
    paths = [file for file in distribution.files or () if file.suffix == ".pth" and len(file.parts) == 1]
    names = {f"{name}.py" for path in paths for name in _list_imported(Path(str(distribution.locate_file(path))))}
    return frozenset(name for name in names if not _is_kept(name, source))


def _is_editable(distribution: metadata.Distribution) -> bool:
    try:
        return json.loads(distribution.read_text("direct_url.json") or "{}")["dir_info"]["editable"] is True
    except (ValueError, KeyError, TypeError, OSError):
        return False


def _list_imported(path: Path) -> Iterator[str]:
    """Yield the modules that a .pth file imports."""
    try:
        lines = path.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith(("import ", "import\t")):  # any other line is a folder
            try:
                nodes = list(ast.walk(ast.parse(line)))
            except (SyntaxError, ValueError):
                continue
            yield from (alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names)


def _is_kept(name: str, source: Path) -> bool:
    """Return True if git keeps a file of this name among the sources."""
    try:
        return bool(git(source, "ls-files", "--", f":(glob)**/{name}"))
    except GitError:
        return False
