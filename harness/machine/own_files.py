"""Digests of the files that decide what the Python processes of this environment do, the harness's own among them.

A backend that changes one of them reaches the judges that start after it, in this run or in the next.
"""

from __future__ import annotations

import hashlib
import site
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import harness
from harness.errors import CHANGED

STARTUP = ("sitecustomize", "usercustomize")  # modules that Python imports as it starts, where there are any
MOST_NAMED = 3


def digest_own_files() -> dict[Path, bytes]:
    """Return a digest of every file that matters, by path.

    They are the modules of the harness, `pyvenv.cfg`, the `.pth` files of the folders of packages, and the modules in
    STARTUP of every folder of the search path. Files that cannot be read have an empty digest.
    """
    return {path: _digest(path) for path in _find_files()}


def describe_changes(before: Mapping[Path, bytes]) -> str | None:
    """Return which files differ from those of an earlier time; None if none does.

    before: as `digest_own_files` returned it then; empty where nothing is compared.
    """
    if not before:
        return None
    after = digest_own_files()
    changed = sorted(str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    if not changed:
        return None
    named = ", ".join(changed[:MOST_NAMED])
    more = f" and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
    return f"{named}{more}, with which Python or the harness starts, {CHANGED}"


def _find_files() -> Iterator[Path]:
    yield from sorted(Path(harness.__file__).parent.rglob("*.py"))
    if (settings := Path(sys.prefix) / "pyvenv.cfg").is_file():
        yield settings
    for folder in map(Path, dict.fromkeys((*site.getsitepackages(), site.getusersitepackages()))):
        yield from sorted(folder.glob("*.pth"))
    for folder in map(Path, dict.fromkeys(sys.path)):
        for name in STARTUP:
            yield from (path for path in (folder / f"{name}.py", folder / name / "__init__.py") if path.is_file())


def _digest(path: Path) -> bytes:
    try:
        return hashlib.blake2b(path.read_bytes(), digest_size=16).digest()
    except OSError:
        return b""
