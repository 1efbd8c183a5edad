"""Keep what was built for revisions: the same sources with the same tools and options are built once.

A build lies in a folder named by a hash of all that decides it. Its paths stay the same, since compilers and virtual
environments write absolute paths into their files. A build that is incomplete, or whose files have changed since, is
made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from harness.errors import UnwritableError
from harness.machine.state import state_folder

COMPLETE = "complete.json"
UNUSED_S = 14 * 86_400.0  # builds that were not used for so long are removed
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "clang++", "gfortran", "rustc", "cargo", "nvcc", "cmake", "make", "ld")
# Variables that build tools read: of compilers, search paths, flags, and of the tools' own configuration.
TELLING = re.compile(
    r"(CC|CXX|FC|F77|LD|AR|NVCC\w*|ARCHFLAGS|MAKE\w*|CMAKE\w*|CARGO\w*|RUST\w*|PIP_\w+|UV_\w+|SETUPTOOLS_\w+|CUDA\w*|"
    r"NPY_\w+|MACOSX_\w+|\w*FLAGS|\w*_?PATH|SOURCE_DATE_EPOCH)"
)
SILENT = ("__pycache__", ".git")  # folders that use may change


def describe_tools() -> dict[str, object]:
    """Return what decides a build besides its sources: Python, packages, compilers, and variables of build tools."""
    packages = sorted(f"{one.metadata['Name']}=={one.version}" for one in metadata.distributions())
    compilers = {name: _stamp(Path(path)) for name in COMPILERS if (path := shutil.which(name))}
    variables = {name: value for name, value in sorted(os.environ.items()) if TELLING.fullmatch(name)}
    return {
        "python": [os.path.realpath(sys.executable), sys.prefix, sys.version, platform.platform()],
        "packages": packages, "compilers": compilers, "variables": variables,
    }  # fmt: skip


def open_build(parts: Mapping[str, object], make: Callable[[Path], None], tell: Callable[[str], None]) -> Path:
    """Return the folder of a build, made before or now. A second command that wants the same build waits.

    parts: what decides the build; values that JSON can write.
    make: builds into an empty folder; an exception leaves nothing behind.
    tell: receives a line if the build is there already.
    Raises UnwritableError if the folder of builds cannot be written, and what `make` raises.
    """
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]
    builds = state_folder().expanduser().absolute() / "builds"
    folder = builds / key
    try:
        builds.mkdir(parents=True, exist_ok=True)
        lock = FileLock(builds / f"{key}.lock")
        lock.acquire()
    except OSError as error:
        raise UnwritableError(
            f"builds: got '{builds}' ({error.strerror}), wanted a folder that can be written; set HARNESS_STATE_DIR"
        ) from None
    try:
        remove_unused(builds, key)
        if is_complete(folder):
            tell(f"taken from '{folder}'")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            (folder / COMPLETE).write_text(json.dumps({"files": list_state(folder), "parts": dict(parts)}))
        os.utime(folder / COMPLETE)
    finally:
        lock.release()
    return folder


def is_complete(folder: Path) -> bool:
    """Return True if a build was finished and its files have not changed since."""
    try:
        known = json.loads((folder / COMPLETE).read_text())
        return bool(known["files"] == list_state(folder))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def list_state(folder: Path) -> str:
    """Return a hash of the names, sizes and times of all files of a build; Python's caches are left out."""
    found = hashlib.sha256()
    for line in _walk(folder, folder):
        found.update(line.encode(errors="surrogateescape"))
    return found.hexdigest()


def _walk(folder: Path, root: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda one: one.name):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in SILENT:
                    yield from _walk(path, root)
            elif path != root / COMPLETE:
                stat = entry.stat(follow_symlinks=False)
                yield f"{path.relative_to(root)}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_mode}\n"


def remove_unused(builds: Path, kept: str) -> None:
    """Remove builds that were not used for two weeks, except for one.

    builds: folder of builds. kept: name of the exception.
    """
    for folder in builds.iterdir():
        try:
            old = folder.is_dir() and time.time() - (folder / COMPLETE).stat().st_mtime > UNUSED_S
        except OSError:  # incomplete: another command may be making it
            continue
        if old and folder.name != kept:
            shutil.rmtree(folder, ignore_errors=True)


def _stamp(path: Path) -> list[object]:
    """Return a program's real path, size and time of change: another version of it differs in one of them."""
    real = path.resolve()
    stat = real.stat()
    return [str(real), stat.st_size, stat.st_mtime_ns]
